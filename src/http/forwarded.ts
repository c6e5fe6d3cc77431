// What comes under a peer's seal, where it arrives: whether the seal is good, what is asked, and what each answer tells
// the router that sent it. Making the seals is the business of host/.

import type { ErrorCode } from "../base/error-codes.ts";
import type { Dispatched } from "../dispatch/dispatched.ts";
import type { InferenceRequest } from "../dispatch/inference-request.ts";
import type { IntentQuestion } from "../engines/intent-question.ts";
import { readIntentOdds } from "../engines/intent-question.ts";
import { loadHint } from "../fleet/load.ts";
import { readCaller } from "../host/claim-seals.ts";
import { loadHeader, peerHeader, peerRefusedHeader, sessionHeader } from "../host/forwarded.ts";
import type { Refused } from "../host/sealed-message.ts";
import { letters } from "../intents/prompt.ts";
import type { Admitted, FromPeer } from "./arrival.ts";
import { readObject } from "./body.ts";
import type { Door, SealedRequests } from "./door.ts";
import type { BadRequest } from "./errors.ts";
import { errorResponse } from "./errors.ts";

const questionRule = {
  /** As in the configuration of archetypes. */
  temperatureMost: 2,
} as const;

/** Undefined: nobody has sealed it, or this router is in no fleet, so that it is a caller's like any other. */
export type OpenSealed = (headers: Headers, cluster: Door["cluster"]) => Admitted | Response | undefined;

export const openForwarded =
  (path: string): OpenSealed =>
  (headers, { forwarded: receiving }) => {
    const opened = receiving && openSeal(headers, `POST ${path}`, receiving);
    if (opened === undefined || opened instanceof Response) return opened;
    const { from, claim: forwarded } = opened;
    return { caller: forwarded.caller, fromPeer: { from, forwarded } };
  };

/** What a router asks about jobs; at their paths and at no others. */
export const openJobCall =
  ({ method, url }: Request): OpenSealed =>
  (headers, { jobCalls: receiving }) => {
    if (receiving === undefined || (method !== "GET" && method !== "POST")) return undefined;
    // As it was sent, with its query: what a URL makes of it need not be what was sealed.
    const target = url.slice(url.indexOf("/", url.indexOf("//") + 2));
    if (!jobTarget.test(target)) return undefined;
    const opened = openSeal(headers, `${method} ${target}`, receiving);
    if (opened === undefined || opened instanceof Response) return opened;
    return { caller: opened.claim.caller, fromMember: opened.from };
  };

const jobTarget = /^\/v1\/jobs(?:\/[^/?]+(?:\/cancel)?)?(?:\?|$)/;

function openSeal<Claim>(
  headers: Headers,
  requestLine: string,
  receiving: SealedRequests<Claim>,
): { readonly from: string; readonly claim: Claim } | Response | undefined {
  const header = headers.get(peerHeader);
  if (header === null) return undefined;
  const opened = receiving.open(requestLine, header);
  if (!("refused" in opened)) return opened;
  const { refused: why, clock } = opened;
  receiving.refused(why);
  const told = { [peerRefusedHeader]: why, ...(clock !== undefined && { [peerHeader]: clock }) };
  return errorResponse(why === "stale" ? "invalid_api_key" : "forbidden", whyRefused[why], { headers: told });
}

const whyRefused: Readonly<Record<Refused, string>> = {
  "wrong-key":
    "The x-tierline-peer header is not sealed with this fleet's secret. Check that all its hosts have the same cluster.secret_file.",
  "wrong-fleet":
    "The x-tierline-peer header is of another fleet. Check cluster.fleet on the host that sent it.",
  stale:
    "The x-tierline-peer header is too old, or the clock of one of the two hosts is wrong. Seal it again by the time that comes with this answer.",
  replayed: "The x-tierline-peer header has been used before. It is good for one request.",
  oversize: "The message is too large for its seal.",
  malformed: "The x-tierline-peer header cannot be read. Only a router of this fleet has a use for it.",
  version:
    "The x-tierline-peer header is of a version that is not known here. Bring all hosts to one version.",
};

/** Whose request it is within its caller's key; a router of an earlier version does not say. */
export function sessionOfPeer(headers: Headers): string | undefined {
  const written = headers.get(sessionHeader);
  return written === null ? undefined : readCaller(written);
}

/** The body of a forwarded question. `model`: the one that will do, where the claim says that only one does. */
export interface AskedQuestion {
  readonly question: IntentQuestion;
  readonly model: string | undefined;
}

export function readQuestion(body: Uint8Array): AskedQuestion | BadRequest {
  const parsed = readObject(body);
  if ("code" in parsed) return parsed;
  const { prompt, options, temperature, model } = parsed.object;
  if (typeof prompt !== "string" || prompt === "") return wrong("prompt", "a text that is not empty");
  // Above that there is no letter for it, and far above that the answer would be as long as the number is large.
  if (!isNumber(options, 1, letters.length) || !Number.isInteger(options)) {
    return wrong("options", `a whole number from 1 to ${letters.length}`);
  }
  if (!isNumber(temperature, 0, questionRule.temperatureMost)) {
    return wrong("temperature", `a number from 0 to ${questionRule.temperatureMost}`);
  }
  if (model !== undefined && typeof model !== "string") return wrong("model", "a string");
  return { question: { prompt, options, temperature }, model };
}

const isNumber = (value: unknown, least: number, most: number): value is number =>
  typeof value === "number" && value >= least && value <= most;

const wrong = (param: string, needed: string): BadRequest => ({
  code: "invalid_request",
  message: `\`${param}\` of a forwarded question must be ${needed}.`,
  param,
});

/** An answer to a question that tells nothing is none: here its engine is doubted, and there it is a failure like any other. */
export function judged(
  request: InferenceRequest,
  dispatched: Dispatched,
  door: Pick<Door, "misanswered">,
): Dispatched {
  const { question } = request;
  if (question === undefined || dispatched.kind !== "answer" || dispatched.status !== 200) return dispatched;
  const { body, answeredBy, journey } = dispatched;
  if (body instanceof Uint8Array && readIntentOdds(body, question.options) !== undefined) return dispatched;
  if (!(body instanceof Uint8Array)) body.cancel("caller");
  door.misanswered(answeredBy.name);
  const message = `${answeredBy.name} answered, and named none of the letters that it was asked for.`;
  return { kind: "refusal", code: "upstream_failed", message, retryAfterMs: undefined, journey };
}

/** For the headers of every answer to a forwarded request; `refused` where it is this router's own and no engine's. */
export function toldToPeer(
  { forwarded }: FromPeer,
  { fleet, clock }: Pick<Door, "fleet" | "clock">,
  refused?: ErrorCode,
): Readonly<Record<string, string>> {
  const endpoint = fleet.named(forwarded.endpoint);
  const isOurs = endpoint !== undefined && endpoint.peer === undefined;
  return {
    ...(isOurs && { [loadHeader]: loadHint(endpoint.load(clock.now())) }),
    ...(refused !== undefined && { [peerRefusedHeader]: refused }),
  };
}
