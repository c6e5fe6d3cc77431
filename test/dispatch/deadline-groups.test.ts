// One timer for many deadlines of one instant, and none for those that are gone.

import { expect, test } from "bun:test";
import { createDeadlineGroups } from "../../src/dispatch/deadline-groups.ts";
import { virtualClock } from "../support/virtual-clock.ts";

function scene() {
  const clock = virtualClock();
  const due: string[][] = [];
  const groups = createDeadlineGroups<string>(clock, (items) => due.push([...items]));
  return { clock, due, groups, at: (ms: number) => clock.now() + ms };
}

test("items of one deadline share a timer, and come together when it has come", async () => {
  const { clock, due, groups, at } = scene();
  const [soon, late] = [at(10), at(20)];
  for (const item of ["a", "b", "c"]) groups.add(item, soon);
  groups.add("d", late);
  expect([clock.pending(), groups.size]).toEqual([2, 4]);
  await clock.advance(9);
  expect(due).toEqual([]);
  await clock.advance(1);
  expect([due, groups.size]).toEqual([[["a", "b", "c"]], 1]);
  await clock.advance(10);
  expect(due).toEqual([["a", "b", "c"], ["d"]]);
  expect([clock.pending(), groups.size]).toEqual([0, 0]);
});

test("a deadline that nobody has any more keeps no timer", async () => {
  const { clock, due, groups, at } = scene();
  const soon = at(10);
  groups.add("a", soon);
  groups.add("b", soon);
  groups.remove("a", soon);
  groups.remove("a", soon);
  expect([clock.pending(), groups.size]).toEqual([1, 1]);
  groups.remove("b", soon);
  expect([clock.pending(), groups.size]).toEqual([0, 0]);
  groups.add("c", soon);
  await clock.advance(10);
  expect(due).toEqual([["c"]]);
});
