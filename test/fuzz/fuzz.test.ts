// A short run over every parser of ours, the kept corpus first. The long one is `bun run fuzz`.

import { describe, expect, test } from "bun:test";
import { corpusOf, fuzzTarget } from "./fuzz-target.ts";
import type { Target } from "./target.ts";
import { must } from "./target.ts";
import { shares } from "./targets.ts";

/** Of all together: some ten seconds. */
const cases = 120_000;

describe("whatever comes, what must hold of it holds for", () => {
  for (const { target, cases: share } of shares(cases)) {
    test(target.name, () => {
      const corpus = corpusOf(target.name);
      expect(corpus.length).toBeGreaterThan(0);
      const { finding, cases: tried } = fuzzTarget(target, { cases: share, seed: 1 });
      const input = finding && Buffer.from(finding.input).toString("base64");
      expect([finding?.why, input]).toEqual([undefined, undefined]);
      expect(tried).toBeGreaterThanOrEqual(Math.max(share, corpus.length));
    }, 60_000);
  }
});

describe("the fuzzer", () => {
  const target = (check: Target["check"]): Target => ({
    name: "none",
    words: ["MAGIC", "WORD"],
    generate: (dice) => dice.bytes(8),
    check,
  });

  test("finds what hides behind one word and then another, and finds it again by its seed", () => {
    const hidden = target((input) => {
      const text = Buffer.from(input).toString("latin1");
      must(!/MAGIC.?WORD/s.test(text), "found");
      return text.includes("MAGIC") ? "warm" : "cold";
    });
    const first = fuzzTarget(hidden, { cases: 200_000, seed: 7 });
    expect(first.finding?.why ?? "").toContain("found");
    expect(first.ways).toBe(2);
    expect(fuzzTarget(hidden, { cases: 200_000, seed: 7 }).finding?.input).toEqual(first.finding?.input);
  });

  test("calls a case a finding that takes too long each time", () => {
    const slow = target((input) => {
      const end = performance.now() + (input.length > 3 ? 260 : 0);
      while (performance.now() < end) {}
      return "";
    });
    expect(fuzzTarget(slow, { cases: 1_000, seed: 1 }).finding?.why).toContain("longer than 250 ms");
  });
});
