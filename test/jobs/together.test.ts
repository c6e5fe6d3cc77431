// What arrives together is written together, and nobody hears of it before the commit.

import { expect, test } from "bun:test";
import { createRests } from "../../src/jobs/rests.ts";
import type { JobStore, StoreLimits } from "../../src/jobs/store.ts";
import type { TogetherRule } from "../../src/jobs/together.ts";
import { createTogether, togetherRule } from "../../src/jobs/together.ts";
import { troubleOf } from "../../src/jobs/trouble.ts";
import { cleanup } from "../support/cleanup.ts";
import { jobPlace, newJob } from "../support/job-place.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const own = cleanup();

interface Options {
  readonly rule?: Partial<TogetherRule>;
  readonly limits?: StoreLimits;
  readonly change?: (store: JobStore) => Partial<JobStore>;
}

/** Each accept takes `writeMs`, each commit `syncMs`: time passes within the calls. */
function scene({ rule, limits, change }: Options = {}) {
  const slow = virtualClock();
  let spentMs = 0;
  const took = { writeMs: 0.25, syncMs: 5 };
  const clock = { ...slow, now: () => slow.now() + spentMs };
  const place = own(jobPlace());
  const real = place.open(limits);
  const batches: string[][] = [];
  const told: string[] = [];
  const timed: JobStore = {
    ...real,
    together(work) {
      batches.push([]);
      const done = real.together(work);
      spentMs += took.syncMs;
      return done;
    },
    accept(job, idempotency) {
      batches.at(-1)?.push(job.id);
      spentMs += took.writeMs;
      return real.accept(job, idempotency);
    },
  };
  const store = { ...timed, ...change?.(timed) };
  const parts = { store, rests: createRests(clock), clock, rule: { ...togetherRule, ...rule } };
  const together = createTogether(parts);
  const accept = async (at: number, key?: string, body = "aa") => {
    const job = newJob(at);
    const idempotency = key === undefined ? undefined : { caller: "lobby", key, bodyHash: body };
    const answer = await together.write(
      job.request.byteLength,
      () => store.accept(job, idempotency),
      () => {},
    );
    told.push(job.id);
    return answer;
  };
  return { clock: slow, now: clock.now, place, store: real, batches, told, took, together, accept };
}

const ids = (...ats: number[]) => ats.map((at) => newJob(at).id);

test("a lone order is on the disk before the call has come back to who made it", () => {
  const { accept, store } = scene();
  void accept(1);
  expect(store.counts().accepted).toBe(1);
});

test("what arrives in the rest after it is one transaction, and the loop has twice its time before the next", async () => {
  const { accept, batches, told, clock, now } = scene();
  const startAt = now();
  const answers = Array.from({ length: 6 }, (_, at) => accept(at));
  expect(batches).toEqual([ids(0)]);
  await clock.settle();
  expect(told).toEqual(ids(0));
  await clock.advance(10);
  expect(batches).toHaveLength(1);
  await clock.advance(1);
  expect(batches).toEqual([ids(0), ids(1, 2, 3, 4, 5)]);
  expect(told).toEqual(ids(0, 1, 2, 3, 4, 5));
  for (const answer of await Promise.all(answers)) expect(answer.kind).toBe("stored");
  expect(now() - startAt).toBeGreaterThan(15);
});

test("a transaction is bounded in jobs, in bytes and in time, and what is left is next, in its order", async () => {
  const byMany = scene({ rule: { manyMost: 3 } });
  for (let at = 0; at < 8; at += 1) void byMany.accept(at);
  await byMany.clock.advance(1000);
  expect(byMany.batches).toEqual([ids(0), ids(1, 2, 3), ids(4, 5, 6), ids(7)]);

  const { byteLength } = newJob(0).request;
  const byBytes = scene({ rule: { bytesMost: 2 * byteLength } });
  for (let at = 0; at < 4; at += 1) void byBytes.accept(at);
  await byBytes.clock.advance(1000);
  expect(byBytes.batches).toEqual([ids(0), ids(1, 2), ids(3)]);

  const byTime = scene({ rule: { batchMs: 2 } });
  byTime.took.writeMs = 1;
  for (let at = 0; at < 6; at += 1) void byTime.accept(at);
  await byTime.clock.advance(1000);
  expect(byTime.batches).toEqual([ids(0), ids(1, 2), ids(3, 4), ids(5)]);
  expect(byTime.told).toEqual(ids(0, 1, 2, 3, 4, 5));
});

test("what is larger than a transaction may be is written alone", async () => {
  const { accept, batches, clock } = scene({ rule: { bytesMost: 1, waitingBytesMost: 1 } });
  for (const at of [1, 2]) void accept(at);
  await clock.advance(1000);
  expect(batches).toEqual([ids(1), ids(2)]);
});

test("two hundred orders with one key that arrive together are one job, and another body is refused", async () => {
  const { accept, store, clock } = scene();
  const answers = Array.from({ length: 200 }, (_, at) => accept(at, "k"));
  const other = accept(500, "k", "bb");
  await clock.advance(1000);
  const kinds = (await Promise.all(answers)).map((answer) => ("job" in answer ? answer.job.id : answer.kind));
  expect(new Set(kinds)).toEqual(new Set(ids(0)));
  expect(await other).toEqual({ kind: "mismatch" });
  expect(store.counts().accepted).toBe(1);
});

test("the queue's limit holds within a transaction, and who is over it spoils nothing for the others", async () => {
  const { accept, store, clock } = scene({ limits: { queuedMost: 3, bytesMost: 2 ** 28 } });
  const answers = [1, 2, 3, 4, 5].map((at) => accept(at));
  const again = accept(2);
  await clock.advance(1000);
  const kinds = (await Promise.all([...answers, again])).map(({ kind }) => kind);
  expect(kinds).toEqual(["stored", "stored", "stored", "full", "full", "same"]);
  expect(store.counts().accepted).toBe(3);
});

test("where the disk refuses the commit all who were in it are told so, nothing of it is there, and the next are stored", async () => {
  const full = troubleOf("disk-full");
  let refuses = false;
  const { accept, store, clock, place } = scene({
    change: (real) => ({
      together: (work) => (refuses ? { kind: "unavailable", trouble: full } : real.together(work)),
    }),
  });
  const answers = [1, 2, 3].map((at) => accept(at));
  refuses = true;
  await clock.advance(1000);
  expect((await Promise.all(answers)).map(({ kind }) => kind)).toEqual([
    "stored",
    "unavailable",
    "unavailable",
  ]);
  refuses = false;
  expect((await accept(4)).kind).toBe("stored");
  expect(store.counts().accepted).toBe(2);
  expect(place.copy().open().counts().accepted).toBe(2);
});

test("where too much waits callers are sent away, in jobs and in bytes, until some of it is written", async () => {
  const { byteLength } = newJob(0).request;
  for (const rule of [{ waitingMost: 4 }, { waitingBytesMost: 4 * byteLength }]) {
    const { accept, clock } = scene({ rule });
    // One is written at once, four wait.
    const answers = Array.from({ length: 7 }, (_, at) => accept(at));
    await clock.advance(1000);
    const kinds = (await Promise.all(answers)).map(({ kind }) => kind);
    expect(kinds).toEqual([...Array(5).fill("stored"), "crowded", "crowded"]);
    expect((await accept(8)).kind).toBe("stored");
  }
});

test("work that throws rejects, takes nothing with it that was told, and does not stop what comes later", async () => {
  const { accept, together, store, clock } = scene();
  const before = accept(1);
  const broken = together.write(
    0,
    () => {
      store.accept(newJob(2));
      throw new Error("boom");
    },
    () => {},
  );
  broken.catch(() => {});
  await clock.advance(1000);
  await expect(broken).rejects.toThrow("boom");
  expect((await before).kind).toBe("stored");
  expect(store.counts().accepted).toBe(1);
  const after = accept(3);
  await clock.advance(1000);
  expect((await after).kind).toBe("stored");
});

test("whoever breaks over what is on the disk hears of it alone", async () => {
  const { accept, together, store, clock } = scene();
  const before = accept(1);
  const broken = together.write(
    0,
    () => store.accept(newJob(2)),
    () => {
      throw new Error("boom");
    },
  );
  const after = accept(3);
  broken.catch(() => {});
  await clock.advance(1000);
  expect([(await before).kind, (await after).kind]).toEqual(["stored", "stored"]);
  await expect(broken).rejects.toThrow("boom");
  expect(store.counts().accepted).toBe(3);
});

test("a stop writes what waits, and what comes after it at once", async () => {
  const { accept, together, store, clock } = scene({ rule: { manyMost: 2 } });
  const answers = [1, 2, 3, 4, 5].map((at) => accept(at));
  together.stop();
  expect(clock.pending()).toBe(0);
  expect(store.counts().accepted).toBe(5);
  expect((await Promise.all(answers)).map(({ kind }) => kind)).toEqual(Array(5).fill("stored"));
  void accept(6);
  expect(store.counts().accepted).toBe(6);
});
