// What is said of us, and what we do about it, as a table.

import { describe, expect, test } from "bun:test";
import type { Claim } from "../../src/cluster/claim.ts";
import type { OwnNameAnswer } from "../../src/cluster/own-name.ts";
import { createOwnName } from "../../src/cluster/own-name.ts";

const own: Claim = { name: "me", boot: "5", address: "me:1", incarnation: 10, state: "alive", seq: 1 };
const earlier = { boot: "4", address: "old:1" };
const later = { boot: "6", address: "new:1" };

const rows: readonly (readonly [
  title: string,
  heard: readonly Partial<Claim>[],
  answers: readonly OwnNameAnswer[],
])[] = [
  ["our own words", [{}], ["nothing"]],
  ["an accusation", [{ state: "suspect" }], ["refute"]],
  ["our death", [{ state: "dead" }], ["refute"]],
  ["a farewell that we never said", [{ state: "left" }], ["refute"]],
  ["an accusation that we have refuted", [{ state: "dead", incarnation: 9 }], ["nothing"]],
  ["an incarnation that we never gave ourselves", [{ incarnation: 12 }], ["outrank"]],
  ["an earlier run, outranked already", [{ ...earlier, incarnation: 9 }], ["nothing"]],
  ["an earlier run that counted further", [{ ...earlier, incarnation: 20 }], ["outrank"]],
  ["a later run: perhaps a ghost, and our clock went back", [{ ...later, incarnation: 20 }], ["outrank"]],
  ["its tombstone", [{ ...later, incarnation: 20, state: "dead" }], ["outrank"]],
  [
    "a later run that answers: it lives",
    [
      { ...later, incarnation: 20 },
      { ...later, incarnation: 22 },
    ],
    ["outrank", "yield"],
  ],
  [
    "an earlier run that answers: it lives, and must give way",
    [
      { ...earlier, incarnation: 20 },
      { ...earlier, incarnation: 22 },
    ],
    ["outrank", "contest"],
  ],
  [
    "a later run that is said to be dead after we outranked it",
    [
      { ...later, incarnation: 20 },
      { ...later, incarnation: 22, state: "dead" },
    ],
    ["outrank", "outrank"],
  ],
  [
    "two later ghosts, one after the other",
    [
      { ...later, incarnation: 20 },
      { ...later, boot: "7", incarnation: 30 },
    ],
    ["outrank", "outrank"],
  ],
];

describe("of our own name we hear", () => {
  for (const [title, heard, answers] of rows) {
    test(`${title}: ${answers.join(", then ")}`, () => {
      const name = createOwnName();
      expect(heard.map((claim) => name.hear({ ...own, ...claim }, own))).toEqual([...answers]);
    });
  }
});
