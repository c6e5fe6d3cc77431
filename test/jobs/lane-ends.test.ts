// Ends that others must know before anybody sees them, and jobs that go from host to host.

import { describe, expect, spyOn, test } from "bun:test";
import type { Job } from "../../src/jobs/job.ts";
import type { Closing } from "../../src/jobs/lane-ends.ts";
import type { Looked, Submitted } from "../../src/jobs/runner.ts";
import type { AnyEnding } from "../../src/jobs/store.ts";
import { cleanup } from "../support/cleanup.ts";
import { newJob } from "../support/job-place.ts";
import type { LaneSceneOptions } from "../support/lane-scene.ts";
import { laneScene } from "../support/lane-scene.ts";

const own = cleanup();
const result = Buffer.from('{"choices":[]}');
const full = { kind: "disk-full", message: "The disk is full." } as const;
const done = { kind: "done", result } as const satisfies Looked & Submitted;
const notNow: Closing = { kind: "again", about: "job", afterMs: 0, why: "no S3" };

const cancelled = { to: "cancelled", endedAtMs: 77 } as const;

const agreed = (end: AnyEnding): Closing => ({ kind: "closed", end });

/** Others who must know: they agree, until a test says otherwise. */
function scene(options: LaneSceneOptions = {}) {
  const asked: { readonly job: Job; readonly end: AnyEnding; readonly at: number }[] = [];
  const others = {
    asked,
    answer: (end: AnyEnding, _signal: AbortSignal): Closing | Promise<Closing> => agreed(end),
  };
  const made = laneScene(own, {
    closing: async (job, end, signal) => {
      asked.push({ job, end, at: made.clock.now() });
      return others.answer(end, signal);
    },
    ...options,
  });
  return { ...made, others };
}

const kinds = (events: readonly { readonly kind: string }[]) => events.map(({ kind }) => kind);

describe("an end", () => {
  test("is known to others before it is written down", async () => {
    const { clock, runner, accept, job, store, others } = scene();
    runner.onSubmit = () => done;
    const { promise, resolve } = Promise.withResolvers<void>();
    others.answer = async (end) => {
      await promise;
      return agreed(end);
    };
    const id = accept(1);
    await clock.advance(5000);
    expect(others.asked).toMatchObject([
      { job: { id }, end: { to: "done", result, endedAtMs: clock.wallMs() - 5000 } },
    ]);
    expect(job(id).state).toBe("submitting");
    resolve();
    await clock.advance(0);
    expect(job(id).state).toBe("done");
    expect(store.result(id)).toMatchObject({ value: new Uint8Array(result) });
  });

  const error = { code: "upstream_failed", message: "No such model." };
  const rows: readonly (readonly [
    state: Job["state"],
    prepare: (made: ReturnType<typeof scene>) => string,
  ])[] = [
    [
      "failed",
      ({ runner, accept }) => {
        runner.onSubmit = () => ({ kind: "failed", error });
        return accept(1);
      },
    ],
    [
      "expired",
      ({ runner, accept }) => {
        runner.busy = 1000;
        return accept(1, 5000);
      },
    ],
    ["poisoned", ({ leave }) => leave(1, 2)],
  ];
  test.each(rows.map((row) => row))(
    "of a job that is %s as well, with the reason",
    async (state, prepare) => {
      const before = scene();
      const id = prepare(before);
      const after = scene({ place: own(before.place.copy()) });
      after.runner.onSubmit = before.runner.onSubmit;
      after.runner.busy = before.runner.busy;
      after.start();
      await after.clock.advance(20_000);
      expect(after.job(id).state).toBe(state);
      expect(after.others.asked.map(({ end }) => end)).toEqual([
        {
          to: state,
          error: { code: expect.any(String), message: expect.stringMatching(/\w/) },
          endedAtMs: expect.any(Number),
        } as AnyEnding,
      ]);
    },
  );

  test("that others cannot be told of waits, ever longer, and the runner is not asked again for it", async () => {
    const { clock, runner, accept, job, others, events } = scene();
    runner.onSubmit = () => done;
    others.answer = () => notNow;
    const id = accept(1);
    await clock.advance(60_000);
    expect(others.asked.length).toBeGreaterThan(3);
    expect(others.asked.length).toBeLessThan(10);
    expect([runner.calls.length, job(id).state]).toEqual([1, "submitting"]);
    expect(events).toContainEqual({ kind: "again", id, why: "no S3", afterMs: 0, isOldNews: false });
    others.answer = agreed;
    await clock.advance(70_000);
    expect(job(id).state).toBe("done");
    expect(runner.calls).toHaveLength(1);
  });

  test("that others cannot be told of holds nobody else's up", async () => {
    const { clock, runner, accept, job, others } = scene();
    others.answer = () => notNow;
    runner.onSubmit = ({ id }) => (id === newJob(1).id ? done : { kind: "submitted" });
    accept(1);
    const ids = Array.from({ length: 30 }, (_, at) => accept(at + 2));
    await clock.advance(1000);
    expect(ids.filter((id) => job(id).state === "submitted")).toHaveLength(30);
    await clock.advance(5000);
    for (const id of ids) expect(runner.asked("look", id).length).toBeGreaterThan(0);
  });

  test("does not wait for a runner that refuses to look for others", async () => {
    const { clock, runner, accept, job } = scene();
    runner.onLook = () => ({ kind: "again", about: "runner", afterMs: 60_000, why: "503" });
    accept(1);
    await clock.advance(5000);
    expect(runner.asked("look").length).toBeGreaterThan(0);
    runner.onSubmit = () => done;
    const id = accept(2);
    await clock.advance(0);
    expect(job(id).state).toBe("done");
  });

  test("beyond the ttl is written all the same: the result came in time", async () => {
    const { clock, runner, accept, job, others } = scene();
    runner.onSubmit = () => done;
    others.answer = () => notNow;
    const id = accept(1, 5000);
    await clock.advance(200_000);
    others.answer = agreed;
    await clock.advance(70_000);
    expect(job(id).state).toBe("done");
    expect(new Set(others.asked.map(({ end }) => end.to))).toEqual(new Set(["done"]));
  });

  test("that was found after the ttl is not looked for again when the margin is over", async () => {
    const { clock, runner, accept, job, others } = scene({ marginMs: 10_000 });
    others.answer = () => notNow;
    const id = accept(1, 5000);
    await clock.advance(4999);
    runner.onLook = () => done;
    await clock.advance(5000);
    const looks = runner.asked("look").length;
    await clock.advance(60_000);
    expect(runner.asked("look")).toHaveLength(looks);
    others.answer = agreed;
    await clock.advance(70_000);
    expect(job(id).state).toBe("done");
  });

  test("that waits with more bytes than are held is let go, and looked for again when others can be told", async () => {
    const { clock, runner, accept, job, others } = scene();
    const large = Buffer.alloc(24 * 1024 * 1024, "x");
    runner.onSubmit = () => ({ kind: "done", result: large });
    runner.onLook = () => ({ kind: "done", result: large });
    others.answer = () => notNow;
    const ids = [1, 2, 3].map((at) => accept(at));
    await clock.advance(3_000);
    expect(runner.asked("look").length).toBeGreaterThan(0);
    others.answer = agreed;
    await clock.advance(60_000);
    expect(ids.map((id) => job(id).state)).toEqual(["done", "done", "done"]);
  });

  test("that waits is not let go for the bytes of one that has been written down", async () => {
    const { clock, runner, accept, job, others } = scene();
    const large = Buffer.alloc(24 * 1024 * 1024, "x");
    runner.onSubmit = () => ({ kind: "done", result: large });
    runner.onLook = () => ({ kind: "done", result: large });
    const written = [1, 2, 3].map((at) => accept(at));
    await clock.advance(0);
    expect(written.map((id) => job(id).state)).toEqual(["done", "done", "done"]);
    others.answer = () => notNow;
    for (const at of [4, 5]) accept(at);
    await clock.advance(60_000);
    expect(runner.asked("look")).toEqual([]);
  });

  test("that waits costs the same however many others there are", async () => {
    const { clock, runner, accept, others } = scene();
    runner.onSubmit = () => done;
    others.answer = () => notNow;
    const id = accept(1);
    await clock.advance(0);
    const asked = others.asked.length;
    const walks = spyOn(Map.prototype, "values");
    await clock.advance(20_000);
    const overJobs = walks.mock.contexts.filter((map) => map instanceof Map && map.has(id));
    walks.mockRestore();
    expect(others.asked.length).toBeGreaterThan(asked);
    expect(overJobs).toEqual([]);
  });

  test("that is let go after the ttl is looked for once more, and nobody does the job again", async () => {
    const { clock, runner, accept, job, others } = scene({ marginMs: 0 });
    const large = Buffer.alloc(24 * 1024 * 1024, "x");
    runner.onSubmit = () => ({ kind: "done", result: large });
    others.answer = () => notNow;
    for (const at of [1, 2]) accept(at);
    await clock.advance(0);
    others.answer = async (end) => {
      await new Promise<void>((resolve) => clock.after(10_000, resolve));
      return end.to === "done" ? notNow : agreed(end);
    };
    const late = accept(3, 5000);
    await clock.advance(60_000);
    expect(job(late).state).toBe("expired");
    expect(runner.asked("submit", late)).toHaveLength(1);
  });

  test("that the disk refuses to keep is asked for and written again", async () => {
    let refuse = false;
    const { clock, runner, accept, job, others } = scene({
      store: (real) => ({
        ...real,
        move: (...move) => (refuse ? { kind: "unavailable", trouble: full } : real.move(...move)),
      }),
    });
    runner.onLook = () => {
      refuse = true;
      return done;
    };
    const id = accept(1);
    await clock.advance(10_000);
    expect([job(id).state, others.asked.length > 1]).toEqual(["submitted", true]);
    const looks = runner.asked("look").length;
    refuse = false;
    await clock.advance(60_000);
    expect(job(id).state).toBe("done");
    expect(runner.asked("look")).toHaveLength(looks);
  });

  test("after a crash between the others' word and the row is the one that they know, to its last byte", async () => {
    const before = scene();
    before.runner.onSubmit = () => done;
    before.others.answer = () => new Promise(() => undefined);
    const id = before.accept(1);
    await before.clock.advance(0);
    expect(before.others.asked).toHaveLength(1);
    const after = scene({ place: own(before.place.copy()) });
    after.runner.onLook = () => done;
    const shown = { to: "done", result: Buffer.from('{"choices":["shown"]}'), endedAtMs: 77 } as const;
    after.others.answer = () => agreed(shown);
    after.start();
    await after.clock.advance(0);
    expect(after.job(id)).toMatchObject({ state: "done", attempt: 1, endedAtMs: 77 });
    expect(after.store.result(id)).toMatchObject({ value: new Uint8Array(shown.result) });
    expect(after.runner.asked("submit")).toEqual([]);
  });

  const seven = { code: "upstream_failed", message: "Seven." };
  test.each<AnyEnding>([
    { to: "cancelled", endedAtMs: 77 },
    { to: "expired", error: seven, endedAtMs: 77 },
    { to: "failed", error: seven, endedAtMs: 77 },
  ])("that others know as $to is that one, whatever has come of it here", async (there) => {
    const { clock, runner, accept, job, others, store } = scene();
    runner.onSubmit = () => done;
    others.answer = () => agreed(there);
    const id = accept(1);
    await clock.advance(0);
    expect(job(id)).toMatchObject({
      state: there.to,
      endedAtMs: 77,
      ...("error" in there && { error: there.error }),
    });
    expect(store.result(id)).toMatchObject({ value: undefined });
  });

  test("of a job that another host has is nobody's here: the row is gone, and who waits is woken", async () => {
    const { clock, runner, accept, isGone, others, events, start, store } = scene();
    const lane = start();
    runner.onSubmit = () => done;
    others.answer = () => ({ kind: "lost", member: "gold-2" });
    let woken = 0;
    const id = accept(1);
    lane.onEnd(id, () => (woken += 1));
    await clock.advance(0);
    expect([isGone(id), woken]).toEqual([true, 1]);
    expect(events).toEqual([{ kind: "lost", id, member: "gold-2" }]);
    expect(store.counts()).toMatchObject({ submitting: 0, done: 0 });
    expect(lane.unfinished()).toEqual([]);
    expect(clock.pending()).toBe(0);
  });

  test("that is being told when the router stops has a moment to be written down", async () => {
    const { clock, runner, accept, job, others, start } = scene();
    const lane = start();
    runner.onSubmit = () => done;
    others.answer = async (end, signal) => {
      await new Promise<void>((resolve) => clock.after(500, resolve));
      return signal.aborted ? notNow : agreed(end);
    };
    const id = accept(1);
    await clock.advance(0);
    const stopping = lane.stop();
    await clock.advance(500);
    await stopping;
    expect([job(id).state, clock.pending()]).toEqual(["done", 0]);
  });
});

test("stop does not wait for others who say nothing, and what they say later finds the store closed", async () => {
  let asked = 0;
  const { clock, runner, accept, others, start, store } = scene({
    store: (real) => ({
      ...real,
      move(...move) {
        asked += 1;
        return real.move(...move);
      },
    }),
  });
  const lane = start();
  runner.onSubmit = () => done;
  const { promise, resolve } = Promise.withResolvers<Closing>();
  others.answer = () => promise;
  accept(1);
  await clock.advance(0);
  const stopping = lane.stop();
  await clock.advance(2000);
  await stopping;
  store.close();
  resolve(agreed({ ...done, to: "done", endedAtMs: 0 }));
  await clock.advance(0);
  // The one that handed it over.
  expect(asked).toBe(1);
});

describe("cancel, where others may have the job", () => {
  test("takes the job out of the flow, asks, and only then is it cancelled", async () => {
    const { clock, runner, accept, job, others, start } = scene();
    const lane = start();
    let wasCut = false;
    runner.onSubmit = (_, signal) =>
      new Promise((resolve) =>
        signal.addEventListener("abort", () => {
          wasCut = true;
          resolve(done);
        }),
      );
    const { promise, resolve } = Promise.withResolvers<Closing>();
    others.answer = () => promise;
    const id = accept(1);
    await clock.advance(0);
    const cancelling = lane.cancel(id);
    await clock.advance(5000);
    expect([wasCut, job(id).state]).toEqual([true, "submitting"]);
    resolve(agreed(cancelled));
    expect(await cancelling).toMatchObject({ kind: "moved", job: { state: "cancelled" } });
    expect(others.asked.map(({ end }) => end)).toEqual([{ ...cancelled, endedAtMs: clock.wallMs() - 5000 }]);
    await clock.advance(60_000);
    expect(job(id).state).toBe("cancelled");
    expect(clock.pending()).toBe(0);
  });

  test("of a job that has ended here, or is not there, asks nobody", async () => {
    const { clock, runner, accept, others, start } = scene();
    const lane = start();
    runner.onSubmit = () => done;
    const id = accept(1);
    await clock.advance(0);
    others.asked.length = 0;
    expect(await lane.cancel(id)).toMatchObject({ kind: "refused", job: { state: "done" } });
    expect(await lane.cancel(newJob(7).id)).toEqual({ kind: "refused", job: undefined });
    expect(others.asked).toEqual([]);
  });

  test("that comes too late is refused with the end that others know, and that is written down", async () => {
    const { clock, accept, job, runner, others, start, store, events } = scene();
    const lane = start();
    const id = accept(1);
    await clock.advance(0);
    others.answer = () => agreed({ to: "done", result, endedAtMs: 77 });
    expect(await lane.cancel(id)).toMatchObject({ kind: "refused", job: { id, state: "done" } });
    expect(job(id)).toMatchObject({ state: "done", endedAtMs: 77 });
    expect(store.result(id)).toMatchObject({ value: new Uint8Array(result) });
    expect(kinds(events)).toEqual(["submitted", "ended"]);
    await clock.advance(60_000);
    expect([runner.asked("look", id), clock.pending()]).toEqual([[], 0]);
  });

  test("that cannot be asked for now says so, and the job goes on", async () => {
    const { clock, accept, job, runner, others, start } = scene();
    const lane = start();
    runner.busy = 1000;
    const id = accept(1);
    others.answer = () => notNow;
    expect(await lane.cancel(id)).toEqual({ kind: "not-now", why: "no S3" });
    expect(lane.unfinished()).toEqual([id]);
    others.answer = agreed;
    runner.busy = undefined;
    runner.onSubmit = () => done;
    await clock.advance(2000);
    expect(job(id).state).toBe("done");
  });

  test("goes on with the job where asking breaks, which it must not", async () => {
    const { clock, accept, job, runner, others, start, events } = scene();
    const lane = start();
    runner.busy = 1000;
    const id = accept(1);
    others.answer = () => {
      throw new Error("a bug");
    };
    expect((await lane.cancel(id)).kind).toBe("not-now");
    expect(kinds(events)).toContain("broke");
    others.answer = agreed;
    runner.busy = undefined;
    await clock.advance(2000);
    expect(job(id).state).toBe("submitted");
  });

  test("of a job whose end is being told is refused for now, and the end stands", async () => {
    const { clock, accept, job, runner, others, start } = scene();
    const lane = start();
    runner.onSubmit = () => done;
    others.answer = () => notNow;
    const id = accept(1);
    await clock.advance(0);
    expect((await lane.cancel(id)).kind).toBe("not-now");
    others.answer = agreed;
    await clock.advance(5000);
    expect(job(id).state).toBe("done");
  });

  test("of a job that another host has says where it is, and forgets it", async () => {
    const { clock, accept, isGone, others, start, events } = scene();
    const lane = start();
    const id = accept(1);
    await clock.advance(0);
    others.answer = () => ({ kind: "lost", member: "gold-2" });
    expect(await lane.cancel(id)).toEqual({ kind: "lost", member: "gold-2" });
    expect(isGone(id)).toBe(true);
    expect(events.at(-1)).toEqual({ kind: "lost", id, member: "gold-2" });
  });

  test("that is under way when the router stops changes nothing, for the store may be closed by then", async () => {
    const { clock, accept, others, start, store } = scene();
    const lane = start();
    const { promise, resolve } = Promise.withResolvers<Closing>();
    others.answer = () => promise;
    const id = accept(1);
    await clock.advance(0);
    const cancelling = lane.cancel(id);
    await lane.stop();
    resolve(agreed(cancelled));
    expect((await cancelling).kind).toBe("not-yet");
    expect([store.counts().cancelled, clock.pending()]).toEqual([0, 0]);
  });

  test("that the disk refuses is made good: others know it as cancelled", async () => {
    let refuse = true;
    const { clock, accept, job, runner, others, start } = scene({
      store: (real) => ({
        ...real,
        cancel: (...cancel) => (refuse ? { kind: "unavailable", trouble: full } : real.cancel(...cancel)),
      }),
    });
    const lane = start();
    runner.busy = 1000;
    const id = accept(1);
    await clock.advance(0);
    others.answer = () => agreed(cancelled);
    expect(await lane.cancel(id)).toEqual({ kind: "not-yet", why: full.message });
    runner.busy = undefined;
    await clock.advance(10_000);
    expect(job(id).state).toBe("accepted");
    refuse = false;
    await clock.advance(60_000);
    expect(job(id).state).toBe("cancelled");
    expect(runner.calls).toEqual([]);
  });

  test("twice at once is one end, and no interest in the job is left", async () => {
    const { clock, accept, others, start } = scene();
    const lane = start();
    const { promise, resolve } = Promise.withResolvers<Closing>();
    others.answer = () => promise;
    const id = accept(1);
    await clock.advance(0);
    const both = [lane.cancel(id), lane.cancel(id)];
    resolve(agreed(cancelled));
    expect(await Promise.all(both)).toMatchObject([
      { kind: "moved", job: { state: "cancelled" } },
      { kind: "refused", job: { state: "cancelled" } },
    ]);
    expect([lane.unfinished(), clock.pending()]).toEqual([[], 0]);
  });
});

describe("a job of another host", () => {
  test("is looked for before it is handed over: it may have been", async () => {
    const { clock, runner, job, start, events } = scene();
    const lane = start();
    const id = newJob(1).id;
    runner.onLook = () => done;
    expect(
      (await lane.adopt(newJob(1, { acceptedAtMs: clock.wallMs(), outputKey: "s3://b/there.out" }))).kind,
    ).toBe("stored");
    await clock.advance(0);
    expect(job(id)).toMatchObject({ state: "done", outputKey: "s3://b/there.out" });
    expect(runner.asked("submit")).toEqual([]);
    expect(kinds(events)).toEqual(["ended"]);
  });

  test("is handed over where nothing of it is found, with the key that it came with", async () => {
    const { clock, runner, job, start } = scene();
    await start().adopt(newJob(1, { acceptedAtMs: clock.wallMs(), outputKey: "s3://b/there.out" }));
    await clock.advance(0);
    expect(runner.calls.map(({ what }) => what)).toEqual(["look", "submit"]);
    expect(job(newJob(1).id)).toMatchObject({ state: "submitted", outputKey: "s3://b/there.out" });
  });

  test("whose ttl is over is looked for once more, and then expired", async () => {
    const { clock, runner, job, start, others } = scene({ marginMs: 5000 });
    await start().adopt(newJob(1, { acceptedAtMs: clock.wallMs() - 7_200_000 }));
    await clock.advance(10_000);
    expect(job(newJob(1).id).state).toBe("expired");
    expect(runner.asked("look").length).toBeGreaterThan(0);
    expect(runner.asked("submit")).toEqual([]);
    expect(others.asked.map(({ end }) => end.to)).toEqual(["expired"]);
  });

  test("that comes while the router stops is kept for the next start", async () => {
    const { clock, runner, job, start } = scene();
    const lane = start();
    await lane.stop();
    expect((await lane.adopt(newJob(1, { acceptedAtMs: clock.wallMs() }))).kind).toBe("stored");
    await clock.advance(60_000);
    expect([job(newJob(1).id).state, runner.calls, clock.pending()]).toEqual(["accepted", [], 0]);
  });

  test("that comes twice is one", async () => {
    const { clock, runner, start } = scene();
    const lane = start();
    await lane.adopt(newJob(1, { acceptedAtMs: clock.wallMs() }));
    expect((await lane.adopt(newJob(1, { acceptedAtMs: clock.wallMs() }))).kind).toBe("same");
    await clock.advance(0);
    expect(runner.asked("submit")).toHaveLength(1);
    expect(lane.unfinished()).toEqual([newJob(1).id]);
  });

  test("that is another's again is forgotten at once, in whatever stage, and what comes of it changes nothing", async () => {
    const { clock, runner, accept, isGone, start, events, others } = scene();
    const lane = start();
    const { promise, resolve } = Promise.withResolvers<Submitted>();
    runner.onSubmit = () => promise;
    const id = accept(1);
    let woken = 0;
    lane.onEnd(id, () => (woken += 1));
    await clock.advance(0);
    await lane.lose(id, "gold-2");
    resolve(done);
    await clock.advance(60_000);
    expect([isGone(id), woken, clock.pending()]).toEqual([true, 1, 0]);
    expect([events, others.asked]).toEqual([[{ kind: "lost", id, member: "gold-2" }], []]);
  });

  test("is forgotten later where the disk refuses it now, and goes no further meanwhile", async () => {
    let refuse = true;
    const { clock, runner, accept, isGone, start, events } = scene({
      store: (real) => ({
        ...real,
        forget: (id) => (refuse ? { kind: "unavailable", trouble: full } : real.forget(id)),
      }),
    });
    const lane = start();
    const id = accept(1);
    await clock.advance(0);
    const calls = runner.calls.length;
    await lane.lose(id, "gold-2");
    await clock.advance(10_000);
    expect([isGone(id), runner.calls.length]).toEqual([false, calls]);
    refuse = false;
    await clock.advance(60_000);
    expect(isGone(id)).toBe(true);
    expect(kinds(events)).toContain("trouble");
    expect(events.at(-1)).toEqual({ kind: "lost", id, member: "gold-2" });
  });

  test("that has ended here has been seen, and stays", async () => {
    const { clock, runner, accept, job, start } = scene();
    const lane = start();
    runner.onSubmit = () => done;
    const id = accept(1);
    await clock.advance(0);
    await lane.lose(id, "gold-2");
    expect(job(id).state).toBe("done");
  });
});
