// One probe as a table: what the ways to the member said, and what follows.

import { describe, expect, test } from "bun:test";
import type { Answer, ProbeParts, Verdict } from "../../src/cluster/probe.ts";
import { probe } from "../../src/cluster/probe.ts";

type Way = "answers" | "silent" | "cannot" | "reaches";

interface Row {
  readonly title: string;
  readonly direct: Way;
  readonly fresh?: Way;
  readonly helpers?: readonly Way[];
  /** Helpers from which nothing is expected. */
  readonly doubted?: readonly number[];
  readonly misses?: number;
  readonly heard?: boolean;
  /** What the direct and the indirect phase took. */
  readonly tookMs?: readonly [number, number];
  readonly verdict: Verdict["kind"];
  readonly silentHelpers?: number;
}

const rows: readonly Row[] = [
  { title: "an answer is life", direct: "answers", verdict: "alive" },
  { title: "so is one on a fresh connection", direct: "silent", fresh: "answers", verdict: "alive" },
  {
    title: "so is a helper that reaches it",
    direct: "silent",
    helpers: ["cannot", "reaches", "silent"],
    verdict: "alive",
  },
  {
    title: "so is a message of its own meanwhile",
    direct: "silent",
    helpers: ["cannot"],
    heard: true,
    verdict: "alive",
  },
  {
    title: "one helper that could not either is enough",
    direct: "silent",
    helpers: ["silent", "cannot", "silent"],
    verdict: "failed",
    silentHelpers: 2,
  },
  {
    title: "silent helpers say nothing, and speak against us",
    direct: "silent",
    helpers: ["silent", "silent", "silent"],
    verdict: "inconclusive",
    silentHelpers: 3,
  },
  {
    title: "but not those that were silent before",
    direct: "silent",
    helpers: ["silent", "silent", "silent"],
    doubted: [0, 2],
    verdict: "inconclusive",
    silentHelpers: 1,
  },
  { title: "without helpers one miss says nothing", direct: "silent", verdict: "inconclusive" },
  { title: "nor do two", direct: "silent", misses: 1, verdict: "inconclusive" },
  { title: "the third does", direct: "silent", misses: 2, verdict: "failed" },
  {
    title: "the third does where all helpers are silent as well",
    direct: "silent",
    helpers: ["silent"],
    misses: 2,
    verdict: "failed",
    silentHelpers: 1,
  },
  {
    title: "the third does not if a fresh connection gets through",
    direct: "silent",
    fresh: "answers",
    misses: 2,
    verdict: "alive",
  },
  {
    title: "who slept through the direct answer accuses nobody",
    direct: "silent",
    helpers: ["cannot"],
    tookMs: [751, 0],
    verdict: "inconclusive",
  },
  {
    title: "nor who slept through the indirect one",
    direct: "silent",
    helpers: ["cannot"],
    tookMs: [500, 751],
    verdict: "inconclusive",
  },
  {
    title: "a little late is no sleep",
    direct: "silent",
    helpers: ["cannot"],
    tookMs: [749, 749],
    verdict: "failed",
  },
];

describe("a probe", () => {
  for (const row of rows) {
    test(`is ${row.verdict}: ${row.title}`, async () => {
      const verdict = await probe(partsOf(row));
      expect(verdict.kind).toBe(row.verdict);
      if (verdict.kind !== "alive") expect(verdict.silentHelpers).toBe(row.silentHelpers ?? 0);
    });
  }

  test("that failed says in words what it saw", async () => {
    const seen = await probe(
      partsOf({ title: "", direct: "silent", helpers: ["cannot", "silent"], verdict: "failed" }),
    );
    expect(seen).toMatchObject({ why: "no answer; 1 of 2 others asked could not reach it either" });
    const alone = await probe(partsOf({ title: "", direct: "silent", misses: 2, verdict: "failed" }));
    expect(alone).toMatchObject({ why: "no answer; 3 probes in a row, and nobody else to ask" });
  });
});

function partsOf(row: Row): ProbeParts {
  let now = 1_000_000;
  const answer = (way: Way): Answer =>
    way === "silent"
      ? { failed: "no answer" }
      : {
          reply: {
            v: [1, 1],
            kind: "reply",
            from: { name: "x", boot: "1", address: "x:1" },
            claims: [],
            reached: way === "reaches",
          },
        };
  const helpers = row.helpers ?? [];
  return {
    timeoutMs: 500,
    helpers: helpers.map((_, at) => String(at)),
    misses: () => row.misses ?? 0,
    now: () => now,
    async ping(fresh) {
      now += row.tookMs?.[fresh ? 1 : 0] ?? 0;
      return answer(fresh ? (row.fresh ?? "silent") : row.direct);
    },
    ask: async (helper) => answer(helpers[Number(helper)] ?? "silent"),
    doubted: (helper) => row.doubted?.includes(Number(helper)) === true,
    heardSince: () => row.heard === true,
  };
}
