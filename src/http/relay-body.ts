// Pumps an answer that has begun to its caller: in the caller's pace, never ending cleanly what broke.

import type { Clock } from "../base/clock.ts";
import type { Leaving } from "../base/departure.ts";
import type { ErrorCode } from "../base/error-codes.ts";
import type { Relay } from "../dispatch/relay.ts";
import { BrokenAnswer } from "../dispatch/relay.ts";
import { openAiError } from "./errors.ts";

const relayRule = {
  /** A caller who takes nothing for so long is cut: its slot is worth more than its patience. */
  stallMs: 10_000,
  /**
   * Between telling an error and breaking the connection. What is written in the turn of the failure is lost, and
   * the break is a reset, at which some systems throw away what the caller has not read yet.
   */
  tellMs: 50,
} as const;

/** How an answer ended for its caller. */
export type RelayEnd = "complete" | "left" | ErrorCode;

export interface RelayBody {
  readonly stream: ReadableStream<Uint8Array>;
  /** Ends it with an honest error; the router is going down. */
  cut(): void;
}

/** `events`: the body is an event stream, so that an error can be told in it. `onEnd` is called exactly once. */
export function relayBody(
  relay: Relay,
  callerLeft: Leaving,
  events: boolean,
  clock: Clock,
  onEnd: (end: RelayEnd) => void,
): RelayBody {
  let over = false;
  let cutByUs = false;
  let gaveUp = false;

  const end = (how: RelayEnd): void => {
    if (over) return;
    over = true;
    callerLeft.removeEventListener("abort", left);
    onEnd(how);
  };
  const left = (): void => {
    relay.cancel("caller");
    end("left");
  };
  if (callerLeft.aborted) left();
  else callerLeft.addEventListener("abort", left);

  /** Resolves true when the caller has taken the bytes, false when it takes too long. */
  const taken = async (writing: Promise<unknown>): Promise<boolean> => {
    let stop = (): void => undefined;
    const stalled = new Promise<false>((resolve) => {
      stop = clock.after(relayRule.stallMs, () => resolve(false));
    });
    try {
      return await Promise.race([writing.then(() => true), stalled]);
    } finally {
      stop();
    }
  };

  const stream = new ReadableStream<Uint8Array>({
    type: "direct",
    async pull(controller) {
      try {
        for (let chunk = await relay.next(); chunk !== null; chunk = await relay.next()) {
          if (over) return;
          // Under pressure `write` answers with a promise; going on without it would buffer the whole answer.
          const written: unknown = controller.write(chunk);
          const flushed: unknown = controller.flush();
          const pressure =
            written instanceof Promise ? written : flushed instanceof Promise ? flushed : undefined;
          if (pressure !== undefined && !(await taken(pressure))) {
            gaveUp = true;
            relay.cancel("caller");
            end("request_timeout");
            throw new BrokenAnswer("request_timeout", "the caller stopped reading", true);
          }
        }
        end("complete");
        controller.close();
      } catch (error) {
        if (over && !cutByUs && !gaveUp) return;
        const broken =
          error instanceof BrokenAnswer ? error : new BrokenAnswer("internal_error", "the router failed");
        const code = cutByUs ? "draining" : broken.code;
        if (events && !broken.told) {
          const message = cutByUs
            ? "The router is going down and its drain deadline has passed."
            : broken.message;
          controller.write(Buffer.from(`data: ${JSON.stringify(openAiError(code, message))}\n\n`));
          void controller.flush();
        }
        await new Promise<void>((resolve) => clock.after(relayRule.tellMs, resolve));
        end(code);
        // The connection is closed without a terminator, which is what makes a broken answer look broken.
        throw broken;
      }
    },
    cancel: left,
  });

  return {
    stream,
    cut() {
      cutByUs = true;
      relay.cancel("drain");
    },
  };
}
