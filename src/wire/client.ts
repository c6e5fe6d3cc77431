// The HTTP/1.1 client: one client is one endpoint and one pool of connections. No redirects, no retries, no
// decompression, no proxies: what to do about an answer or a failure is decided upstairs.

import type { Clock } from "../base/clock.ts";
import type { WireTarget } from "./dial.ts";
import { dialTo } from "./dial.ts";
import type { WireExchange, WireRequest } from "./exchange.ts";
import { Exchange } from "./exchange.ts";
import type { WireLimits } from "./limits.ts";
import { defaultWireLimits } from "./limits.ts";
import type { PoolCounts } from "./pool.ts";
import { createPool } from "./pool.ts";

// The room's other words, so that callers need one import.
export type { WireBody } from "./body-queue.ts";
export type { WireTarget } from "./dial.ts";
export type { WireExchange, WireRequest, WireResponse } from "./exchange.ts";
export type { WireLimits } from "./limits.ts";
export type { WireHeaders } from "./response-head.ts";

export interface WireClient {
  /**
   * Starts at once. Failures come as rejections of the response.
   * @throws TypeError when the request could not be written as one well-formed request: a bug of the caller.
   */
  request(request: WireRequest): WireExchange;
  stats(): PoolCounts;
  /** Cancels what is under way and refuses what comes. */
  close(): void;
  /** The other end is known to be gone: what is under way fails as unreachable, at once, and what comes is refused. */
  abandon(why: string): void;
}

export function createWireClient(
  target: WireTarget,
  clock: Clock,
  limits: Partial<WireLimits> = {},
): WireClient {
  const allLimits: WireLimits = { ...defaultWireLimits, ...limits };
  const pool = createPool((told) => dialTo(target, clock, allLimits, told), clock, allLimits);
  const host = hostHeader(target);
  return {
    request(request) {
      const exchange = new Exchange(request, host, allLimits, clock);
      pool.carry(exchange);
      return exchange;
    },
    stats: pool.counts,
    close: pool.close,
    abandon: pool.abandon,
  };
}

function hostHeader({ host, port, tls }: WireTarget): string {
  const name = tls?.serverName ?? host;
  const bracketed = name.includes(":") ? `[${name}]` : name;
  const isDefaultPort = port === (tls === undefined ? 80 : 443);
  return isDefaultPort ? bracketed : `${bracketed}:${port}`;
}
