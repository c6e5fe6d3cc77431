import { expect, test } from "bun:test";
import { createRests } from "../../src/jobs/rests.ts";
import type { JobStore } from "../../src/jobs/store.ts";
import { startSweep, sweepRule } from "../../src/jobs/sweep.ts";
import { cleanup } from "../support/cleanup.ts";
import { jobPlace, newJob } from "../support/job-place.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const own = cleanup();
const retentionMs = 3_600_000;

test("what ended longer ago than retentionMs is forgotten, a little at a time, until the sweep is stopped", async () => {
  const [clock, store] = [virtualClock(), own(jobPlace()).open()];
  const many = 5 * sweepRule.rowsAtOnce;
  const end = (from: number): void => {
    for (let at = from; at < from + many; at += 1) {
      store.accept(newJob(at));
      store.cancel(newJob(at).id, clock.wallMs());
    }
  };
  end(0);
  const swept: number[] = [];
  const watched: Pick<JobStore, "sweep"> = {
    sweep(...asked) {
      const answer = store.sweep(...asked);
      if (answer.kind === "found" && answer.value > 0) swept.push(answer.value);
      return answer;
    },
  };
  const stop = startSweep({ store: watched, rests: createRests(clock), clock, retentionMs, tell: () => {} });
  await clock.advance(retentionMs - 1);
  expect(store.counts().cancelled).toBe(many);
  await clock.advance(sweepRule.everyMs + 10 * sweepRule.againMs);
  expect(swept).toEqual(Array(5).fill(sweepRule.rowsAtOnce));
  end(many);
  stop();
  await clock.advance(2 * retentionMs);
  expect([store.counts().cancelled, clock.pending()]).toEqual([many, 0]);
});

test("a disk that refuses is told of, and the sweep comes again", async () => {
  const clock = virtualClock();
  const trouble = { kind: "disk-full", message: "The disk is full." } as const;
  const told: unknown[] = [];
  const store = { sweep: () => ({ kind: "unavailable", trouble }) as const };
  const stop = startSweep({
    store,
    rests: createRests(clock),
    clock,
    retentionMs,
    tell: (event) => told.push(event),
  });
  await clock.advance(2 * sweepRule.everyMs);
  expect(told).toEqual(Array(3).fill({ kind: "trouble", trouble }));
  stop();
});

test("a sweep waits until the lane's rest is over, and is followed by one", async () => {
  const slow = virtualClock();
  let spentMs = 0;
  const clock = { ...slow, now: () => slow.now() + spentMs };
  const rests = createRests(clock);
  const at: number[] = [];
  const spend = (ms: number): void => {
    at.push(slow.now() - startedAt);
    spentMs += ms;
  };
  const startedAt = slow.now();
  const sweep = () => {
    spend(5);
    return { kind: "found", value: 0 } as const;
  };
  rests.attempt(() => spend(20));
  const stop = startSweep({ store: { sweep }, rests, clock, retentionMs, tell: () => {} });
  rests.line(() => spend(0));
  await slow.advance(1000);
  expect(at).toEqual([0, 40, 50]);
  stop();
});

test("a sweep that waits for its turn when it is stopped does not get it", async () => {
  const clock = virtualClock();
  let asked = 0;
  const sweep = () => {
    asked += 1;
    return { kind: "found", value: 0 } as const;
  };
  startSweep({ store: { sweep }, rests: createRests(clock), clock, retentionMs, tell: () => {} })();
  await clock.advance(sweepRule.everyMs);
  expect([asked, clock.pending()]).toEqual([0, 0]);
});
