// How each fault bends an answer. What concerns the whole engine (refuse, and the freeze of a hang) is done there.

import { gzipSync } from "node:zlib";
import { doneFrame, errorFrame } from "./answer.ts";
import { engineDead } from "./ask.ts";
import type { Fault, TruncateHow } from "./faults.ts";
import type { Exchange, HeaderRow } from "./http-listener.ts";
import { headOf } from "./http-listener.ts";

/**
 * The exchange through which a faulty answer goes, or undefined where the fault has already answered by itself.
 * `hang`, `die-of` and `ignore-constraints` are not handled here: the engine holds such a request back, or reads it differently.
 */
export function bend(exchange: Exchange, fault: Fault): Exchange | undefined {
  switch (fault.kind) {
    case "status":
      exchange.answer(
        fault.status,
        retryHeaders(fault),
        fault.status === 500 ? engineDead.body : statusBody(fault.status),
      );
      return undefined;
    case "garbage":
      exchange.raw("\u0000\u0016\u0003\u0001 this is no HTTP \r\n\r\n{]}\r\n".repeat(4));
      exchange.close();
      return undefined;
    case "huge-head":
      exchange.raw(`HTTP/1.1 200 OK\r\nx-filler: ${"x".repeat((fault.kilobytes ?? 1024) * 1024)}\r\n`);
      exchange.raw("content-length: 2\r\n\r\n{}");
      exchange.close();
      return undefined;
    case "gzip-bomb":
      exchange.answer(
        200,
        [
          ["content-type", "application/json"],
          ["content-encoding", "gzip"],
        ],
        bomb(fault.megabytes ?? 100),
      );
      return undefined;
    case "close-on-reuse":
      exchange.close();
      return undefined;
    case "reset":
      if ((fault.when ?? "request") === "request") {
        exchange.reset();
        return undefined;
      }
      return cutAfter(exchange, "own", fault.when === "head" ? 0 : (fault.bytes ?? 64), exchange.reset);
    case "truncate":
      return truncated(exchange, fault.how ?? "chunk", fault.bytes ?? 400);
    case "slow-first-byte":
      return delayed(exchange, fault.delayMs, 0);
    case "slow-chunks":
      return delayed(exchange, 0, fault.delayMs);
    case "error-event":
      return failing(exchange, fault.afterTokens ?? 3);
    case "hang":
    case "ignore-constraints":
    case "refuse":
    case "die-of":
      return exchange;
  }
}

const jsonHeaders: HeaderRow[] = [["content-type", "application/json"]];

function retryHeaders(fault: {
  readonly retryAfterSeconds?: number;
  readonly retryAfterMs?: number;
}): HeaderRow[] {
  const headers = [...jsonHeaders];
  if (fault.retryAfterSeconds !== undefined) headers.push(["retry-after", `${fault.retryAfterSeconds}`]);
  if (fault.retryAfterMs !== undefined) headers.push(["retry-after-ms", `${fault.retryAfterMs}`]);
  return headers;
}

const statusBody = (status: number): string =>
  JSON.stringify({
    error: { message: "Simulated failure.", type: "SimulatedError", param: null, code: status },
  });

/** One bomb is kept: to pack it anew for each request would tell on the engine, not on the router. */
let packed: { readonly megabytes: number; readonly bytes: Uint8Array } | undefined;

function bomb(megabytes: number): Uint8Array {
  if (packed?.megabytes !== megabytes) {
    packed = { megabytes, bytes: gzipSync(Buffer.alloc(megabytes * 1024 * 1024, 0x20)) };
  }
  return packed.bytes;
}

/** Lets the head and so many bytes of the body through, as they stand on the wire, then calls `cut`. */
function cutAfter(exchange: Exchange, framing: Framing, bytes: number, cut: () => void): Exchange {
  let left = bytes;
  let over = false;
  return onWire(exchange, framing, (piece, last) => {
    if (over) return;
    exchange.raw(piece.subarray(0, left));
    left -= piece.length;
    if (left > 0 && !last) return;
    over = true;
    // A reset drops what the kernel has not sent yet: give what was written a moment to leave.
    setTimeout(cut, cutDelayMs);
  });
}

const cutDelayMs = 5;

function truncated(exchange: Exchange, how: TruncateHow, bytes: number): Exchange {
  switch (how) {
    case "chunk":
      return cutAfter(exchange, "chunked", bytes, exchange.close);
    case "length":
      return cutAfter(exchange, "length", bytes, exchange.close);
    case "last-chunk":
    case "last-line":
      return onWire(exchange, "chunked", (piece, last) => {
        if (!last) return exchange.raw(piece);
        if (how === "last-line") exchange.raw("0\r\n");
        exchange.close();
      });
  }
}

/** How the body is framed: as the answer asks for, or in this way whatever it asks for. */
type Framing = "own" | "chunked" | "length";

/** Longer than any answer that is cut short of it. */
const declaredLength = 10_000_000;

/** Turns an answer into the bytes on its wire: the head goes out at once, `body` gets the rest piece by piece. */
function onWire(
  exchange: Exchange,
  framing: Framing,
  body: (piece: Buffer, last: boolean) => void,
): Exchange {
  const inChunk = (piece: string | Uint8Array): Buffer => {
    const bytes = Buffer.from(piece);
    return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);
  };
  const lastChunk = Buffer.from("0\r\n\r\n");
  return {
    ...exchange,
    answer(status, headers, text) {
      if (framing === "chunked") {
        exchange.raw(headOf(status, headers, "transfer-encoding: chunked"));
        body(inChunk(text), false);
        body(lastChunk, true);
      } else {
        const bytes = Buffer.from(text);
        exchange.raw(headOf(status, headers, `content-length: ${bytes.length}`));
        body(bytes.subarray(0, framing === "length" ? bytes.length / 2 : bytes.length), true);
      }
    },
    begin(status, headers) {
      const length =
        framing === "length" ? `content-length: ${declaredLength}` : "transfer-encoding: chunked";
      exchange.raw(headOf(status, headers, length));
    },
    chunk(text) {
      body(framing === "length" ? Buffer.from(text) : inChunk(text), false);
    },
    end() {
      body(framing === "length" ? Buffer.alloc(0) : lastChunk, true);
    },
  };
}

/** Everything `firstMs` later, and then the pieces at least `gapMs` apart; in order, whatever the timers do. */
function delayed(exchange: Exchange, firstMs: number, gapMs: number): Exchange {
  const queue: { readonly act: () => void; readonly takesMs: number }[] = [];
  let busy = true;
  const next = (): void => {
    const head = queue.shift();
    busy = head !== undefined;
    if (head === undefined) return;
    head.act();
    if (head.takesMs > 0) setTimeout(next, head.takesMs);
    else next();
  };
  setTimeout(next, firstMs);
  const later = (act: () => void, takesMs = 0): void => {
    queue.push({ act, takesMs });
    if (!busy) next();
  };
  return {
    ...exchange,
    answer: (status, headers, body) => later(() => exchange.answer(status, headers, body)),
    begin: (status, headers) => later(() => exchange.begin(status, headers)),
    chunk: (body) => later(() => exchange.chunk(body), gapMs),
    end: () => later(() => exchange.end()),
  };
}

/** The answer of an engine that dies: after some tokens the error event, and the clean end that vLLM still gives. */
function failing(exchange: Exchange, afterTokens: number): Exchange {
  // The first chunk of a chat stream is the role.
  let chunksLeft = afterTokens + 1;
  return {
    ...exchange,
    answer: () => exchange.answer(engineDead.status, jsonHeaders, engineDead.body),
    chunk(body) {
      if (chunksLeft < 0) return;
      chunksLeft -= 1;
      if (chunksLeft >= 0) return exchange.chunk(body);
      exchange.chunk(errorFrame(engineDead.body));
      exchange.chunk(doneFrame);
      exchange.end();
    },
  };
}
