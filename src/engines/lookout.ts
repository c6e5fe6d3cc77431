// Asks an endpoint for one token where there is doubt: now, when it has gone quiet, and again and again until it is back.
// It reports; what follows from a report is decided by those who remember.

import { backoffMs } from "../base/backoff.ts";
import type { Random } from "../base/random.ts";
import type { Beat } from "./beat.ts";
import { startBeat } from "./beat.ts";
import type { Asked, LookTools, LookVerdict } from "./look.ts";
import { askForToken, look } from "./look.ts";

const lookoutRule = {
  /** While an endpoint is watched for its recovery. With the time limit, a healed engine is seen within 2 s. */
  watchEveryMs: 500,
  watchTimeoutMs: 1000,
  /** ±20 %, so that the questions of many routers do not fall on one instant. */
  jitter: 0.2,
} as const;

export interface LookoutParts extends LookTools {
  readonly random: Random;
  /** A watched endpoint has answered the one-token question. Repeated until `watch(undefined)`. */
  onAnswered(): void;
}

export interface Lookout {
  /**
   * Whether the engine answers one token within the limit, asked now; see look.ts. A second call while a look
   * is under way gets its verdict: engines fall silent as a whole.
   */
  look(asked: Asked, limitMs: number): Promise<LookVerdict>;
  /** Repeats the one-token question until told `undefined`. */
  watch(asked: Asked | undefined): void;
  /** Ends every question; no callback comes after it. */
  stop(): void;
}

export function createLookout(parts: LookoutParts): Lookout {
  const { clock, random } = parts;
  const over = new AbortController();
  let looking: Promise<LookVerdict> | undefined;
  let watching: { readonly asked: Asked; readonly beat: Beat; readonly over: AbortController } | undefined;

  const unwatch = (): void => {
    watching?.beat.stop();
    watching?.over.abort();
    watching = undefined;
  };
  const pauseMs = (): number => {
    const { watchEveryMs, jitter } = lookoutRule;
    return backoffMs({ baseMs: watchEveryMs, capMs: watchEveryMs, jitter }, 0, random);
  };

  return {
    look(asked, limitMs) {
      looking ??= look(parts, asked, limitMs, over.signal).finally(() => {
        looking = undefined;
      });
      return looking;
    },

    watch(asked) {
      if (asked?.model === watching?.asked.model && asked?.path === watching?.asked.path) return;
      unwatch();
      if (asked === undefined || over.signal.aborted) return;
      const watchOver = new AbortController();
      const beat = startBeat(clock, async () => {
        // A look that is under way asks the same.
        const question = looking ?? askForToken(parts, asked, lookoutRule.watchTimeoutMs, watchOver.signal);
        const verdict = await question;
        if (verdict === "answered" && !watchOver.signal.aborted) parts.onAnswered();
        return pauseMs();
      });
      watching = { asked, beat, over: watchOver };
    },

    stop() {
      over.abort();
      unwatch();
    },
  };
}
