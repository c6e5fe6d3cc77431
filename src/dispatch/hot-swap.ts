// An engine that has got another model behind its address, before anybody here has heard of it: it refuses the name that
// we put into the request, and would answer to its new one. Whether so, and nothing of what follows from it.

import type { Clock } from "../base/clock.ts";
import type { Leaving } from "../base/departure.ts";
import type { EndpointState } from "../fleet/endpoint-state.ts";
import type { CallResult } from "./call.ts";
import type { EngineLink } from "./engine-link.ts";

/** Whether it says that it does not know the model, or the path: engines use one status for both. */
export const isUnknownThere = (result: CallResult): boolean =>
  result.answered && result.status === 404 && result.body instanceof Uint8Array;

/**
 * Whether the endpoint serves another model first than `asked`. Its engine is asked where nobody has found out already;
 * one behind a peer is that peer's to ask. False when the time is over, or the caller gone, before it has said so.
 */
export async function servesAnother(
  asked: string,
  endpoint: EndpointState,
  link: EngineLink,
  limitMs: number,
  clock: Clock,
  callerLeft: Leaving,
): Promise<boolean> {
  if (link.peer !== undefined) return false;
  const isOther = (): boolean => endpoint.models?.[0] !== asked;
  if (isOther() || link.relist === undefined) return isOther();
  const { promise, resolve } = Promise.withResolvers<void>();
  const stopTimer = clock.after(limitMs, resolve);
  callerLeft.addEventListener("abort", resolve);
  try {
    if (callerLeft.aborted) resolve();
    await Promise.race([link.relist(), promise]);
  } finally {
    stopTimer();
    callerLeft.removeEventListener("abort", resolve);
  }
  return isOther();
}
