// Waiting, not too long, for what nobody announces.

import type { Clock } from "./clock.ts";

const lookEveryMs = 5;

/** Resolves when it is so, or `limitMs` have passed. */
export function until(isSo: () => boolean, limitMs: number, clock: Clock): Promise<void> {
  const end = clock.now() + limitMs;
  return new Promise((resolve) => {
    const look = (): void => {
      if (isSo() || clock.now() >= end) resolve();
      else clock.after(lookEveryMs, look);
    };
    look();
  });
}
