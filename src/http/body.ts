// Reads a request body once, bounded in size and time, and the few members that routing needs.

import type { Clock } from "../base/clock.ts";
import type { BadRequest } from "./errors.ts";

const bodyRule = {
  /** A body must be there by then; Bun's own idle limit does not watch the bodies of POST requests. */
  timeoutMs: 10_000,
} as const;

export interface BodyFields {
  readonly model: string | undefined;
  readonly stream: boolean;
  readonly hasPriority: boolean;
}

/** `leftMs`: until the caller's own deadline. */
export function readBody(
  request: Request,
  limitBytes: number,
  clock: Clock,
  leftMs: number,
): Promise<Uint8Array | BadRequest> {
  const announced = request.headers.get("content-length");
  if (announced !== null && Number(announced) > limitBytes) return Promise.resolve(tooLarge(limitBytes));
  // Where the length is announced Bun gathers the body itself, which is the fast way.
  const reading = announced === null ? readChunked(request, limitBytes) : request.bytes();
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
  let parsed: unknown;
  try {
    parsed = JSON.parse(utf8.decode(body));
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
    return { code: "invalid_request", message: `The request body is not valid JSON: ${error.message}` };
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    return { code: "invalid_request", message: "The request body must be a JSON object." };
  }
  const model = "model" in parsed ? parsed.model : undefined;
  if (model !== undefined && typeof model !== "string") {
    return { code: "invalid_request", message: "`model` must be a string.", param: "model" };
  }
  return {
    model,
    stream: "stream" in parsed && parsed.stream === true,
    hasPriority: "priority" in parsed,
  };
}
