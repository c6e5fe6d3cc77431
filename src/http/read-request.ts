// From an HTTP request to one InferenceRequest: a caller's, or what a peer has forwarded of one.

import type { InferenceRequest } from "../dispatch/inference-request.ts";
import { reuseOf } from "../dispatch/reuse.ts";
import { sessionHeader, spilledHeader } from "../host/forwarded.ts";
import { isAbsent } from "../routing/models.ts";
import type { SlaClass } from "../routing/sla.ts";
import { resolveAsked } from "../routing/sla.ts";
import type { Arrival, FromPeer } from "./arrival.ts";
import { readBody, readFields } from "./body.ts";
import { forbids } from "./callers.ts";
import type { Door, DoorSettings } from "./door.ts";
import type { BadRequest } from "./errors.ts";
import { readQuestion, sessionOfPeer } from "./forwarded.ts";
import { laneMsFor, prefersJob } from "./in-lane.ts";
import { absentModel } from "./models.ts";
import { onwardHeaders, readCacheControl, readDeadlineMs, readSession, readSla } from "./request-headers.ts";

/** A peer lets in as much as this host, and puts the name of a model in where the caller left it out. */
const addedByPeerBytes = 1024;

type Unreadable = BadRequest & { readonly headers?: Readonly<Record<string, string>> };

/** What the body says, and who may say it. */
type Said = Pick<InferenceRequest, "sla" | "ladder" | "model" | "modelName" | "hasPriority" | "stream"> &
  Partial<
    Pick<
      InferenceRequest,
      "session" | "elsewhere" | "only" | "question" | "oneToken" | "share" | "reuse" | "laneMs" | "spilled"
    >
  >;

export async function readRequest(
  raw: Request,
  door: Door,
  arrival: Arrival,
): Promise<InferenceRequest | Unreadable> {
  const { path, receivedAt, id, trace, caller, fromPeer } = arrival;
  const settings = door.settings();
  const deadlineMs = readDeadlineMs(raw.headers.get("x-tierline-deadline-ms"));
  if (typeof deadlineMs === "object") return deadlineMs;
  const sla = readSla(raw.headers.get("x-tierline-sla"));
  if (typeof sla === "object") return sla;
  const leftMs = deadlineMs ?? Number.POSITIVE_INFINITY;
  const mostBytes = settings.bodyLimitBytes + (fromPeer === undefined ? 0 : addedByPeerBytes);
  const body = await readBody(raw, mostBytes, door.clock, leftMs);
  // What is left of the body is not worth reading, so the connection cannot be used again.
  if ("code" in body) return { ...body, headers: { connection: "close" } };
  const said =
    fromPeer === undefined
      ? saidByCaller(body, sla, raw.headers, arrival, door)
      : saidByPeer(body, sla, raw.headers, arrival, fromPeer, settings);
  if ("code" in said) return said;

  const rule = settings.policy.sla[said.sla];
  const totalMs = deadlineMs ?? rule.totalMs;
  // A caller who grants more time in all grants it to the first byte in proportion.
  const firstByteMs = rule.firstByteMs * Math.max(1, totalMs / rule.totalMs);
  return {
    id,
    path,
    caller,
    body,
    headers: onwardHeaders(raw.headers, id, trace),
    receivedAt,
    deadline: receivedAt + totalMs,
    firstByteMs,
    // Half of it is for waiting, the other half for the engine.
    ...(said.stream ? { waitsUntil: receivedAt + firstByteMs / 2 } : {}),
    ...said,
  };
}

function saidByCaller(
  body: Uint8Array,
  sla: SlaClass | undefined,
  headers: Headers,
  { elsewhere, key, path }: Arrival,
  door: Door,
): Said | BadRequest {
  const fields = readFields(body);
  if ("code" in fields) return fields;
  const { policy } = door.settings();
  const asked = resolveAsked(policy, sla, fields.model === "" ? undefined : fields.model);
  const forbidden = forbids(key, asked.sla, sla === undefined ? "model" : "x-tierline-sla");
  if (forbidden !== undefined) return forbidden;
  const { model } = asked;
  const isInLane = model !== undefined && door.desk.models?.includes(model) === true;
  if (model !== undefined && !isInLane && isAbsent(door.fleet, model)) return absentModel(model, door);
  return {
    ...asked,
    modelName: fields.model,
    hasPriority: fields.hasPriority,
    stream: fields.stream,
    session: readSession(headers.get(sessionHeader), fields.user),
    elsewhere,
    laneMs: elsewhere
      ? undefined
      : laneMsFor(
          { ...asked, path, stream: fields.stream, bodyBytes: body.length },
          prefersJob(headers, key),
          door,
        ),
    reuse: reuseOf({
      ...fields,
      sla: asked.sla,
      body,
      cacheControl: readCacheControl(headers.get("cache-control")),
    }),
  };
}

/** Its first router has chosen, and keeps what can be kept: here there is one endpoint, and one attempt. */
function saidByPeer(
  body: Uint8Array,
  sla: SlaClass | undefined,
  headers: Headers,
  { path }: Arrival,
  { forwarded }: FromPeer,
  { policy, intentEngineShare }: DoorSettings,
): Said | BadRequest {
  const { tier, endpoint, model, body: kind } = forwarded;
  const there = {
    sla: sla ?? "interactive",
    ladder: [policy.rungs[tier]],
    only: endpoint,
    session: sessionOfPeer(headers),
    spilled: headers.get(spilledHeader) !== null,
  };
  if (kind === "question") {
    if (path !== "/v1/chat/completions") {
      return { code: "invalid_request", message: "A question is asked at /v1/chat/completions." };
    }
    const asked = readQuestion(body);
    if ("code" in asked) return asked;
    return {
      ...there,
      question: asked.question,
      share: intentEngineShare,
      oneToken: true,
      model: model === "exact" ? asked.model : undefined,
      modelName: undefined,
      hasPriority: false,
      stream: false,
    };
  }
  const fields = readFields(body);
  if ("code" in fields) return fields;
  return {
    ...there,
    model: model === "exact" ? fields.model : undefined,
    modelName: fields.model,
    hasPriority: fields.hasPriority,
    stream: fields.stream,
  };
}
