// Which claim wins, as a table.

import { describe, expect, test } from "bun:test";
import type { Claim } from "../../src/cluster/claim.ts";
import type { Precedence } from "../../src/cluster/precedence.ts";
import { precedence } from "../../src/cluster/precedence.ts";

const claim: Claim = { name: "a", boot: "2", address: "a:1", incarnation: 5, state: "alive", seq: 1 };
const suspect = (...accusers: string[]): Partial<Claim> => ({ state: "suspect", accusers });

const rows: readonly (readonly [
  heard: Partial<Claim>,
  known: Partial<Claim>,
  wins: Precedence,
  because: string,
])[] = [
  [{}, {}, "same", "nothing is new"],
  [{ seq: 2 }, {}, "same", "meta is no state"],
  [{ incarnation: 4 }, {}, "stale", "an earlier incarnation"],
  [{ incarnation: 4, state: "left" }, { state: "alive" }, "stale", "an earlier incarnation, however grave"],
  [{ incarnation: 6 }, { state: "dead" }, "newer", "the member has refuted"],
  [{ incarnation: 6 }, { state: "left" }, "newer", "the member has come back"],
  [suspect("x"), {}, "graver", "suspect outranks alive"],
  [{}, suspect("x"), "same", "alive does not lift a suspicion of its own incarnation"],
  [{ state: "dead" }, suspect("x", "y", "z"), "graver", "dead outranks any suspicion"],
  [suspect("x", "y", "z"), { state: "dead" }, "same", "a suspicion does not revive"],
  [{ state: "left" }, { state: "dead" }, "graver", "the owner's own word"],
  [suspect("x", "y"), suspect("x"), "graver", "one more accuser"],
  [suspect("y"), suspect("x"), "graver", "another accuser"],
  [suspect("x"), suspect("y", "x"), "same", "an accuser who is known"],
  [{ boot: "3" }, {}, "usurped", "a later run"],
  [{ boot: "1", state: "dead" }, {}, "stale", "an earlier run"],
  [{ boot: "1", incarnation: 6 }, {}, "newer", "the incarnation comes before the run"],
];

describe("a claim that is heard", () => {
  for (const [heard, known, wins, because] of rows) {
    test(`is ${wins}: ${because}`, () => {
      expect(precedence({ ...claim, ...heard }, { ...claim, ...known })).toBe(wins);
    });
  }
});
