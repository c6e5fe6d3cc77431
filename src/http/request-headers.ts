// What the caller's headers ask for, and which of them go on to the engine.

import type { SlaClass } from "../routing/sla.ts";
import { slaClasses } from "../routing/sla.ts";
import type { BadRequest } from "./errors.ts";
import { randomHex } from "./random-hex.ts";

/** Above this a deadline is clamped. */
const deadlineMostMs = 600_000;
const requestIdMost = 128;
/** Characters. Ids are shorter, and whatever it holds is hashed for every request. */
const sessionMost = 256;

/** `x-tierline-deadline-ms`: decimal milliseconds, whole or with a fraction; no exponent, no sign, no hex. */
export function readDeadlineMs(value: string | null): number | undefined | BadRequest {
  if (value === null) return undefined;
  const ms = /^\d{1,300}(\.\d{1,300})?$/.test(value) ? Number(value) : 0;
  if (ms > 0) return Math.min(ms, deadlineMostMs);
  return {
    code: "invalid_request",
    message: `x-tierline-deadline-ms must be a number of milliseconds above 0, such as 250; got "${printable(value)}".`,
    param: "x-tierline-deadline-ms",
  };
}

export function readSla(value: string | null): SlaClass | undefined | BadRequest {
  if (value === null) return undefined;
  const found = slaClasses.find((name) => name === value);
  if (found !== undefined) return found;
  return {
    code: "invalid_request",
    message: `x-tierline-sla must be one of ${slaClasses.join(", ")}; got "${printable(value)}".`,
    param: "x-tierline-sla",
  };
}

/** `x-tierline-session`, else the body's `user`. It is a wish: one that is too long or empty is none, and no error. */
export function readSession(header: string | null, user: string | undefined): string | undefined {
  const isUsable = (name: string): boolean => name !== "" && name.length <= sessionMost;
  if (header !== null && isUsable(header)) return header;
  return user !== undefined && isUsable(user) ? user : undefined;
}

/** The directives that the result cache obeys; the stricter wins, and all others are the engine's affair. */
export function readCacheControl(value: string | null): "no-store" | "no-cache" | undefined {
  if (value === null) return undefined;
  const directives = value.split(",").map((directive) => directive.split("=")[0]?.trim().toLowerCase());
  return (["no-store", "no-cache"] as const).find((name) => directives.includes(name));
}

/** Whether `respond-async` is among the preferences (RFC 7240), whatever comes with it. */
export const prefersAsync = (value: string | null): boolean =>
  value?.split(",").some((preference) => /^\s*respond-async\s*(?:[;=]|$)/i.test(preference)) === true;

const idempotencyKeyMost = 255;

export function readIdempotencyKey(value: string | null): string | undefined | BadRequest {
  if (value === null) return undefined;
  if (value.length <= idempotencyKeyMost && /^[\x21-\x7e]+$/.test(value)) return value;
  return {
    code: "invalid_request",
    message: `Idempotency-Key must be 1 to ${idempotencyKeyMost} printable characters without spaces.`,
    param: "Idempotency-Key",
  };
}

/** The caller's, where it is short and printable; else a new one. */
export function requestIdOf(value: string | null): string {
  if (value !== null && value.length <= requestIdMost && /^[\x21-\x7e]+$/.test(value)) return value;
  return `req_${randomHex(32)}`;
}

export interface Trace {
  /** Echoed to the caller. */
  readonly own: string;
  /** For the engine: the same trace, a span of our own. */
  readonly onward: string;
}

/** W3C trace context, version 00. A header that is not valid starts a new trace. */
export function traceOf(value: string | null): Trace {
  const given =
    value === null ? null : /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/.exec(value);
  const traceId = given?.[1] ?? randomHex(32);
  const flags = given?.[2] ?? "01";
  const onward = `00-${traceId}-${randomHex(16)}-${flags}`;
  return { own: given?.[0] ?? onward, onward };
}

/** Not the engine's business: the connection's own, the caller's secrets, ours, and what we set ourselves. */
const kept = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "host",
  "content-length",
  "content-type",
  "expect",
  "accept-encoding",
  "authorization",
  "x-api-key",
  "api-key",
  "cookie",
  "origin",
  "referer",
  "x-request-id",
  "traceparent",
  "prefer",
]);

type HeaderList = (readonly [name: string, value: string])[];

export function onwardHeaders(headers: Headers, requestId: string, trace: Trace): HeaderList {
  const onward: HeaderList = [
    ["x-request-id", requestId],
    ["traceparent", trace.onward],
    // An answer that is relayed byte for byte is looked at on its way, so it must be plain.
    ["accept-encoding", "identity"],
    // It has been read as JSON, whatever the caller called it; vLLM refuses anything that is called otherwise.
    ["content-type", "application/json"],
  ];
  const connection = headers.get("connection");
  const named = connection === null ? [] : connection.toLowerCase().split(/\s*,\s*/);
  for (const [name, value] of headers) {
    if (kept.has(name) || name.startsWith("x-tierline-") || named.includes(name)) continue;
    if (/^[\t\x20-\x7e]*$/.test(value)) onward.push([name, value]);
  }
  return onward;
}

/** Of an engine's answer: the connection's own, and what the server writes itself. */
const engineOnly = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "content-length",
  "date",
  "server",
  "x-request-id",
  "traceparent",
  "server-timing",
  "endpoint-load-metrics",
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "set-cookie",
  "alt-svc",
  "strict-transport-security",
]);

/** A plain record, because filling a Headers object costs a call into the runtime for each. */
export function relayedHeaders(
  entries: readonly (readonly [name: string, value: string])[],
): Record<string, string> {
  // No prototype: an engine may call a header `constructor`.
  const headers: Record<string, string> = Object.create(null);
  for (const [name, value] of entries) {
    if (engineOnly.has(name) || name.startsWith("x-tierline-")) continue;
    const before = headers[name];
    headers[name] = before === undefined ? value : `${before}, ${value}`;
  }
  return headers;
}

const printable = (value: string): string => value.slice(0, 64).replaceAll(/[^\x20-\x7e]/g, "?");
