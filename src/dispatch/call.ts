// One call to one engine, from the first byte sent to the last byte relayed. It holds no choice: it says how the
// call went, and whoever started it decides what follows. Before the answer's first byte everything is a value;
// afterwards the answer can only end or break.

import { asBuffer } from "../base/as-buffer.ts";
import type { Clock, Instant } from "../base/clock.ts";
import { parseJson } from "../base/parse-json.ts";
import type { OutcomeKind } from "../fleet/outcome.ts";
import { forwardedRule, loadHeader, refusedThere } from "../host/forwarded.ts";
import type { PeerRequest } from "../host/peer-wire.ts";
import type { WireExchange, WireResponse } from "../wire/exchange.ts";
import type { WireErrorCode } from "../wire/wire-error.ts";
import { WireError } from "../wire/wire-error.ts";
import type { CallControl } from "./answer-relay.ts";
import { cutShort, relayRest, relayStream } from "./answer-relay.ts";
import type { EngineLink } from "./engine-link.ts";
import type { Relay } from "./relay.ts";
import { createStreamGuard } from "./stream-guard.ts";
import type { TokenUsage } from "./token-usage.ts";
import { usageIn } from "./token-usage.ts";
import { createWholeEvents } from "./whole-events.ts";

const callLimits = {
  /** A whole answer up to this size is gathered before its first byte goes out, so that a cut can still fail over. */
  gatherBytes: 256 * 1024,
  /** Of a refusal or an error, which is read for its message and dropped. */
  errorBytes: 64 * 1024,
} as const;

export interface Call {
  readonly wire: PeerRequest;
  readonly link: EngineLink;
  /** Until the first byte of the answer's body; undefined: all the time there is. */
  readonly firstByteMs: number | undefined;
  readonly deadline: Instant;
  readonly clock: Clock;
  /** Bytes came. */
  heard(): void;
  /** Figures about its load that the engine, or its router, put into the head of the answer. */
  load(value: string): void;
  /** The result is known. An answer that is relayed goes on. */
  settled(): void;
  /** It is over; called exactly once, with the call's slot still held. */
  over(end: CallEnd): void;
}

export interface CallEnd {
  readonly kind: OutcomeKind;
  readonly firstByteMs: number | undefined;
  readonly totalMs: number;
  readonly retryAfterMs?: number | undefined;
  readonly usage?: TokenUsage | undefined;
  /** A kept-alive connection closed on it before this end, and it was sent once more. */
  readonly resent?: boolean;
}

export type CallResult =
  /** Nothing has gone to the caller: something else may be tried. */
  | {
      readonly answered: false;
      readonly kind: OutcomeKind;
      readonly why: string;
      readonly retryAfterMs?: number | undefined;
    }
  | {
      readonly answered: true;
      readonly status: number;
      readonly headers: readonly (readonly [name: string, value: string])[];
      readonly body: Uint8Array | Relay;
    };

export interface RunningCall {
  readonly result: Promise<CallResult>;
  /** Ends it from outside; the result says so, unless the answer had begun. */
  stop(kind: "cancelled" | "silent" | "deadline"): void;
}

/** What each way for the wire to fail means for the endpoint. */
const wireOutcomes: Readonly<Record<WireErrorCode, OutcomeKind>> = {
  refused: "refused",
  unreachable: "unreachable",
  tls: "unreachable",
  reset: "reset",
  closed: "reset",
  truncated: "truncated",
  timeout: "timeout",
  malformed: "garbage",
  "too-large": "garbage",
  cancelled: "cancelled",
  "too-many-connections": "busy",
};

type Refuse = (kind: OutcomeKind, why: string, retryAfterMs?: number) => CallResult;

export function startCall(call: Call): RunningCall {
  const { clock } = call;
  const began = clock.now();
  let exchange: WireExchange | undefined;
  /** Why we ended it ourselves; the first reason counts. */
  let stoppedBy: OutcomeKind | undefined;
  let firstByteMs: number | undefined;
  let ended = false;
  let resent = false;

  const stop = (kind: OutcomeKind): void => {
    if (ended) return;
    stoppedBy ??= kind;
    exchange?.cancel();
  };
  const cancelDeadline = clock.after(call.deadline - began, () => stop("deadline"));
  const cancelFirstByte =
    call.firstByteMs === undefined || began + call.firstByteMs >= call.deadline
      ? undefined
      : clock.after(call.firstByteMs, () => stop("timeout"));

  const end: CallControl["end"] = (kind, more = {}) => {
    if (ended) return;
    ended = true;
    cancelDeadline();
    cancelFirstByte?.();
    const totalMs = clock.now() - began;
    call.over({ kind, firstByteMs, totalMs, resent, ...more });
  };

  const failed: CallControl["failed"] = (error) => {
    if (!(error instanceof WireError)) {
      end("garbage");
      throw error;
    }
    const kind = error.code === "cancelled" ? (stoppedBy ?? "cancelled") : wireOutcomes[error.code];
    return { kind, why: error.message };
  };

  const control: CallControl = { end, failed, stop, hangUp: () => exchange?.cancel() };

  const send = (fresh: boolean): Promise<WireResponse> => {
    exchange = call.link.client.request({ ...call.wire, heard: call.heard, fresh });
    if (stoppedBy !== undefined) exchange.cancel();
    return exchange.response;
  };

  /** A kept-alive connection that closed before any byte of an answer proves nothing: once more, on a fresh one. */
  const sendAgain = (error: unknown): Promise<WireResponse> => {
    if (!isStaleConnection(error) || stoppedBy !== undefined) throw error;
    resent = true;
    return send(true);
  };

  const gotFirstByte = (): void => {
    if (firstByteMs !== undefined) return;
    firstByteMs = clock.now() - began;
    cancelFirstByte?.();
  };

  const run = async (): Promise<CallResult> => {
    const refuse: Refuse = (kind, why, retryAfterMs) => {
      end(kind, { retryAfterMs });
      // What was not read of a refusal must not hold the connection.
      control.hangUp();
      return { answered: false, kind, why, retryAfterMs };
    };
    try {
      const response = await send(false).catch(sendAgain);
      const { status, headers } = response;
      const { dialect } = call.link;
      const loadName = loadHeaderOf(call.link);
      const loadValue = loadName && headers.get(loadName);
      if (loadValue !== undefined) call.load(loadValue);

      const refused = call.link.peer && refusedThere(status, headers);
      const verdict = dialect.verdict(status, refused);
      if (verdict !== "ok" && verdict !== "client-error") {
        const text = await readText(response, callLimits.errorBytes);
        const message = dialect.readError(status, text)?.message;
        const why = `status ${status}${message === undefined ? "" : `: ${message}`}`;
        return refuse(
          verdict === "late" ? lateness(call.deadline - clock.now()) : verdict,
          why,
          retryAfterMsOf(headers.get("retry-after-ms"), headers.get("retry-after")),
        );
      }

      const streams = headers.get("content-type")?.startsWith("text/event-stream") ?? false;
      if (streams && verdict === "ok") return await runStream(response, refuse);
      const gathered: Uint8Array[] = [];
      let bytes = 0;
      for (;;) {
        const next = response.body.next();
        // A short answer has come with its head, and needs no turn of the loop.
        const chunk = next instanceof Promise ? await next : next;
        gotFirstByte();
        if (chunk === null) break;
        gathered.push(chunk);
        bytes += chunk.length;
        if (bytes > callLimits.gatherBytes) return answer(response, relayRest(response, gathered, control));
      }
      const whole =
        gathered.length === 1 && gathered[0] !== undefined ? gathered[0] : Buffer.concat(gathered);
      if (response.delimited === "close" && !isJson(whole)) return refuse("truncated", cutShort);
      const saysJson = headers.get("content-type")?.startsWith("application/json") ?? false;
      const plain = headers.get("content-encoding") === undefined;
      if (verdict === "ok" && saysJson && plain && !looksLikeJson(whole)) {
        return refuse("garbage", "the engine called its answer JSON, and it is none");
      }
      end(verdict, { usage: usageIn(tailOf(whole)) });
      return answer(response, whole);
    } catch (error) {
      const { kind, why } = failed(error);
      return refuse(kind, why);
    } finally {
      call.settled();
    }
  };

  /** Waits for the first whole event, so that a stream which begins with an error can still be asked for elsewhere. */
  const runStream = async (response: WireResponse, refuse: Refuse): Promise<CallResult> => {
    const guard = createStreamGuard();
    const events = createWholeEvents();
    for (;;) {
      const chunk = await response.body.next();
      gotFirstByte();
      if (chunk === null) return refuse("truncated", "the stream ended before its first event was whole");
      const first = events.push(chunk);
      if (first === undefined) continue;
      if (guard.feed(first) !== undefined) {
        return refuse("server-error", `the stream began with an error: ${excerpt(first)}`);
      }
      return answer(response, relayStream(response, guard, events, first, control));
    }
  };

  return { result: run(), stop };
}

function answer(response: WireResponse, body: Uint8Array | Relay): CallResult {
  return { answered: true, status: response.status, headers: response.headers.entries, body };
}

const loadHeaderOf = (link: EngineLink): string | undefined =>
  link.peer === undefined ? link.dialect.loadHeader?.name : loadHeader;

/** A router has been told a deadline shortly before ours; what ran out earlier was its patience with the engine. */
const lateness = (leftMs: number): OutcomeKind =>
  leftMs <= 2 * forwardedRule.earlierMs ? "deadline" : "timeout";

function isStaleConnection(error: unknown): boolean {
  return (
    error instanceof WireError &&
    error.reused &&
    !error.heard &&
    (error.code === "closed" || error.code === "reset")
  );
}

/** At most `limit` bytes as text; the rest is cut, since it is only read for its message. */
async function readText({ body }: WireResponse, limit: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  while (bytes < limit) {
    const chunk = await body.next();
    if (chunk === null) break;
    parts.push(chunk);
    bytes += chunk.length;
  }
  return Buffer.concat(parts).toString("utf8");
}

/** Milliseconds; `retry-after` in seconds or as a date is only read where it is seconds. */
function retryAfterMsOf(ms: string | undefined, seconds: string | undefined): number | undefined {
  const value = ms !== undefined ? Number(ms) : seconds !== undefined ? Number(seconds) * 1000 : Number.NaN;
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}

const usageBytes = 4096;
const tailOf = (whole: Uint8Array): string =>
  asBuffer(whole).toString("latin1", Math.max(0, whole.length - usageBytes));

/** By its first and last byte: a full parse of every answer would cost more than it finds. */
function looksLikeJson(whole: Uint8Array): boolean {
  let first = 0;
  while (isSpace(whole[first])) first += 1;
  let last = whole.length - 1;
  while (isSpace(whole[last])) last -= 1;
  return (whole[first] === 0x7b && whole[last] === 0x7d) || (whole[first] === 0x5b && whole[last] === 0x5d);
}

/** As JSON knows it. */
const isSpace = (byte: number | undefined): boolean =>
  byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

const isJson = (whole: Uint8Array): boolean => parseJson(asBuffer(whole).toString("utf8")) !== undefined;

const excerpt = (chunk: Uint8Array): string => asBuffer(chunk).toString("utf8").slice(0, 200);
