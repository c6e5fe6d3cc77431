import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import type { JobState } from "../../src/jobs/job.ts";
import { isEnd, jobStates, jobStatuses, mayMove, statusOf } from "../../src/jobs/job.ts";
import type { Accepted, Found, JobStore, Move, Moved } from "../../src/jobs/store.ts";
import { cleanup } from "../support/cleanup.ts";
import type { JobPlace } from "../support/job-place.ts";
import { jobPlace, newJob, roomy } from "../support/job-place.ts";

const own = cleanup();
const place = () => own(jobPlace());

/** Well after every acceptance. */
const later = 1_767_225_700_000;
const boom = { code: "upstream_failed", message: "The container said no." };

const moveTo: Readonly<Record<Exclude<JobState, "cancelled">, Move>> = {
  accepted: { to: "accepted" },
  submitting: { to: "submitting" },
  submitted: { to: "submitted", handedOver: { kind: "submitted", failureLocation: "s3://b/f" } },
  done: { to: "done", result: Buffer.from('{"choices":[]}'), endedAtMs: later },
  failed: { to: "failed", error: boom, endedAtMs: later },
  expired: { to: "expired", error: boom, endedAtMs: later },
  poisoned: { to: "poisoned", error: boom, endedAtMs: later },
};

function found<T>(answer: Found<T>): T {
  if (answer.kind !== "found") throw new Error(answer.trouble.message);
  return answer.value;
}

function moved(answer: Moved | Accepted) {
  if (answer.kind !== "moved" && answer.kind !== "stored") throw new Error(JSON.stringify(answer));
  return answer.job;
}

describe("accept", () => {
  test("stores a job that reads back whole, with its bytes, after the process was killed", () => {
    const here = place();
    const store = here.open();
    const job = newJob(1, { owner: null, request: Buffer.from([0, 255, 1]) });
    expect(store.accept(job).kind).toBe("stored");
    const again = own(here.copy()).open();
    const { request, ...rest } = job;
    const row = { ...rest, state: "accepted", attempt: 0, fence: 0, recoveries: 0 } as const;
    expect(found(again.get(job.id))).toEqual(row);
    expect(Buffer.from(found(again.toDo(job.id))?.request ?? [])).toEqual(Buffer.from(request));
    expect(again.crashed).toBe(true);
  });

  test("answers the same job for the same key and body, and mismatch for another body, ended or not", () => {
    const store = place().open();
    const key = { caller: "lobby", key: "k1", bodyHash: "aa" };
    expect(store.accept(newJob(1), key).kind).toBe("stored");
    expect(store.accept(newJob(2), key)).toMatchObject({ kind: "same", job: { id: newJob(1).id } });
    expect(store.accept(newJob(2), { ...key, bodyHash: "bb" })).toEqual({ kind: "mismatch" });
    store.move(newJob(1).id, 0, moveTo.done);
    expect(store.accept(newJob(2), key)).toMatchObject({ kind: "same", job: { state: "done" } });
    // Another caller's key is another key.
    expect(store.accept(newJob(3), { ...key, caller: "arena" }).kind).toBe("stored");
    expect(store.accept(newJob(4), { ...key, caller: null }).kind).toBe("stored");
  });

  test("refuses beyond queuedMost and not before, counts only what is not ended, and still knows a key", () => {
    const store = place().open({ ...roomy, queuedMost: 3 });
    const key = { caller: "lobby", key: "k", bodyHash: "aa" };
    for (const at of [1, 2]) expect(store.accept(newJob(at)).kind).toBe("stored");
    expect(store.accept(newJob(3), key).kind).toBe("stored");
    expect(store.accept(newJob(4))).toEqual({ kind: "full", limit: 3 });
    expect(store.accept(newJob(5), key).kind).toBe("same");
    store.cancel(newJob(1).id, later);
    expect(store.accept(newJob(4)).kind).toBe("stored");
  });

  test("refuses one owner beyond ownerQueuedMost, others not, and knows after a kill how many each has", () => {
    const here = place();
    const ownerQueuedMost = () => most;
    let most = 2;
    const limits = { ...roomy, ownerQueuedMost };
    const of = (at: number, owner: string | null) => newJob(at, { owner });
    const store = here.open(limits);
    for (const at of [1, 2]) expect(store.accept(of(at, "lobby")).kind).toBe("stored");
    const full = { kind: "full", limit: 2, of: "owner" } as const;
    expect(store.accept(of(3, "lobby"))).toEqual(full);
    expect(store.accept(of(4, "arena")).kind).toBe("stored");
    expect(store.accept(of(5, null)).kind).toBe("stored");
    // What another host has left behind is done, whoever it is of, and is its owner's all the same.
    expect(store.adopt(of(6, "arena")).kind).toBe("stored");
    expect(store.accept(of(7, "arena"))).toEqual(full);

    const again = here.copy().open(limits);
    expect(again.accept(of(3, "lobby"))).toEqual(full);
    expect(again.accept(of(8, null)).kind).toBe("stored");
    again.cancel(newJob(1).id, later);
    expect(again.accept(of(3, "lobby")).kind).toBe("stored");
    expect(again.forget(newJob(6).id)).toMatchObject({ value: "forgotten" });
    expect(again.accept(of(7, "arena")).kind).toBe("stored");
    expect(again.accept(of(9, "arena"))).toEqual(full);
    most = 3;
    expect(again.accept(of(9, "arena")).kind).toBe("stored");
  });

  test("is the same for an id that is known", () => {
    const store = place().open();
    store.accept(newJob(1));
    expect(store.accept(newJob(1, { model: "other" }))).toMatchObject({
      kind: "same",
      job: { model: "story-70b" },
    });
  });
});

describe("move", () => {
  /** The shortest way to each state. */
  const ways: Readonly<Record<JobState, readonly JobState[]>> = {
    accepted: [],
    submitting: ["submitting"],
    submitted: ["submitting", "submitted"],
    done: ["submitting", "done"],
    failed: ["submitting", "failed"],
    expired: ["expired"],
    cancelled: ["cancelled"],
    poisoned: ["submitting", "poisoned"],
  };

  const go = (store: JobStore, id: string, to: JobState): Moved =>
    to === "cancelled"
      ? store.cancel(id, later)
      : store.move(id, found(store.get(id))?.fence ?? -1, moveTo[to]);

  test("makes every legal move and refuses every other, which leaves the row as it was", () => {
    const store = place().open();
    let at = 0;
    for (const from of jobStates) {
      for (const to of jobStates) {
        const { id } = moved(store.accept(newJob(++at)));
        for (const step of ways[from]) moved(go(store, id, step));
        const before = found(store.get(id));
        expect(before?.state).toBe(from);
        const answer = go(store, id, to);
        expect([from, to, answer.kind]).toEqual([from, to, mayMove(from, to) ? "moved" : "refused"]);
        if (answer.kind === "refused") expect(found(store.get(id))).toEqual(before);
        else expect(found(store.get(id))?.state).toBe(to);
      }
    }
  });

  test("refuses an older fence: who was overtaken changes nothing and is told what is", () => {
    const store = place().open();
    const { id } = moved(store.accept(newJob(1)));
    const first = moved(store.move(id, 0, { to: "submitting" }));
    const second = moved(store.move(id, first.fence, { to: "submitting" }));
    expect([second.attempt, second.fence]).toEqual([2, 2]);
    expect(store.move(id, first.fence, moveTo.done)).toEqual({ kind: "refused", job: second });
    expect(found(store.result(id))).toBeUndefined();
    const cancelled = moved(store.cancel(id, later));
    expect(cancelled.fence).toBe(3);
    expect(store.move(id, second.fence, moveTo.done)).toEqual({ kind: "refused", job: cancelled });
  });

  test("keeps what the hand-over told, the result, the reason and the end", () => {
    const store = place().open();
    const { id } = moved(store.accept(newJob(1)));
    store.move(id, 0, { to: "submitting", recovered: true });
    const handedOver = {
      kind: "submitted",
      inferenceId: "i-1",
      outputKey: "jobs/other",
      failureLocation: "s3://b/f",
    } as const;
    const submitted = moved(store.move(id, 1, { to: "submitted", handedOver }));
    expect(submitted).toMatchObject({
      recoveries: 1,
      inferenceId: "i-1",
      outputKey: "jobs/other",
      failureLocation: "s3://b/f",
    });
    const done = moved(store.move(id, 1, moveTo.done));
    expect(done).toMatchObject({ state: "done", inferenceId: "i-1", endedAtMs: later });
    expect(Buffer.from(found(store.result(id)) ?? []).toString()).toBe('{"choices":[]}');

    const other = moved(store.accept(newJob(2)));
    expect(moved(store.move(other.id, 0, moveTo.failed))).toMatchObject({ state: "failed", error: boom });
    expect(found(store.toDo(other.id))?.request).toBeDefined();
  });

  test("is refused for a job that is gone", () => {
    expect(place().open().cancel(newJob(1).id, later)).toEqual({ kind: "refused", job: undefined });
  });
});

describe("list", () => {
  test("pages through everything once, newest first, while jobs come, end and are swept", () => {
    const store = place().open();
    for (let at = 100; at < 160; at += 1) store.accept(newJob(at));
    const seen: string[] = [];
    let after: string | undefined;
    for (let page = 0; ; page += 1) {
      const { jobs, hasMore } = found(store.list({ limit: 7, ...(after !== undefined && { after }) }));
      seen.push(...jobs.map(({ id }) => id));
      after = jobs.at(-1)?.id;
      if (!hasMore) break;
      expect(jobs).toHaveLength(7);
      // Something newer comes, and the job where the page ended is ended and forgotten.
      store.accept(newJob(1000 + page));
      if (after !== undefined) store.cancel(after, later);
      expect(found(store.sweep(later, 10))).toBe(1);
    }
    expect(seen).toEqual(Array.from({ length: 60 }, (_, index) => newJob(159 - index).id));
  });

  test("gives a caller its own jobs only, one status only, and at most 100", () => {
    const store = place().open();
    for (let at = 0; at < 240; at += 1)
      store.accept(newJob(at, { owner: ["lobby", "arena", null][at % 3] ?? null }));
    for (let at = 0; at < 240; at += 2) store.cancel(newJob(at).id, later);
    for (const owner of ["lobby", "arena", null]) {
      const all = found(store.list({ owner, limit: 1000 }));
      expect(all.jobs).toHaveLength(80);
      expect(all.jobs.every((job) => job.owner === owner)).toBe(true);
      expect(found(store.list({ owner, limit: 1000, status: "cancelled" })).jobs).toHaveLength(40);
      expect(found(store.list({ owner, limit: 1000, status: "succeeded" })).jobs).toHaveLength(0);
    }
    expect(found(store.list({ owner: "nobody", limit: 10 }))).toEqual({ jobs: [], hasMore: false });
    const page = found(store.list({ limit: 1000 }));
    expect([page.jobs.length, page.hasMore]).toEqual([100, true]);
  });
});

describe("together", () => {
  const key = { caller: "lobby", key: "k1", bodyHash: "aa" };

  test("sees what came before it, and leaves all of it, after a kill too", () => {
    const here = place();
    const store = here.open({ ...roomy, queuedMost: 2 });
    const kinds = store.together(() => [
      store.accept(newJob(1), key).kind,
      store.accept(newJob(2), key).kind,
      store.accept(newJob(3), { ...key, bodyHash: "bb" }).kind,
      store.accept(newJob(4)).kind,
      store.accept(newJob(5)).kind,
      store.cancel(newJob(1).id, later).kind,
      store.accept(newJob(6)).kind,
    ]);
    expect(found(kinds)).toEqual(["stored", "same", "mismatch", "stored", "full", "moved", "stored"]);
    expect(store.counts()).toMatchObject({ accepted: 2, cancelled: 1 });
    const again = here.copy().open();
    expect(found(again.unfinished()).map(({ id }) => id)).toEqual([newJob(4).id, newJob(6).id]);
    expect(found(again.get(newJob(1).id))?.state).toBe("cancelled");
  });

  test("leaves nothing where the disk is full in the midst of it, and the numbers are as before", () => {
    const here = place();
    let ownerMost = 9;
    const store = here.open({ ...roomy, bytesMost: 1024 * 1024, ownerQueuedMost: () => ownerMost });
    store.accept(newJob(1));
    const big = Buffer.alloc(400_000, "x");
    const answer = store.together(() =>
      [2, 3, 4, 5].map((at) => store.accept(newJob(at, { request: big })).kind),
    );
    expect(answer).toMatchObject({ kind: "unavailable", trouble: { kind: "disk-full" } });
    expect(store.counts().accepted).toBe(1);
    ownerMost = 2;
    expect(found(store.get(newJob(2).id))).toBeUndefined();
    expect(store.accept(newJob(6)).kind).toBe("stored");
    expect(store.accept(newJob(7))).toEqual({ kind: "full", limit: 2, of: "owner" });
    expect(found(here.copy().open().unfinished())).toHaveLength(2);
  });

  test("leaves nothing where the work throws, and takes what comes next", () => {
    const store = place().open();
    expect(() =>
      store.together(() => {
        store.accept(newJob(1));
        throw new Error("boom");
      }),
    ).toThrow("boom");
    expect(store.counts().accepted).toBe(0);
    expect(found(store.get(newJob(1).id))).toBeUndefined();
    expect(store.accept(newJob(1)).kind).toBe("stored");
  });
});

describe("adopt", () => {
  test("stores another host's job as one that may have been handed over, past queuedMost", () => {
    const store = place().open({ ...roomy, queuedMost: 1 });
    store.accept(newJob(1));
    const theirs = newJob(2, { outputKey: "s3://bucket/theirs.out" });
    const { request, ...rest } = theirs;
    const row = { ...rest, state: "accepted", attempt: 1, fence: 0, recoveries: 0 } as const;
    expect(store.adopt(theirs)).toEqual({ kind: "stored", job: row });
    expect(Buffer.from(found(store.toDo(theirs.id))?.request ?? [])).toEqual(Buffer.from(request));
    expect(store.adopt(theirs).kind).toBe("same");
    expect(store.accept(newJob(3))).toMatchObject({ kind: "full" });
    expect(store.counts().accepted).toBe(2);
  });

  test("does not go past the bound of the file", () => {
    const store = place().open({ ...roomy, bytesMost: 1024 * 1024 });
    const request = Buffer.alloc(100_000, "x");
    const kinds = Array.from({ length: 20 }, (_, at) => store.adopt(newJob(at, { request })).kind);
    expect(kinds[0]).toBe("stored");
    expect(kinds.at(-1)).toBe("unavailable");
  });
});

describe("forget", () => {
  test("leaves nothing of an unfinished job, its key neither, and touches no other", () => {
    const store = place().open();
    const key = { caller: "lobby", key: "k1", bodyHash: "aa" };
    store.accept(newJob(1), key);
    store.accept(newJob(2));
    expect(store.forget(newJob(1).id)).toEqual({ kind: "found", value: "forgotten" });
    expect(store.forget(newJob(1).id)).toEqual({ kind: "found", value: "not-there" });
    expect([found(store.get(newJob(1).id)), found(store.toDo(newJob(1).id))]).toEqual([undefined, undefined]);
    expect(store.counts().accepted).toBe(1);
    // The key is free again.
    expect(store.accept(newJob(3), key).kind).toBe("stored");
  });

  test("leaves a job that has ended: it has been seen", () => {
    const store = place().open();
    store.accept(newJob(1));
    store.move(newJob(1).id, 0, moveTo.done);
    expect(store.forget(newJob(1).id)).toEqual({ kind: "found", value: "not-there" });
    expect(found(store.result(newJob(1).id))).toBeDefined();
  });
});

describe("sweep", () => {
  test("forgets what ended by then, the earliest first, its bytes and its idempotency key with it", () => {
    const store = place().open();
    for (const at of [1, 2, 3, 4]) {
      store.accept(newJob(at), { caller: "lobby", key: `k${at}`, bodyHash: "aa" });
      if (at < 4)
        store.move(newJob(at).id, 0, { to: "done", result: Buffer.from("{}"), endedAtMs: 1000 * at });
    }
    expect(found(store.sweep(2000, 1))).toBe(1);
    expect(found(store.get(newJob(1).id))).toBeUndefined();
    expect(found(store.result(newJob(1).id))).toBeUndefined();
    expect(store.accept(newJob(11), { caller: "lobby", key: "k1", bodyHash: "bb" }).kind).toBe("stored");
    expect(found(store.sweep(2000, 10))).toBe(1);
    expect(found(store.sweep(2000, 10))).toBe(0);
    expect(found(store.list({ limit: 10 })).jobs.map(({ state }) => state)).toEqual([
      "accepted",
      "accepted",
      "done",
    ]);
  });
});

test("oldestAcceptedAtMs and recentDurationsMs tell the age of the backlog and what jobs take", () => {
  const store = place().open();
  expect(store.oldestAcceptedAtMs()).toBeUndefined();
  expect(store.recentDurationsMs(5)).toEqual([]);
  for (const at of [1, 2, 3]) store.accept(newJob(at));
  store.move(newJob(1).id, 0, {
    to: "done",
    result: Buffer.from(""),
    endedAtMs: newJob(1).acceptedAtMs + 70,
  });
  store.cancel(newJob(3).id, later);
  expect(store.oldestAcceptedAtMs()).toBe(newJob(2).acceptedAtMs);
  expect(store.recentDurationsMs(5)).toEqual([70]);
});

test("a file that was deleted under it takes no new jobs, and those inside may still end", () => {
  const here = place();
  const store = here.open();
  store.accept(newJob(1));
  rmSync(join(here.dir, "jobs.db"));
  expect(store.accept(newJob(2))).toMatchObject({ kind: "unavailable", trouble: { kind: "gone" } });
  expect(store.cancel(newJob(1).id, 1).kind).toBe("moved");
  store.close();
});

test("a start knows whether the run before was closed or crashed", () => {
  const here = place();
  const first = here.open();
  expect(first.crashed).toBe(false);
  expect(own(here.copy()).open().crashed).toBe(true);
  first.close();
  expect(here.open().crashed).toBe(false);
});

/** What the store should hold, without a disk. */
interface Row {
  state: JobState;
  fence: number;
  attempt: number;
  key: string | undefined;
  endedAtMs: number | undefined;
}

const whichJob = fc.integer({ min: 0, max: 11 });
const commands = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant("accept" as const),
      at: whichJob,
      key: fc.option(fc.constantFrom("a", "b"), { nil: undefined }),
      body: fc.constantFrom("x", "y"),
    }),
    fc.record({
      do: fc.constant("move" as const),
      at: whichJob,
      to: fc.constantFrom(...jobStates),
      staleBy: fc.constantFrom(0, 0, 0, 1),
      endedAtMs: fc.integer({ min: 1, max: 9 }),
    }),
    fc.record({
      do: fc.constant("sweep" as const),
      endedAtMs: fc.integer({ min: 1, max: 9 }),
      atMost: fc.integer({ min: 1, max: 4 }),
    }),
    fc.record({ do: fc.constant("adopt" as const), at: whichJob }),
    fc.record({ do: fc.constant("forget" as const), at: whichJob }),
    fc.record({ do: fc.constant("restart" as const) }),
    fc.record({ do: fc.constant("kill" as const) }),
  ),
  { maxLength: 60 },
);

test("any sequence of operations, restarts and kills leaves what the model says", () => {
  const queuedMost = 5;
  const ownerMost = 3;
  const ownerOf = (at: number) => (at % 2 === 0 ? "lobby" : null);
  fc.assert(
    fc.property(commands, (sequence) => {
      let here: JobPlace = jobPlace();
      const places = [here];
      const limits = { ...roomy, queuedMost, ownerQueuedMost: () => ownerMost };
      const job = (at: number) => newJob(at, { owner: ownerOf(at) });
      let store = here.open(limits);
      const model = new Map<number, Row>();
      const bodies = new Map<string, { at: number; body: string }>();
      try {
        for (const command of sequence) {
          if (command.do === "restart" || command.do === "kill") {
            const before = store;
            if (command.do === "kill") {
              here = here.copy();
              places.push(here);
            }
            before.close();
            store = here.open(limits);
            expect(store.crashed).toBe(command.do === "kill");
          } else if (command.do === "sweep") {
            const due = [...model]
              .filter(([, row]) => (row.endedAtMs ?? 99) <= command.endedAtMs)
              .sort(([, a], [, b]) => (a.endedAtMs ?? 0) - (b.endedAtMs ?? 0));
            expect(found(store.sweep(command.endedAtMs, command.atMost))).toBe(
              Math.min(due.length, command.atMost),
            );
            // Of those that ended in one millisecond any may go first.
            for (const [at, row] of due) {
              if (found(store.get(newJob(at).id)) !== undefined) continue;
              model.delete(at);
              if (row.key !== undefined) bodies.delete(row.key);
            }
          } else if (command.do === "accept") {
            const { at, key, body } = command;
            const known = key === undefined ? undefined : bodies.get(key);
            const open = [...model].filter(([, { state }]) => !isEnd(state));
            const own = open.filter(([other]) => ownerOf(other) === ownerOf(at));
            const expected =
              known !== undefined
                ? known.body === body
                  ? "same"
                  : "mismatch"
                : model.has(at)
                  ? "same"
                  : open.length >= queuedMost || own.length >= ownerMost
                    ? "full"
                    : "stored";
            const idempotency = key === undefined ? undefined : { caller: "lobby", key, bodyHash: body };
            expect(store.accept(job(at), idempotency).kind).toBe(expected);
            if (expected === "stored") {
              model.set(at, { state: "accepted", fence: 0, attempt: 0, key, endedAtMs: undefined });
              if (key !== undefined) bodies.set(key, { at, body });
            }
          } else if (command.do === "adopt") {
            const { at } = command;
            expect(store.adopt(job(at)).kind).toBe(model.has(at) ? "same" : "stored");
            if (!model.has(at))
              model.set(at, {
                state: "accepted",
                fence: 0,
                attempt: 1,
                key: undefined,
                endedAtMs: undefined,
              });
          } else if (command.do === "forget") {
            const { at } = command;
            const row = model.get(at);
            const isThere = row !== undefined && !isEnd(row.state);
            expect(found(store.forget(newJob(at).id))).toBe(isThere ? "forgotten" : "not-there");
            if (isThere) model.delete(at);
            if (isThere && row.key !== undefined) bodies.delete(row.key);
          } else {
            const { at, to, staleBy, endedAtMs } = command;
            const row = model.get(at);
            const { id } = newJob(at);
            const fence = (row?.fence ?? 0) - staleBy;
            const move = to === "cancelled" ? undefined : moveTo[to];
            const answer =
              move === undefined
                ? store.cancel(id, endedAtMs)
                : store.move(id, fence, "endedAtMs" in move ? { ...move, endedAtMs } : move);
            const legal =
              row !== undefined && mayMove(row.state, to) && (to === "cancelled" || staleBy === 0);
            expect(answer.kind).toBe(legal ? "moved" : "refused");
            if (legal) {
              row.state = to;
              if (to === "submitting") row.attempt += 1;
              if (to === "submitting" || to === "cancelled") row.fence += 1;
              if (isEnd(to)) row.endedAtMs = endedAtMs;
            }
          }
        }
        const listed = found(store.list({ limit: 100 })).jobs;
        expect(
          listed.map(({ id, state, fence, attempt, endedAtMs }) => ({
            id,
            state,
            fence,
            attempt,
            endedAtMs,
          })),
        ).toEqual(
          [...model]
            .sort(([a], [b]) => b - a)
            .map(([at, { state, fence, attempt, endedAtMs }]) => ({
              id: newJob(at).id,
              state,
              fence,
              attempt,
              endedAtMs,
            })),
        );
        for (const state of jobStates)
          expect(store.counts()[state]).toBe(listed.filter((job) => job.state === state).length);
        for (const status of jobStatuses)
          expect(found(store.list({ status, limit: 100 })).jobs).toEqual(
            listed.filter(({ state }) => statusOf(state) === status),
          );
        expect(found(store.unfinished())).toEqual(listed.filter(({ state }) => !isEnd(state)).reverse());
      } finally {
        store.close();
        for (const each of places) each.stop();
      }
    }),
    { numRuns: Number(process.env["JOB_STORE_RUNS"] ?? 60) },
  );
});
