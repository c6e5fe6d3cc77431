// A departure is told as an AbortSignal tells it.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Leaving } from "../../src/base/departure.ts";
import { Departure } from "../../src/base/departure.ts";

type Step = readonly [what: "listen" | "unlisten" | "leave" | "quarrel", who: number];

/** What a few listeners hear, in order, when this is done to them. */
function heard(leaving: Leaving, abort: () => void, steps: readonly Step[]): string[] {
  const told: string[] = [];
  const listeners = [0, 1, 2].map((who) => () => void told.push(`${who} ${leaving.aborted}`));
  const listenerOf = (who: number) => listeners[who] ?? (() => undefined);
  for (const [what, who] of steps) {
    const listener = listenerOf(who);
    if (what === "listen") {
      leaving.removeEventListener("abort", listener);
      leaving.addEventListener("abort", listener);
    }
    if (what === "unlisten") leaving.removeEventListener("abort", listener);
    if (what === "leave") abort();
    // One who hears of it takes the next one off the list.
    if (what === "quarrel")
      leaving.addEventListener("abort", () => leaving.removeEventListener("abort", listener));
  }
  return [...told, String(leaving.aborted)];
}

describe("a departure", () => {
  test("is heard of once by all who listen then, in their order, as that of an AbortController is", () => {
    const what = fc.constantFrom("listen", "unlisten", "leave", "quarrel");
    fc.assert(
      fc.property(fc.array(fc.tuple(what, fc.nat(2)), { maxLength: 12 }), (steps) => {
        const departure = new Departure();
        const controller = new AbortController();
        const abort = (): void => controller.abort();
        expect(heard(departure, () => departure.abort(), steps)).toEqual(
          heard(controller.signal, abort, steps),
        );
      }),
    );
  });
});
