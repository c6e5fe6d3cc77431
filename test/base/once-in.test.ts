import { expect, test } from "bun:test";
import { onceIn } from "../../src/base/once-in.ts";

test("onceIn says yes to each name once in its time, and the time begins when it said so", () => {
  const told = onceIn(60_000);
  expect([told.isDue("lobby", 0), told.isDue("arena", 30_000)]).toEqual([true, true]);
  expect([told.isDue("lobby", 59_999), told.isDue("arena", 59_999)]).toEqual([false, false]);
  expect([told.isDue("lobby", 60_000), told.isDue("arena", 60_000)]).toEqual([true, false]);
  expect([told.isDue("arena", 90_000), told.isDue("lobby", 119_999)]).toEqual([true, false]);
});

test("onceIn remembers no name longer than its time, however often names change", () => {
  const told = onceIn(60_000);
  for (let minute = 0; minute < 100; minute += 1) {
    for (const name of ["lobby", "arena"]) told.isDue(`${name}-${minute}`, minute * 60_000);
    expect(told.names).toBe(2);
  }
});
