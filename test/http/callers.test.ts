// Callers over reloads, and which classes they may use.

import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import type { CallerRule } from "../../src/http/callers.ts";
import { createCallers, forbids } from "../../src/http/callers.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const limited = (perSecond: number, burst: number): CallerRule => ({ rate: { perSecond, burst } });

function scene(rules: Readonly<Record<string, CallerRule>>) {
  const clock = virtualClock();
  const callers = createCallers(clock, seededRandom(1));
  const reload = (next: typeof rules, names = ["lobby", "arena"]) =>
    callers.reconfigure({ names, rules: new Map(Object.entries(next)) });
  reload(rules);
  const take = (name: string, times: number) => {
    for (let count = 0; count < times; count += 1) callers.named(name).limit?.take();
  };
  const left = (name: string) => callers.named(name).limit?.level();
  return { callers, clock, reload, take, left };
}

describe("a reload", () => {
  test("leaves each name what is left of its limit", () => {
    const { reload, take, left } = scene({ lobby: limited(10, 10), arena: limited(10, 10) });
    take("lobby", 7);
    reload({ lobby: limited(10, 10), arena: limited(10, 10) });
    expect([left("lobby"), left("arena")]).toEqual([3, 10]);
  });

  test("that raises a limit grants nothing at once, and one that lowers it takes what no longer fits", async () => {
    const { clock, reload, take, left } = scene({ lobby: limited(10, 10), arena: limited(10, 10) });
    take("lobby", 10);
    reload({ lobby: limited(100, 100), arena: limited(1, 2) });
    expect([left("lobby"), left("arena")]).toEqual([0, 2]);
    await clock.advance(500);
    expect(left("lobby")).toBe(50);
  });

  test("forgets a name that has no key any more, and takes limits away", () => {
    const { callers, reload, take, left } = scene({ lobby: limited(10, 10) });
    take("lobby", 10);
    expect(callers.many).toBe(2);
    reload({}, ["arena"]);
    expect([callers.many, left("lobby")]).toEqual([1, undefined]);
    reload({ lobby: limited(10, 10) });
    expect(left("lobby")).toBe(10);
  });
});

test("two keys of one name are one caller, and share its limit", () => {
  const { callers, reload } = scene({});
  reload({ lobby: limited(10, 10) }, ["lobby", "lobby"]);
  expect(callers.many).toBe(1);
  expect(callers.named("lobby").limit).toBe(callers.named("lobby").limit);
});

test("a key may use the classes that are written, or all, and is told which", () => {
  expect(forbids(undefined, "realtime")).toBeUndefined();
  expect(forbids({ name: "lobby" }, "realtime")).toBeUndefined();
  expect(forbids({ name: "lobby", sla: ["async", "realtime"] }, "realtime")).toBeUndefined();
  expect(forbids({ name: "lobby", sla: ["interactive", "async"] }, "realtime", "model")).toEqual({
    code: "forbidden",
    message: "The key lobby may not use the SLA class realtime. It may use: interactive, async.",
    param: "model",
  });
});
