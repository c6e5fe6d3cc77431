// What the game night counts and how: the evening as data, the book, and who is asked where.

import { expect, test } from "bun:test";
import { cast } from "../../bench/game-night/cast.ts";
import { createDoors } from "../../bench/game-night/doors.ts";
import { phaseAt, planEvening } from "../../bench/game-night/evening.ts";
import { bornNpc, intentsToml, live, situationOf } from "../../bench/game-night/npc-kinds.ts";
import { attainment, createScoreBook } from "../../bench/game-night/scores.ts";
import { percent } from "../../bench/game-night/tables.ts";
import { seededRandom } from "../../src/base/random.ts";

test("an evening is whole: phases follow one another, and every act falls into its phase", () => {
  for (const short of [false, true]) {
    const { phases, acts, endMs } = planEvening(short);
    let fromMs = 0;
    for (const phase of phases) {
      expect(phase.fromMs).toBe(fromMs);
      fromMs = phase.toMs;
    }
    expect(fromMs).toBe(endMs);
    for (const { atMs } of acts) expect(phaseAt(phases, atMs)).toBeDefined();
    // What is broken is mended.
    const done = acts.map(({ act }) => act.do);
    expect(done).toContain("kill-engine");
    expect(done.indexOf("start-engine")).toBeGreaterThan(done.indexOf("kill-engine"));
    expect(done.indexOf("start-host")).toBeGreaterThan(done.indexOf("crash-host"));
    expect(done.indexOf("heal")).toBeGreaterThan(done.indexOf("cut-off"));
    expect(done).toContain("restart-all");
  }
});

test("a score book counts by phase and second, and nothing of before or after", () => {
  const { phases, endMs } = planEvening(true);
  const [first, second] = phases;
  if (first === undefined || second === undefined) throw new Error("an evening has phases");
  const book = createScoreBook(phases);
  book.note("realtime", { atMs: -1, good: true, ms: 1, why: "too early" });
  book.note("realtime", { atMs: endMs, good: true, ms: 1, why: "too late" });
  book.note("realtime", { atMs: 0, good: true, ms: 10, why: "in time" });
  book.note("realtime", { atMs: first.toMs - 1, good: false, ms: 500, why: "late" });
  book.note("realtime", { atMs: second.fromMs, good: false, why: "refused" });
  book.note("intents", { atMs: 0, good: false, inTime: true, ms: 14, why: "default" });
  const { realtime, intents } = book.scores();
  expect(realtime?.all).toMatchObject({ asked: 3, good: 1 });
  expect(realtime?.phases[first.id]).toMatchObject({ asked: 2, good: 1, p99Ms: 500 });
  expect(realtime?.phases[second.id]).toMatchObject({ asked: 1, good: 0, p50Ms: null });
  expect(realtime?.seconds[0]).toEqual([1, 1]);
  expect(intents?.all).toMatchObject({ asked: 1, good: 0, inTime: 1, why: [["default", 1]] });
  expect(attainment(realtime?.all)).toBeCloseTo(1 / 3);
});

test("a share just below all is never shown as all", () => {
  expect(percent({ asked: 100_000, good: 99_999 })).toBe("99.9 %");
  expect(percent({ asked: 3, good: 3 })).toBe("100 %");
  expect(percent({ asked: 0, good: 0 })).toBe("–");
});

test("a caller goes to its own host, to the next while that one is avoided, and to its own where all are", () => {
  const door = (name: string) => ({ name, urls: { gold: name, silver: name } });
  const [one, two, three] = [door("one"), door("two"), door("three")];
  const doors = createDoors([one, two, three]);
  expect(doors.from(4)).toBe(two);
  doors.avoid(two);
  expect(doors.from(4)).toBe(three);
  expect(doors.from(0)).toBe(one);
  expect(doors.from(4, [three])).toBe(one);
  expect(doors.from(4, [three, one])).toBe(three);
  doors.avoid(three);
  expect(doors.from(4)).toBe(one);
  doors.avoid(one);
  expect(doors.from(4)).toBe(two);
});

test("every game server has NPCs of all kinds", () => {
  const ids = Array.from({ length: cast.npcs }, (_, id) => id);
  for (let server = 0; server < cast.gameServers; server += 1) {
    const own = ids.filter((id) => id % cast.gameServers === server);
    expect(new Set(own.map((id) => bornNpc(id, Math.random).kind)).size).toBe(3);
  }
});

test("situation codes of NPCs stay within what their archetypes' configuration allows", () => {
  const random = seededRandom(7);
  const config = intentsToml(14);
  const most = [4 * 5 * 4 * 3, 5 * 3 * 5 * 3, 4 * 5 * 3 * 3];
  for (let id = 0; id < 300; id += 1) {
    const npc = bornNpc(id, random);
    for (let turn = 0; turn < 20; turn += 1) {
      live(npc, random);
      const code = situationOf(npc);
      expect(Number.isInteger(code) && code >= 0 && code < (most[npc.kind] ?? 0)).toBe(true);
    }
  }
  for (const name of ["guard", "villager", "wolf"]) expect(config).toContain(`[intents.archetype.${name}]`);
});
