// The breaker as a table of events at virtual instants.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { seededRandom } from "../../src/base/random.ts";
import type { Breaker, BreakerState } from "../../src/fleet/breaker.ts";
import { breakerRule, createBreaker } from "../../src/fleet/breaker.ts";
import type { OutcomeKind } from "../../src/fleet/outcome.ts";
import { outcomes } from "../../src/fleet/outcome.ts";

/** No jitter. */
const even = (): number => 0.5;
const start = 1_000_000;

type Event = readonly [atMs: number, "begin" | "invite" | "restart" | OutcomeKind];
interface Row {
  readonly title: string;
  readonly events: readonly Event[];
  /** What the breaker is at these times, and whether it admits a call. */
  readonly shows: readonly (readonly [atMs: number, BreakerState, admits: boolean])[];
}

function play(breaker: Breaker, events: readonly Event[]): (string | undefined)[] {
  return events.map(([at, what]) => {
    const now = start + at;
    if (what === "begin") breaker.begin(now);
    else if (what === "invite") breaker.invite(now);
    else if (what === "restart") breaker.restarted(now);
    else return breaker.record(what, now, even);
    return undefined;
  });
}

const many = (count: number, kind: OutcomeKind, at = 0): Event[] =>
  Array.from({ length: count }, () => [at, kind]);
const threeRefused = many(3, "refused");

const rows: readonly Row[] = [
  { title: "closed at first", events: [], shows: [[0, "closed", true]] },
  { title: "two local failures do not open it", events: many(2, "refused"), shows: [[0, "closed", true]] },
  { title: "three local failures in a row open it", events: threeRefused, shows: [[0, "open", false]] },
  {
    title: "local failures of different kinds add up",
    events: [
      [0, "refused"],
      [1, "reset"],
      [2, "timeout"],
    ],
    shows: [[2, "open", false]],
  },
  {
    title: "a success between them starts the count again",
    events: [...many(2, "refused"), [0, "ok"], ...many(2, "refused")],
    shows: [[0, "closed", true]],
  },
  {
    title: "a client error is an answer and starts the count again",
    events: [...many(2, "refused"), [0, "client-error"], ...many(2, "refused")],
    shows: [[0, "closed", true]],
  },
  {
    title: "a remote failure between them starts the local count again",
    events: [...many(2, "refused"), [0, "server-error"], [0, "refused"]],
    shows: [[0, "closed", true]],
  },
  {
    title: "load, leaving and deadlines between them neither count nor forgive",
    events: [
      ...many(2, "refused"),
      [0, "busy"],
      [0, "cancelled"],
      [0, "deadline"],
      [0, "silent"],
      [0, "refused"],
    ],
    shows: [[0, "open", false]],
  },
  {
    title: "four server errors do not open it",
    events: many(4, "server-error"),
    shows: [[0, "closed", true]],
  },
  {
    title: "five failures of any kind in a row open it",
    events: many(5, "server-error"),
    shows: [[0, "open", false]],
  },
  {
    title: "garbage, a cut and a server error count together",
    events: [...many(2, "garbage"), ...many(2, "truncated"), [0, "server-error"]],
    shows: [[0, "open", false]],
  },
  {
    title: "half of twenty calls open it, in whatever order",
    events: Array.from({ length: 20 }, (_, index): Event => [index, index % 2 === 0 ? "ok" : "server-error"]),
    shows: [[20, "open", false]],
  },
  {
    title: "half of nineteen calls do not",
    events: Array.from({ length: 18 }, (_, index): Event => [index, index % 2 === 0 ? "ok" : "server-error"]),
    shows: [[20, "closed", true]],
  },
  {
    title: "fewer than half of twenty do not",
    events: Array.from({ length: 60 }, (_, index): Event => [index, index % 3 === 0 ? "server-error" : "ok"]),
    shows: [[60, "closed", true]],
  },
  {
    title: "calls of ten seconds ago are forgotten",
    events: [
      ...Array.from({ length: 18 }, (_, index): Event => [index, index % 2 === 0 ? "ok" : "server-error"]),
      [10_000, "ok"],
      [10_001, "server-error"],
    ],
    shows: [[10_002, "closed", true]],
  },
  {
    title: "calls of nine seconds ago are not",
    events: [
      ...Array.from({ length: 18 }, (_, index): Event => [index, index % 2 === 0 ? "ok" : "server-error"]),
      [8900, "ok"],
      [8901, "server-error"],
    ],
    shows: [[8902, "open", false]],
  },
  ...(["client-error", "cancelled", "busy", "deadline", "silent"] as const).map(
    (kind): Row => ({
      title: `a hundred of ${kind} do not open it`,
      events: many(100, kind),
      shows: [[0, "closed", true]],
    }),
  ),
  {
    title: "it is open for a second, then half-open",
    events: threeRefused,
    shows: [
      [999, "open", false],
      [1000, "half-open", true],
    ],
  },
  {
    title: "half-open it admits one call, not two",
    events: [...threeRefused, [1000, "begin"]],
    shows: [
      [1000, "half-open", false],
      [1999, "half-open", false],
    ],
  },
  {
    title: "the test call's answer closes it",
    events: [...threeRefused, [1000, "begin"], [1010, "ok"]],
    shows: [[1010, "closed", true]],
  },
  {
    title: "even a client error closes it, because it is an answer",
    events: [...threeRefused, [1000, "begin"], [1010, "client-error"]],
    shows: [[1010, "closed", true]],
  },
  {
    title: "the test call's failure opens it for twice as long",
    events: [...threeRefused, [1000, "begin"], [1000, "server-error"]],
    shows: [
      [2999, "open", false],
      [3000, "half-open", true],
    ],
  },
  ...(["cancelled", "busy", "deadline", "silent"] as const).map(
    (kind): Row => ({
      title: `a test call that is lost to ${kind} proves nothing: another is admitted`,
      events: [...threeRefused, [1000, "begin"], [1010, kind]],
      shows: [[1010, "half-open", true]],
    }),
  ),
  {
    title: "an answer to a call from before it opened does not close it",
    events: [...threeRefused, [500, "ok"]],
    shows: [
      [500, "open", false],
      [1000, "half-open", true],
    ],
  },
  {
    title: "a failure of a call from before it opened does not prolong it",
    events: [...threeRefused, [900, "reset"]],
    shows: [[1000, "half-open", true]],
  },
  {
    title: "an invitation makes it half-open at once",
    events: [...threeRefused, [100, "invite"]],
    shows: [[100, "half-open", true]],
  },
  {
    title:
      "an invitation to one that answered failures opened changes nothing: a poisoned engine answers small questions",
    events: [...many(5, "server-error", 0), [100, "invite"]],
    shows: [
      [100, "open", false],
      [1000, "half-open", true],
    ],
  },
  {
    title: "an invitation after a test call that failed with an answer changes nothing",
    events: [...threeRefused, [1000, "begin"], [1010, "server-error"], [1100, "invite"]],
    shows: [[1100, "open", false]],
  },
  {
    title: "a restart of the engine makes it half-open at once, whatever opened it",
    events: [...many(5, "server-error", 0), [100, "restart"]],
    shows: [[100, "half-open", true]],
  },
  {
    title: "a test call that takes longer than a second keeps the next one waiting no longer",
    events: [...threeRefused, [1000, "begin"]],
    shows: [
      [1999, "half-open", false],
      [2000, "half-open", true],
    ],
  },
  {
    title: "an invitation to a closed one changes nothing",
    events: [[0, "invite"]],
    shows: [[0, "closed", true]],
  },
  {
    title: "an invitation while the test call runs admits no second one",
    events: [...threeRefused, [1000, "begin"], [1001, "invite"]],
    shows: [[1001, "half-open", false]],
  },
  {
    title: "closed again, it starts from nothing: two failures are two",
    events: [...threeRefused, [1000, "begin"], [1010, "ok"], ...many(2, "refused", 1020)],
    shows: [[1020, "closed", true]],
  },
  {
    title: "closed again, it starts with a second once more",
    events: [
      ...threeRefused,
      [1000, "begin"],
      [1000, "refused"],
      [3000, "begin"],
      [3000, "ok"],
      ...many(3, "refused", 3000),
    ],
    shows: [
      [3999, "open", false],
      [4000, "half-open", true],
    ],
  },
];

describe("the breaker", () => {
  for (const { title, events, shows } of rows) {
    test(title, () => {
      const breaker = createBreaker();
      play(breaker, events);
      for (const [at, state, admits] of shows) {
        expect([at, breaker.state(start + at)]).toEqual([at, state]);
        expect([at, breaker.admits(start + at)]).toEqual([at, admits]);
      }
    });
  }

  test("says when it opens and when it closes, and nothing in between", () => {
    const events: Event[] = [...threeRefused, [500, "refused"], [1000, "begin"], [1000, "ok"], [1001, "ok"]];
    expect(play(createBreaker(), events)).toEqual([
      undefined,
      undefined,
      "opened",
      undefined,
      undefined,
      "closed",
      undefined,
    ]);
  });

  test("stays open 1, 2, 4, 8, 16, then 30 s however often the test call fails, ±20 %", () => {
    for (const [dice, factor] of [
      [0, 0.8],
      [0.5, 1],
      [1, 1.2],
    ] as const) {
      const breaker = createBreaker();
      let now = start;
      for (let failure = 0; failure < 3; failure += 1) breaker.record("refused", now, () => dice);
      for (const seconds of [1, 2, 4, 8, 16, 30, 30, 30]) {
        const openMs = seconds * 1000 * factor;
        expect(breaker.state(now + openMs - 0.001)).toBe("open");
        expect(breaker.state(now + openMs)).toBe("half-open");
        now += openMs;
        breaker.begin(now);
        breaker.record("timeout", now, () => dice);
      }
    }
  });

  test("whatever happens, it never refuses for longer than its cap and jitter, and never two test calls at once", () => {
    const kinds = Object.keys(outcomes) as OutcomeKind[];
    const step = fc.record({ afterMs: fc.nat(3000), kind: fc.constantFrom(...kinds) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(), (steps, seed) => {
        const breaker = createBreaker();
        const random = seededRandom(seed);
        let now = start;
        for (const { afterMs, kind } of steps) {
          now += afterMs;
          if (breaker.admits(now)) {
            const before = breaker.state(now);
            breaker.begin(now);
            if (before === "half-open") expect(breaker.admits(now)).toBe(false);
            breaker.record(kind, now, random);
          }
          const longest = breakerRule.open.capMs * (1 + breakerRule.open.jitter);
          expect(breaker.admits(now + longest)).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });
});
