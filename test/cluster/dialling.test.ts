// Whom a router calls that is in no table, and how often.

import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import type { DiallingParts } from "../../src/cluster/dialling.ts";
import { createDialling, diallingRule } from "../../src/cluster/dialling.ts";

interface Call {
  readonly at: number;
  readonly address: string;
}

function scene(
  parts: Partial<DiallingParts> = {},
  answers: (address: string) => string | undefined = () => undefined,
) {
  const calls: Call[] = [];
  const open: (() => void)[] = [];
  let now = 1_000_000;
  const dialling = createDialling(
    {
      random: seededRandom(5),
      seeds: () => ["a:1", "b:1", "c:1", "d:1"],
      lastKnown: [],
      known: () => false,
      present: () => false,
      size: () => 1,
      call(address) {
        calls.push({ at: now - 1_000_000, address });
        return new Promise((resolve) => open.push(() => resolve(answers(address))));
      },
      ...parts,
    },
    now,
  );
  return {
    dialling,
    calls,
    /** Without `settle` nobody ever answers. */
    async run(ms: number, settle = true): Promise<void> {
      for (const end = now + ms; now < end; now += diallingRule.everyMs) {
        dialling.turn(now);
        if (settle) for (const finish of open.splice(0)) finish();
        await Promise.resolve();
        await Promise.resolve();
      }
    },
  };
}

describe("the seeds", () => {
  test("are all called, three at a time", async () => {
    const { calls, run } = scene();
    await run(5000, false);
    expect(calls.length).toBe(diallingRule.inParallel);
    expect(new Set(calls.map(({ address }) => address)).size).toBe(diallingRule.inParallel);
  });

  test("are called for ever, each at most every 6 s in the end", async () => {
    const { calls, run } = scene();
    await run(600_000);
    for (const seed of ["a:1", "b:1", "c:1", "d:1"]) {
      const late = calls.filter(({ address, at }) => address === seed && at > 500_000);
      expect(late.length).toBeGreaterThan(100_000 / 6500);
      expect(late.length).toBeLessThan(100_000 / 3900);
    }
  });

  test("that are members, or that are we ourselves, are not called", async () => {
    const { calls, run } = scene({ known: (address) => address === "a:1" });
    await run(60_000);
    expect(calls.some(({ address }) => address === "a:1")).toBe(false);
  });

  test("that answer under a member's name are not called again while it is there", async () => {
    const { calls, run } = scene({ present: (name) => name === "gold-1" }, (address) =>
      address === "b:1" ? "gold-1" : undefined,
    );
    await run(60_000);
    expect(calls.filter(({ address }) => address === "b:1").length).toBe(1);
  });
});

test("the peers of the last run are called while nobody is known, and not afterwards", async () => {
  let size = 1;
  const { calls, run } = scene({ lastKnown: ["old:1"], size: () => size });
  await run(3000);
  const before = calls.filter(({ address }) => address === "old:1").length;
  expect(before).toBeGreaterThan(0);
  size = 2;
  await run(60_000);
  expect(calls.filter(({ address }) => address === "old:1").length).toBe(before);
});

test("a large fleet that boots together spreads its first calls", async () => {
  const lastKnown = Array.from({ length: 400 }, (_, index) => `h${index}:1`);
  const { calls, run } = scene({ lastKnown, random: () => 0.5 });
  await run(1900);
  expect(calls).toEqual([]);
  await run(400);
  expect(calls.length).toBeGreaterThan(0);
});

describe("the dead", () => {
  test("are called about three times a second by the whole fleet, whatever its size", async () => {
    for (const size of [2, 30]) {
      const { dialling, calls, run } = scene({ seeds: () => [], size: () => size });
      dialling.died("x", "x:1");
      await run(300_000);
      const perSecond = (calls.length / 300) * size;
      expect(perSecond).toBeGreaterThan(size === 2 ? 1.5 : 2);
      expect(perSecond).toBeLessThan(4);
    }
  });

  test("are called no more when they have returned; of many the latest ten are kept", async () => {
    const { dialling, calls, run } = scene({ seeds: () => [], size: () => 2 });
    for (let index = 0; index < 30; index += 1) dialling.died(`h${index}`, `h${index}:1`);
    dialling.returned("h29");
    await run(300_000);
    const called = new Set(calls.map(({ address }) => address));
    expect([...called].sort()).toEqual(
      [20, 21, 22, 23, 24, 25, 26, 27, 28].map((index) => `h${index}:1`).sort(),
    );
  });
});
