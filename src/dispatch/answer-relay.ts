// The second half of an attempt: an answer whose first byte is out. It can only end or break.

import type { OutcomeKind } from "../fleet/outcome.ts";
import type { WireResponse } from "../wire/client.ts";
import type { Relay } from "./relay.ts";
import { BrokenAnswer } from "./relay.ts";
import type { StreamGuard } from "./stream-guard.ts";
import type { TokenUsage } from "./token-usage.ts";
import type { WholeEvents } from "./whole-events.ts";

/** The reins of one call, held by call.ts. */
export interface CallControl {
  /** Accounts for the call and frees its slot; only the first time counts. */
  end(kind: OutcomeKind, more?: { retryAfterMs?: number | undefined; usage?: TokenUsage | undefined }): void;
  /** What a failure of the wire means. Anything else is a bug and is thrown on. */
  failed(error: unknown): { readonly kind: OutcomeKind; readonly why: string };
  stop(kind: OutcomeKind): void;
  /** Closes the connection, if the answer is not over. */
  hangUp(): void;
}

export const cutShort = "the engine's answer ended before it was complete";

/** A whole answer too large to be gathered; `begun` is what has been. */
export function relayRest(response: WireResponse, begun: Uint8Array[], control: CallControl): Relay {
  const next = async (): Promise<Uint8Array | null> => {
    const chunk = begun.shift() ?? (await response.body.next());
    if (chunk !== null) return chunk;
    // Nothing tells the end of such a body from a cut.
    if (response.delimited === "close") throw broken("truncated", cutShort, false, control);
    control.end("ok");
    return null;
  };
  return relayOf(next, () => undefined, control);
}

/** An event stream; `first` are the events that have come. */
export function relayStream(
  response: WireResponse,
  guard: StreamGuard,
  events: WholeEvents,
  first: Uint8Array,
  control: CallControl,
): Relay {
  let begun: Uint8Array | undefined = first;
  let after: BrokenAnswer | "end" | undefined;

  const next = async (): Promise<Uint8Array | null> => {
    const kept = begun;
    begun = undefined;
    if (kept !== undefined) return kept;
    if (after === "end") return null;
    if (after !== undefined) throw after;
    for (;;) {
      const chunk = await response.body.next();
      if (chunk === null) {
        const rest = events.rest();
        if (rest !== undefined) guard.feed(rest);
        if (!guard.ended()) throw broken("truncated", cutShort, false, control);
        control.end("ok", { usage: guard.usage() });
        after = "end";
        return rest ?? null;
      }
      const whole = events.push(chunk);
      if (whole === undefined) continue;
      const cut = guard.feed(whole);
      if (cut === undefined) return whole;
      after = broken("server-error", "the engine reported an error in its stream", true, control);
      return whole.subarray(0, cut);
    }
  };
  return relayOf(next, guard.usage, control);
}

/** `told`: the engine has said so itself, in band. */
function broken(kind: OutcomeKind, why: string, told: boolean, control: CallControl): BrokenAnswer {
  control.end(kind);
  control.hangUp();
  return new BrokenAnswer("upstream_failed", why, told);
}

/** `next`, with the failures of the wire told as a broken answer. */
function relayOf(
  next: () => Promise<Uint8Array | null>,
  usage: () => TokenUsage | undefined,
  control: CallControl,
): Relay {
  return {
    async next() {
      try {
        return await next();
      } catch (error) {
        if (error instanceof BrokenAnswer) throw error;
        const { kind, why } = control.failed(error);
        control.end(kind, { usage: usage() });
        const late = kind === "deadline";
        throw new BrokenAnswer(
          late ? "deadline_exceeded" : "upstream_failed",
          late
            ? "the deadline passed while the answer was on its way"
            : `the engine's answer broke off: ${why}`,
        );
      }
    },
    cancel(by) {
      const kind = by === "caller" ? "cancelled" : "deadline";
      control.stop(kind);
      control.end(kind, { usage: usage() });
    },
  };
}
