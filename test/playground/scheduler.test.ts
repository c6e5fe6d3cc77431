// The simulated engine's batch in virtual time: when tokens come, who waits, what a full KV cache does.

import { expect, test } from "bun:test";
import type { SchedulerOptions } from "../../playground/simulated/scheduler.ts";
import { createScheduler } from "../../playground/simulated/scheduler.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const options: SchedulerOptions = {
  msPerToken: 10,
  msPerPromptToken: 1,
  maxRunning: 2,
  fullBatchSlowdown: 0,
  kvBlocks: 1000,
  byPriority: true,
};

/** A scheduler in virtual time that starts at 0, and when each named sequence wrote its tokens. */
function bench(changes: Partial<SchedulerOptions> = {}) {
  const clock = virtualClock(0);
  const scheduler = createScheduler({ ...options, ...changes }, clock);
  const wrote: Record<string, number[]> = {};
  return {
    scheduler,
    wrote,
    ask: (name: string, promptTokens: number, tokens: number, priority = 0) =>
      scheduler.submit({
        promptTokens,
        cachedTokens: 0,
        tokens,
        priority,
        onToken: () => {
          wrote[name] = [...(wrote[name] ?? []), clock.now()];
        },
      }),
    run: (untilMs: number) => clock.advance(untilMs - clock.now()),
  };
}

test("the first token comes after a prefill by prompt length, the others one step apart", async () => {
  const { ask, run, wrote } = bench();
  ask("a", 5, 3);
  await run(100);
  expect(wrote).toEqual({ a: [15, 25, 35] });
});

test("a sequence beyond the batch waits until one has ended", async () => {
  const { ask, run, wrote, scheduler } = bench();
  ask("a", 0, 1);
  ask("b", 0, 2);
  ask("c", 0, 1);
  expect(scheduler.counts()).toMatchObject({ running: 2, waiting: 1 });
  await run(100);
  expect(wrote).toEqual({ a: [10], b: [10, 20], c: [20] });
});

test("the queue is ordered by priority, lower first, and then by arrival", async () => {
  const { ask, run, wrote } = bench({ maxRunning: 1 });
  ask("running", 0, 1);
  ask("late", 0, 1, 5);
  ask("urgent", 0, 1, -1);
  ask("later", 0, 1, 5);
  await run(100);
  expect(wrote).toEqual({ running: [10], urgent: [20], late: [30], later: [40] });
});

test("a full batch decodes slower by the slowdown", async () => {
  const { ask, run, wrote } = bench({ fullBatchSlowdown: 0.5 });
  ask("a", 0, 3);
  ask("b", 0, 3);
  await run(100);
  expect(wrote["b"]).toEqual([15, 30, 45]);
});

test("an abort frees the place for the next in the queue at once", async () => {
  const { ask, run, wrote } = bench({ maxRunning: 1 });
  const abort = ask("a", 0, 100);
  ask("b", 0, 1);
  await run(15);
  expect(abort()).toBe(true);
  expect(abort()).toBe(false);
  await run(100);
  expect(wrote).toEqual({ a: [10], b: [25] });
});

test("a sequence whose prompt does not fit into the KV cache waits although the batch has room", async () => {
  const { ask, run, wrote, scheduler } = bench({ kvBlocks: 3 });
  ask("a", 30, 1);
  ask("b", 30, 1);
  expect(scheduler.counts()).toMatchObject({ running: 1, waiting: 1 });
  await run(200);
  expect(wrote).toEqual({ a: [40], b: [80] });
});

test("when a growing sequence finds no free block, the latest arrival is preempted and still writes every token", async () => {
  const { ask, run, wrote, scheduler } = bench({ kvBlocks: 3, msPerPromptToken: 0 });
  ask("a", 16, 20);
  ask("b", 16, 5);
  await run(1000);
  expect(scheduler.counts()).toMatchObject({ preemptions: 1, running: 0, waiting: 0, kvUsage: 0 });
  expect(wrote["a"]).toHaveLength(20);
  expect(wrote["b"]).toHaveLength(5);
});

test("a paused scheduler writes nothing, and after resuming everything comes that much later", async () => {
  const { ask, run, wrote, scheduler } = bench();
  ask("a", 0, 2);
  await run(15);
  scheduler.pause();
  await run(515);
  expect(wrote).toEqual({ a: [10] });
  scheduler.resume();
  await run(1000);
  expect(wrote).toEqual({ a: [10, 520] });
});
