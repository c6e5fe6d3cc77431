// The intent endpoints over HTTP: items as JSON, single or in a batch, and ask frames as bodies. They need no engine
// and are answered in every phase of the router.

import type { Instant } from "../base/clock.ts";
import { describeArchetype } from "../intents/archetype.ts";
import type { FrameFault } from "../intents/frame.ts";
import { errorFrame, frameFaults, itemsMost } from "../intents/frame.ts";
import { readBody, readObject, readText } from "./body.ts";
import type { Door } from "./door.ts";
import type { BadRequest } from "./errors.ts";
import { errorResponse } from "./errors.ts";
import type { AnswerFrame } from "./npc-frames.ts";
import type { AnswerItems } from "./npc-items.ts";
import { requestIdOf } from "./request-headers.ts";

export const intentsPath = "/v1/npc/intents";

/** What ask and answer frames are called as bodies. */
const frameType = "application/vnd.tierline.intents";
const jsonType = "application/json";

/** Half a kilobyte an item of the largest batch. To parse four megabytes would keep everybody else waiting. */
const itemsBytesMost = 512 * itemsMost;

/** Made once: for a Response they are copied in half the time that it takes to make them. */
const headersOf = {
  [frameType]: new Headers({ "content-type": frameType }),
  [jsonType]: new Headers({ "content-type": jsonType }),
} as const;

/** What is left of a body that was not read to its end is not worth reading, so the connection cannot be used again. */
const unread = { connection: "close" };

export function listArchetypes({ intents: { archetypes } }: Door): Response {
  return Response.json({ epoch: archetypes.epoch, archetypes: archetypes.all.map(describeArchetype) });
}

/** POST /v1/npc/intents. */
export function createHandleIntents(
  door: Door,
  answerFrame: AnswerFrame,
  answerItems: AnswerItems,
): (request: Request) => Promise<Response> {
  const { clock, settings } = door;

  const handleFrame = async (request: Request, receivedAt: Instant): Promise<Response> => {
    const body = await readBody(request, settings().bodyLimitBytes, clock, Number.POSITIVE_INFINITY);
    if ("code" in body) {
      if (body.code !== "request_too_large") return refused(door, request, body, unread);
      const { epoch } = door.intents.archetypes;
      return answerWithFrame(request, errorFrame({ fault: "too-large", requestId: 0 }, epoch), "too-large");
    }
    return new Promise((resolve) => {
      answerFrame(body, receivedAt, true, (frame, fault) => resolve(answerWithFrame(request, frame, fault)));
    });
  };

  const handleItems = async (request: Request, receivedAt: Instant): Promise<Response> => {
    const limitBytes = Math.min(settings().bodyLimitBytes, itemsBytesMost);
    const body = await readText(request, limitBytes, clock);
    if (typeof body !== "string") return refused(door, request, body, unread);
    const parsed = readObject(body);
    if ("code" in parsed) return refused(door, request, parsed);
    const { object } = parsed;
    const wrong = wrongEnvelope(object);
    if (wrong !== undefined) return refused(door, request, wrong);
    const { items, explain } = object;
    const answering = Array.isArray(items)
      ? answerItems(items, true, explain === true, receivedAt)
      : answerItems([object], false, false, receivedAt);
    const answers = answering instanceof Promise ? await answering : answering;
    return answer(request, jsonType, answers);
  };

  return (request) => {
    const receivedAt = clock.now();
    const isFrame = isFrameType(request.headers.get("content-type"));
    return isFrame ? handleFrame(request, receivedAt) : handleItems(request, receivedAt);
  };
}

/** Of a batch only: what is wrong with a single item is said in its answer. */
function wrongEnvelope({ items, explain }: Readonly<Record<string, unknown>>): BadRequest | undefined {
  if (items === undefined) return undefined;
  if (!Array.isArray(items)) return invalid("items", "`items` must be a list of items.");
  if (items.length > itemsMost) {
    return invalid("items", `A batch holds at most ${itemsMost} items, and this one has ${items.length}.`);
  }
  if (explain !== undefined && typeof explain !== "boolean") {
    return invalid("explain", "`explain` must be true or false.");
  }
  return undefined;
}

const invalid = (param: string, message: string): BadRequest => ({ code: "invalid_request", message, param });

function refused({ account }: Door, request: Request, why: BadRequest, headers = {}): Response {
  account.rejected(why.code);
  const all = { ...headers, "x-request-id": requestIdOf(request.headers.get("x-request-id")) };
  return errorResponse(why.code, why.message, { param: why.param, headers: all });
}

/** No line of the log is about a plain answer, so it needs no id that the caller did not give. */
function answer(
  request: Request,
  type: keyof typeof headersOf,
  body: Uint8Array<ArrayBuffer>,
  status = 200,
): Response {
  const given = request.headers.get("x-request-id");
  if (given === null) return new Response(body, { status, headers: headersOf[type] });
  return new Response(body, {
    status,
    headers: { "content-type": type, "x-request-id": requestIdOf(given) },
  });
}

const answerWithFrame = (request: Request, frame: Uint8Array<ArrayBuffer>, fault?: FrameFault): Response =>
  answer(request, frameType, frame, fault === undefined ? 200 : frameFaults[fault].status);

/** Parameters and capitals mean nothing here. */
function isFrameType(type: string | null): boolean {
  if (type === null || type === jsonType) return false;
  return type.split(";", 1)[0]?.trim().toLowerCase() === frameType;
}
