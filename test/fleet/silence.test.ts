// Silence as a table: what happened when, and whether somebody should look, and what the look means.

import { describe, expect, test } from "bun:test";
import { createSilence, quietLimitMs, silenceRule } from "../../src/fleet/silence.ts";

type Step = readonly [
  atMs: number,
  "owed" | "heard" | "settled" | "abandoned" | "looking" | "answered" | "unanswered",
];
interface Row {
  readonly title: string;
  readonly steps: readonly Step[];
  /** With a limit of 100 ms: whether a look is due at that time. */
  readonly due?: readonly (readonly [atMs: number, boolean])[];
  readonly silent?: boolean;
}

const start = 1_000_000;

function play(steps: readonly Step[]) {
  const silence = createSilence();
  for (const [at, what] of steps) {
    const now = start + at;
    if (what === "owed") silence.owed(now);
    else if (what === "heard") silence.heard(now);
    else if (what === "settled") silence.settled();
    else if (what === "abandoned") silence.abandoned();
    else if (what === "looking") silence.looking(now);
    else silence.looked(what === "answered", now);
  }
  return silence;
}

/** A look at 100 that nobody answered: silent at 200. */
const fallsSilent: readonly Step[] = [
  [0, "owed"],
  [100, "looking"],
  [200, "unanswered"],
];

const rows: readonly Row[] = [
  { title: "nothing is owed: no look, ever", steps: [], due: [[1e9, false]], silent: false },
  {
    title: "a look is due when something was owed for the limit",
    steps: [[0, "owed"]],
    due: [
      [99, false],
      [100, true],
    ],
  },
  {
    title: "a second request does not put the look off",
    steps: [
      [0, "owed"],
      [90, "owed"],
    ],
    due: [[100, true]],
  },
  {
    title: "any byte puts it off",
    steps: [
      [0, "owed"],
      [90, "heard"],
    ],
    due: [
      [189, false],
      [190, true],
    ],
  },
  {
    title: "when all is answered, quiet is peace",
    steps: [
      [0, "owed"],
      [50, "heard"],
      [50, "settled"],
    ],
    due: [[10_000, false]],
  },
  {
    title: "a byte that comes while nothing is owed starts no clock",
    steps: [
      [0, "owed"],
      [50, "settled"],
      [60, "heard"],
    ],
    due: [[10_000, false]],
  },
  {
    title: "a caller who left without a byte is a reason to look at once",
    steps: [
      [0, "owed"],
      [10, "abandoned"],
    ],
    due: [[10, true]],
  },
  {
    title: "even when nothing else is in flight",
    steps: [
      [0, "owed"],
      [10, "abandoned"],
      [10, "settled"],
    ],
    due: [[10, true]],
  },
  {
    title: "a byte takes that reason away",
    steps: [
      [0, "owed"],
      [10, "abandoned"],
      [11, "heard"],
    ],
    due: [[12, false]],
  },
  {
    title: "no second look while one is under way",
    steps: [
      [0, "owed"],
      [100, "looking"],
    ],
    due: [[10_000, false]],
  },
  { title: "an unanswered look begins silence", steps: fallsSilent, due: [[10_000, false]], silent: true },
  {
    title: "an answered look does not, and the next is 250 ms off",
    steps: [
      [0, "owed"],
      [100, "looking"],
      [150, "answered"],
    ],
    due: [
      [399, false],
      [400, true],
    ],
    silent: false,
  },
  {
    title: "a byte since the look began outweighs the look",
    steps: [
      [0, "owed"],
      [100, "looking"],
      [150, "heard"],
      [200, "unanswered"],
    ],
    silent: false,
  },
  {
    title: "a byte from before the look began does not",
    steps: [
      [0, "owed"],
      [50, "heard"],
      [150, "looking"],
      [250, "unanswered"],
    ],
    silent: true,
  },
  {
    title: "looks that find life back off: 250, 500, 1000, 2000, 2000 ms",
    steps: [
      [0, "owed"],
      [100, "looking"],
      [100, "answered"],
      [350, "looking"],
      [350, "answered"],
      [850, "looking"],
      [850, "answered"],
      [1850, "looking"],
      [1850, "answered"],
      [3850, "looking"],
      [3850, "answered"],
    ],
    due: [
      [5849, false],
      [5850, true],
    ],
  },
  {
    title: "a byte ends the backing off",
    steps: [
      [0, "owed"],
      [100, "looking"],
      [100, "answered"],
      [350, "looking"],
      [350, "answered"],
      [850, "heard"],
      [950, "looking"],
      [950, "answered"],
    ],
    due: [
      [1199, false],
      [1200, true],
    ],
  },
  { title: "a byte ends silence", steps: [...fallsSilent, [5000, "heard"]], silent: false },
  {
    title: "a request to a silent endpoint asks for no look: it is watched",
    steps: [...fallsSilent, [300, "owed"]],
    due: [[10_000, false]],
    silent: true,
  },
  {
    title: "settled requests do not end silence",
    steps: [...fallsSilent, [300, "settled"]],
    silent: true,
  },
  {
    title: "after silence ends with nothing owed, no look is due",
    steps: [...fallsSilent, [300, "settled"], [5000, "heard"]],
    due: [[60_000, false]],
    silent: false,
  },
];

describe("silence", () => {
  for (const { title, steps, due = [], silent } of rows) {
    test(title, () => {
      const played = play(steps);
      for (const [at, expected] of due) expect([at, played.due(100, start + at)]).toEqual([at, expected]);
      if (silent !== undefined) expect(played.silent).toBe(silent);
    });
  }

  test("tells once when it begins and once when it ends", () => {
    const silence = createSilence();
    silence.owed(start);
    silence.looking(start + 100);
    expect(silence.looked(false, start + 200)).toBe(true);
    expect(silence.heard(start + 300)).toBe(true);
    expect(silence.heard(start + 301)).toBe(false);
  });
});

test("the limit is three times the usual, at least 100 ms, and a fixed one while nothing is known", () => {
  expect(quietLimitMs(true, undefined)).toBe(silenceRule.unknownMs);
  expect(quietLimitMs(true, 0)).toBe(100);
  expect(quietLimitMs(true, 33)).toBe(100);
  expect(quietLimitMs(true, 40)).toBe(120);
  expect(quietLimitMs(true, 2000)).toBe(6000);
});
