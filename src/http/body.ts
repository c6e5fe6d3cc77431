// Reads a request body once, bounded in size and time, and the few members that routing needs.

import type { Clock } from "../base/clock.ts";
import { isRecord } from "../base/is-record.ts";
import { isDeeperThan } from "../base/nesting.ts";
import type { BadRequest } from "./errors.ts";

const bodyRule = {
  /** A body must be there by then; Bun's own idle limit does not watch the bodies of POST requests. */
  timeoutMs: 10_000,
  /** Deeper than any request means to be: a tool's schema goes some twenty deep. */
  depthMost: 128,
  /** A smaller body is parsed within 7 ms, however deep it is; to look first would cost every dialogue a tenth. */
  shallowBytes: 128 * 1024,
} as const;

export interface BodyFields {
  readonly model: string | undefined;
  readonly stream: boolean;
  readonly hasPriority: boolean;
  /** OpenAI's name for whoever stands behind the caller; anything but a string is the engine's to judge. */
  readonly user: string | undefined;
  /** The whole of it, unjudged. */
  readonly parsed: Readonly<Record<string, unknown>>;
}

/** `leftMs`: until the caller's own deadline. */
export function readBody(
  request: Request,
  limitBytes: number,
  clock: Clock,
  leftMs: number,
): Promise<Uint8Array | BadRequest> {
  const announced = request.headers.get("content-length");
  const unreadable = refusedByHead(request, announced, limitBytes);
  if (unreadable !== undefined) return Promise.resolve(unreadable);
  // Where the length is announced Bun gathers the body itself, which is the fast way.
  return bodyInTime(announced === null ? readChunked(request, limitBytes) : request.bytes(), clock, leftMs);
}

/** Where nobody needs the bytes, a sixth of a small request is saved. What is not UTF-8 becomes U+FFFD. */
export function readText(request: Request, limitBytes: number, clock: Clock): Promise<string | BadRequest> {
  const announced = request.headers.get("content-length");
  const unreadable = refusedByHead(request, announced, limitBytes);
  if (unreadable !== undefined) return Promise.resolve(unreadable);
  const reading = announced === null ? readChunkedText(request, limitBytes) : request.text();
  return bodyInTime(reading, clock, Number.POSITIVE_INFINITY);
}

/** What can be refused before a byte of the body is read. Nothing is unpacked here: a bomb would be no engine's affair. */
function refusedByHead(
  { headers }: Request,
  announced: string | null,
  limitBytes: number,
): BadRequest | undefined {
  const coding = headers.get("content-encoding");
  if (coding !== null && coding.toLowerCase() !== "identity") {
    return {
      code: "unsupported_encoding",
      message: "A compressed request body is not read here. Send it without content-encoding.",
      param: "content-encoding",
    };
  }
  return announced !== null && Number(announced) > limitBytes ? tooLarge(limitBytes) : undefined;
}

function bodyInTime<T>(
  reading: Promise<T | BadRequest>,
  clock: Clock,
  leftMs: number,
): Promise<T | BadRequest> {
  return new Promise((resolve) => {
    const late = leftMs < bodyRule.timeoutMs;
    const limitMs = Math.min(leftMs, bodyRule.timeoutMs);
    const stopTimer = clock.after(limitMs, () => {
      const code = late ? "deadline_exceeded" : "request_timeout";
      resolve({ code, message: `The request body did not arrive within ${limitMs} ms.` });
    });
    reading.then(
      (body) => {
        stopTimer();
        resolve(body);
      },
      // The caller left, or sent what is no body; whether anybody reads this is another matter.
      () => {
        stopTimer();
        resolve({ code: "invalid_request", message: "The request body ended before it was complete." });
      },
    );
  });
}

async function readChunkedText(request: Request, limitBytes: number): Promise<string | BadRequest> {
  const body = await readChunked(request, limitBytes);
  return "code" in body ? body : new TextDecoder().decode(body);
}

async function readChunked(request: Request, limitBytes: number): Promise<Uint8Array | BadRequest> {
  if (request.body === null) return new Uint8Array();
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of request.body) {
    parts.push(part);
    bytes += part.length;
    if (bytes > limitBytes) return tooLarge(limitBytes);
  }
  return Buffer.concat(parts);
}

function tooLarge(limitBytes: number): BadRequest {
  return {
    code: "request_too_large",
    message: `The request body is larger than the limit of ${limitBytes} bytes.`,
  };
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Anything else in the body is the engine's to judge. */
export function readFields(body: Uint8Array): BodyFields | BadRequest {
  const parsed = readObject(body);
  if ("code" in parsed) return parsed;
  const { model, stream, user } = parsed.object;
  if (model !== undefined && typeof model !== "string") {
    return { code: "invalid_request", message: "`model` must be a string.", param: "model" };
  }
  return {
    model,
    stream: stream === true,
    hasPriority: Object.hasOwn(parsed.object, "priority"),
    user: typeof user === "string" ? user : undefined,
    parsed: parsed.object,
  };
}

/** The body as the JSON object that it must be. */
export function readObject(
  body: Uint8Array | string,
): { readonly object: Readonly<Record<string, unknown>> } | BadRequest {
  let parsed: unknown;
  try {
    const text = typeof body === "string" ? body : utf8.decode(body);
    if (text.length > bodyRule.shallowBytes && isDeeperThan(text, bodyRule.depthMost)) {
      return {
        code: "invalid_request",
        message: `The request body is nested more than ${bodyRule.depthMost} deep.`,
      };
    }
    parsed = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
    return { code: "invalid_request", message: `The request body is not valid JSON: ${error.message}` };
  }
  if (!isRecord(parsed)) {
    return { code: "invalid_request", message: "The request body must be a JSON object." };
  }
  return { object: parsed };
}
