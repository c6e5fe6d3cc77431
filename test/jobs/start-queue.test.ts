import { expect, test } from "bun:test";
import { createStartQueue } from "../../src/jobs/start-queue.ts";

const one = (name: string, change: { suspect?: boolean; hadTurn?: boolean } = {}) => ({
  name,
  suspect: false,
  hadTurn: false,
  ...change,
});

test("who had a turn before goes first, then the oldest, and a suspect only where no other is under way", () => {
  const queue = createStartQueue<ReturnType<typeof one>>();
  const gone = one("gone");
  for (const each of [
    one("old"),
    gone,
    one("young"),
    one("suspect", { suspect: true }),
    one("again", { hadTurn: true }),
  ])
    queue.add(each);
  queue.remove(gone);
  expect(queue.size()).toBe(4);
  const order = [true, true, false, true, false].map((suspectUnderWay) => queue.next(suspectUnderWay)?.name);
  expect(order).toEqual(["again", "old", "suspect", "young", undefined]);
  queue.add(one("suspect", { suspect: true }));
  expect(queue.next(true)).toBeUndefined();
  expect(queue.size()).toBe(1);
});
