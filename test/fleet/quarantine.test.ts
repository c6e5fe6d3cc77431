import { describe, expect, test } from "bun:test";
import type { Quarantine } from "../../src/fleet/quarantine.ts";
import { createQuarantine, quarantineRule } from "../../src/fleet/quarantine.ts";

const hash = (n: number): string => n.toString(16).padStart(16, "0");
const poison = hash(1);
const innocent = hash(2);

function dies(quarantine: Quarantine, endpoint: string, now: number, of = poison): void {
  quarantine.broke(of, { endpoint, since: now, presumed: true }, now);
  quarantine.gone(endpoint, now);
}

describe("a request that engines died of", () => {
  test("has one try less for each, is stopped after three (fault 49), told of once, and tried once again after ten minutes", () => {
    const stopped: string[] = [];
    const quarantine = createQuarantine((each) => stopped.push(each));
    expect(quarantine.idle).toBe(true);
    const left: number[] = [];
    for (let death = 0; death < 3; death += 1) {
      left.push(quarantine.triesLeft(poison, death));
      dies(quarantine, `g-${death}/vllm`, death);
    }
    expect(left).toEqual([3, 2, 1]);
    expect([quarantine.triesLeft(poison, 3), quarantine.stopped(3), stopped]).toEqual([0, 1, [poison]]);
    const over = quarantineRule.stoppedMs + 2;
    expect([quarantine.triesLeft(poison, over), quarantine.stopped(over)]).toEqual([1, 0]);
    dies(quarantine, "g-1/vllm", over);
    expect([quarantine.triesLeft(poison, over), stopped]).toEqual([0, [poison, poison]]);
    expect(quarantine.triesLeft(innocent, over)).toBe(3);
  });

  test("is forgotten an hour later though nobody has died since, and nothing is hashed any more", () => {
    const quarantine = createQuarantine();
    dies(quarantine, "g-1/vllm", 0);
    expect(quarantine.triesLeft(innocent, quarantineRule.rememberedMs - 1)).toBe(3);
    expect(quarantine.idle).toBe(false);
    expect(quarantine.triesLeft(poison, quarantineRule.rememberedMs)).toBe(3);
    expect(quarantine.idle).toBe(true);
    quarantine.broke(
      innocent,
      { endpoint: "g-1/vllm", since: quarantineRule.rememberedMs, presumed: true },
      quarantineRule.rememberedMs,
    );
    const then = quarantineRule.rememberedMs + quarantineRule.provenMs;
    expect([quarantine.triesLeft(innocent, then), quarantine.idle]).toEqual([3, true]);
  });

  test("is not lost to sight among any number of errors that hardly tell of a death", () => {
    const quarantine = createQuarantine();
    for (let death = 0; death < 3; death += 1) {
      quarantine.broke(poison, { endpoint: `g-${death}/vllm`, since: 0, presumed: true }, 0);
      for (let error = 0; error < 2 * quarantineRule.unprovenMost; error += 1)
        quarantine.broke(hash(100 + error), { endpoint: "g-9/vllm", since: 0, presumed: false }, 0);
      quarantine.gone(`g-${death}/vllm`, 1);
    }
    expect(quarantine.triesLeft(poison, 1)).toBe(0);
  });

  test("is cleared by one answer, so that who merely died with an engine is never stopped", () => {
    const quarantine = createQuarantine();
    for (let time = 0; time < 10; time += 1) {
      dies(quarantine, "g-1/vllm", time, innocent);
      dies(quarantine, "g-2/vllm", time, innocent);
      quarantine.answered(innocent, time);
    }
    expect([quarantine.triesLeft(innocent, 10), quarantine.idle]).toEqual([3, true]);
  });

  test("is not held responsible where the engine lives on, is gone only later, or another one is", () => {
    const quarantine = createQuarantine();
    for (let time = 0; time < 100; time += 1)
      quarantine.broke(poison, { endpoint: "g-1/vllm", since: time, presumed: true }, time);
    // For a moment it counts, lest another engine be risked.
    expect(quarantine.triesLeft(poison, 100)).toBe(2);
    quarantine.gone("g-1/vllm-2", 100);
    quarantine.gone("g", 100);
    expect(quarantine.triesLeft(poison, 100 + quarantineRule.presumedMs)).toBe(3);
    quarantine.gone("g-1/vllm", 100 + quarantineRule.provenMs);
    expect(quarantine.triesLeft(poison, 100 + quarantineRule.provenMs)).toBe(3);
  });

  test("is held responsible once for each death, however often it broke there, and for a whole host", () => {
    const quarantine = createQuarantine();
    for (let copy = 0; copy < 50; copy += 1)
      quarantine.broke(poison, { endpoint: "g-1/vllm", since: copy, presumed: true }, copy);
    quarantine.gone("g-1", 60);
    expect(quarantine.triesLeft(poison, 60)).toBe(2);
    quarantine.gone("g-1/vllm", 61);
    expect(quarantine.triesLeft(poison, 61)).toBe(2);
  });

  test("is held responsible once for a death that its copies are told of one after another, and again for the next", () => {
    const quarantine = createQuarantine();
    const breaks = (since: number, now: number): void => {
      quarantine.broke(poison, { endpoint: "g-1/vllm", since, presumed: true }, now);
      quarantine.gone("g-1/vllm", now);
    };
    for (let copy = 0; copy < 50; copy += 1) breaks(copy, 60);
    expect(quarantine.triesLeft(poison, 60)).toBe(2);
    breaks(70, 80);
    expect(quarantine.triesLeft(poison, 80)).toBe(1);
  });

  test("a hundred thousand of them stay within the bounds", () => {
    const quarantine = createQuarantine();
    for (let n = 0; n < 100_000; n += 1) {
      quarantine.broke(hash(n), { endpoint: "g/vllm", since: 0, presumed: true }, 0);
      if (n % 200 === 0)
        for (let death = 0; death < 3; death += 1) dies(quarantine, `g/vllm-${death}`, 0, hash(n));
    }
    quarantine.gone("g/vllm", 0);
    expect(quarantine.rows(0)).toHaveLength(quarantineRule.toldMost);
    expect(quarantine.rows(0)[0]?.[1]).toBeGreaterThanOrEqual(3);
    expect(quarantine.stopped(0)).toBeLessThanOrEqual(quarantineRule.rememberedMost);
    expect(quarantine.idle).toBe(false);
    const late = quarantineRule.rememberedMs;
    expect([quarantine.rows(late), quarantine.idle]).toEqual([[], true]);
  });
});

describe("between routers", () => {
  const tell = (from: Quarantine, owner: string, to: readonly Quarantine[], now: number): void => {
    for (const each of to) each.hear(owner, from.rows(now), now);
  };

  test("three deaths at three doors are three, and every door stops it", () => {
    const stopped: string[] = [];
    const doors = ["a", "b", "c"].map((name) => createQuarantine(() => stopped.push(name)));
    for (const [index, door] of doors.entries()) dies(door, "g-1/vllm", index);
    // Gossip repeats itself.
    for (let turn = 0; turn < 3; turn += 1)
      for (const [index, door] of doors.entries())
        tell(
          door,
          `${index}`,
          doors.filter((other) => other !== door),
          10 + turn,
        );
    expect(doors.map((door) => door.triesLeft(poison, 20))).toEqual([0, 0, 0]);
    expect(stopped.sort()).toEqual(["a", "b", "c"]);
  });

  test("what three engines seem to have died of is tried nowhere while nobody knows, and is tried again if they live", () => {
    const [a, b] = [createQuarantine(), createQuarantine()];
    for (const engine of ["g-1/vllm", "g-2/vllm", "g-3/vllm"])
      a.broke(poison, { endpoint: engine, since: 0, presumed: true }, 0);
    tell(a, "a", [b], 1);
    expect([a.triesLeft(poison, 2), b.triesLeft(poison, 2), b.stopped(2)]).toEqual([0, 0, 0]);
    const lapsed = 2 * quarantineRule.presumedMs;
    tell(a, "a", [b], lapsed);
    expect([a.triesLeft(poison, lapsed), b.triesLeft(poison, lapsed)]).toEqual([3, 3]);
    b.rows(10 * lapsed);
    tell(a, "a", [b], 10 * lapsed);
    expect(a.rows(10 * lapsed)).toEqual([]);
  });

  test("an answer at one door clears it at all, whatever old news goes about", () => {
    const [a, b, c] = [createQuarantine(), createQuarantine(), createQuarantine()];
    dies(a, "g-1/vllm", 0);
    tell(a, "a", [b, c], 1);
    expect(b.triesLeft(poison, 2)).toBe(2);
    b.answered(poison, 3);
    const old = a.rows(4);
    tell(b, "b", [a, c], 4);
    for (const door of [b, c]) door.hear("a", old, 5);
    expect([a, b, c].map((door) => door.triesLeft(poison, 6))).toEqual([3, 3, 3]);
    expect([a.rows(6), c.rows(6), b.rows(20_000)]).toEqual([[], [], []]);
  });

  test("a death after an answer counts again, everywhere", () => {
    const [a, b] = [createQuarantine(), createQuarantine()];
    dies(a, "g-1/vllm", 0);
    a.answered(poison, 1);
    tell(a, "a", [b], 2);
    dies(a, "g-1/vllm", 3);
    tell(a, "a", [b], quarantineRule.answeredToldMs + 3);
    expect(b.triesLeft(poison, quarantineRule.answeredToldMs + 4)).toBe(2);
  });
});
