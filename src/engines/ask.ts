// One question to an engine and its whole answer, bounded in bytes and time. How it failed is a value.

import type { Clock } from "../base/clock.ts";
import type { WireClient, WireResponse } from "../wire/client.ts";
import { readAtMost } from "../wire/read-at-most.ts";
import { WireError } from "../wire/wire-error.ts";

export interface Question {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: string;
  /** Until the last byte of the answer. */
  readonly timeoutMs: number;
  /** On a connection of its own, not one from the pool. */
  readonly fresh?: boolean;
}

/**
 * "silent": the time ran out. "unreachable": no connection came about, and nobody said why. "refused": no connection, and
 * somebody said so; a broken one, too long an answer, none of it, or aborted.
 */
export type Answer =
  | { readonly status: number; readonly body: string }
  | { readonly failed: "silent" | "unreachable" | "refused" };

export type Ask = (question: Question, signal: AbortSignal) => Promise<Answer>;

/** Ten times the longest page of figures seen. */
const answerLimitBytes = 2 ** 20;

/**
 * `headers` are sent with every question: the engine's own key, where it wants one. `isEngines`: whether an answer is of
 * the engine that was asked, and not of somebody before it.
 */
export function createAsk(
  client: Pick<WireClient, "request">,
  clock: Clock,
  headers: readonly (readonly [string, string])[],
  isEngines: (response: WireResponse) => boolean = () => true,
): Ask {
  return async ({ method, path, body, timeoutMs, fresh }, signal) => {
    if (signal.aborted) return { failed: "refused" };
    let late = false;
    const exchange = client.request({
      method,
      path,
      headers: body === undefined ? headers : [...headers, ["content-type", "application/json"]],
      ...(body !== undefined && { body: [new TextEncoder().encode(body)] }),
      ...(fresh !== undefined && { fresh }),
    });
    const cancelTimer = clock.after(timeoutMs, () => {
      late = true;
      exchange.cancel();
    });
    const abort = (): void => exchange.cancel();
    signal.addEventListener("abort", abort, { once: true });
    try {
      const response = await exchange.response;
      // Longer than anybody has use for.
      const whole = await readAtMost(response.body, answerLimitBytes);
      if (whole === undefined) exchange.cancel();
      return whole === undefined || !isEngines(response)
        ? { failed: "refused" }
        : { status: response.status, body: new TextDecoder().decode(whole) };
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      if (late) return { failed: "silent" };
      return { failed: error.code === "unreachable" ? "unreachable" : "refused" };
    } finally {
      cancelTimer();
      signal.removeEventListener("abort", abort);
    }
  };
}
