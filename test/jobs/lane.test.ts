import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import { createLane } from "../../src/jobs/lane.ts";
import type { Looked, Submitted } from "../../src/jobs/runner.ts";
import { cleanup } from "../support/cleanup.ts";
import type { JobPlace } from "../support/job-place.ts";
import { jobPlace, newJob } from "../support/job-place.ts";
import type { LaneSceneOptions } from "../support/lane-scene.ts";
import { laneScene } from "../support/lane-scene.ts";
import { measured } from "../support/measured.ts";
import { scriptedRunner } from "../support/scripted-runner.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const own = cleanup();
const result = Buffer.from('{"choices":[]}');
const full = { kind: "disk-full", message: "The disk is full." } as const;
const done: Looked & Submitted = { kind: "done", result };

const scene = (options: LaneSceneOptions = {}) => laneScene(own, options);

/** The place as a kill leaves it. */
const killed = (place: JobPlace): JobPlace => own(place.copy());

describe("a job", () => {
  test("is handed over at once, polled fast while young, and its result is kept", async () => {
    const { runner, clock, accept, job, store, events, start } = scene();
    const lane = start();
    let told = 0;
    const id = accept(1);
    lane.onEnd(id, () => (told += 1));
    await clock.advance(0);
    expect(runner.asked("submit", id)).toHaveLength(1);
    expect(job(id)).toMatchObject({ state: "submitted", attempt: 1, outputKey: `jobs/${id}.out` });
    await clock.advance(5000);
    expect(runner.asked("look", id).length).toBeGreaterThanOrEqual(4);
    runner.onLook = () => done;
    await clock.advance(5000);
    expect(job(id)).toMatchObject({ state: "done" });
    expect(store.result(id)).toMatchObject({ kind: "found", value: new Uint8Array(result) });
    expect(told).toBe(1);
    expect(events.map(({ kind }) => kind)).toEqual(["submitted", "ended"]);
    expect(clock.pending()).toBe(0);
  });

  test("that the runner does on the spot ends without a look", async () => {
    const { runner, clock, accept, job } = scene();
    runner.onSubmit = () => done;
    const id = accept(1);
    await clock.advance(0);
    expect(job(id).state).toBe("done");
    expect(runner.asked("look")).toEqual([]);
  });

  test("that is done within the call runs from when it begins, with the same attempt, and ends with the call", async () => {
    const moves: string[] = [];
    const { runner, clock, accept, job, events } = scene({
      marginMs: 0,
      store: (real) => ({
        ...real,
        move(id, fence, move) {
          moves.push(move.to);
          return real.move(id, fence, move);
        },
      }),
    });
    runner.onSubmit = async (_job, _signal, began) => {
      await new Promise<void>((resolve) => clock.after(1000, resolve));
      began();
      began();
      await new Promise<void>((resolve) => clock.after(5000, resolve));
      return done;
    };
    const id = accept(1);
    await clock.advance(999);
    expect(job(id).state).toBe("submitting");
    await clock.advance(1);
    expect(job(id)).toMatchObject({ state: "submitted", attempt: 1, fence: 1 });
    await clock.advance(5000);
    expect(job(id)).toMatchObject({ state: "done", attempt: 1 });
    expect(events.map(({ kind }) => kind)).toEqual(["submitted", "ended"]);
    expect(moves).toEqual(["submitting", "submitted", "done"]);
    expect(runner.calls).toHaveLength(1);
  });

  test("that is done as soon as it begins is not said to run", async () => {
    const { runner, clock, accept, job, events } = scene({ marginMs: 0 });
    runner.onSubmit = (_job, _signal, began) => {
      began();
      return done;
    };
    const id = accept(1);
    await clock.advance(0);
    expect(job(id).state).toBe("done");
    expect(events.map(({ kind }) => kind)).toEqual(["ended"]);
  });

  test("that had begun and made room waits again, and is not handed over before it is its time", async () => {
    const { runner, clock, accept, job } = scene({ marginMs: 0 });
    runner.onSubmit = async (_job, _signal, began) => {
      began();
      await new Promise<void>((resolve) => clock.after(1000, resolve));
      return { kind: "again", about: "room", afterMs: 250, why: "It made room." };
    };
    const id = accept(1);
    await clock.advance(999);
    expect(job(id).state).toBe("submitted");
    await clock.advance(200);
    expect(job(id)).toMatchObject({ state: "accepted", attempt: 1 });
    await clock.advance(100);
    expect(job(id)).toMatchObject({ state: "submitted", attempt: 2, recoveries: 0 });
  });

  test("that has to wait for its own sake is news once, and what holds up all is news each time", async () => {
    const { runner, clock, accept, events } = scene();
    const news = () =>
      events.splice(0).flatMap((event) => (event.kind === "again" ? [!event.isOldNews] : []));
    runner.onSubmit = () => ({ kind: "again", about: "job", afterMs: 0, why: "No such model now." });
    accept(1);
    await clock.advance(0);
    expect(news()).toEqual([true]);
    await clock.advance(10_000);
    expect(new Set(news())).toEqual(new Set([false]));
    runner.onSubmit = () => ({ kind: "again", about: "runner", afterMs: 0, why: "throttled" });
    await clock.advance(60_000);
    expect(new Set(news())).toEqual(new Set([true]));
    runner.onSubmit = () => ({ kind: "again", about: "room", afterMs: 5000, why: "It made room." });
    await clock.advance(120_000);
    expect(new Set(news())).toEqual(new Set([false]));
  });

  test("that fails keeps the reason", async () => {
    const { runner, clock, accept, job } = scene();
    runner.onSubmit = () => ({
      kind: "failed",
      error: { code: "upstream_failed", message: "No such model." },
    });
    const id = accept(1);
    await clock.advance(0);
    expect(job(id)).toMatchObject({ state: "failed", error: { message: "No such model." } });
  });

  test("is looked at ever less often, but at least every 30 s, over an hour", async () => {
    const { runner, clock, accept } = scene();
    const id = accept(1, 7_200_000);
    await clock.advance(3_600_000);
    const at = runner.asked("look", id);
    const gaps = at.slice(1).map((each, index) => each - (at[index] ?? 0));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(30_000);
    expect(gaps.slice(0, 3).every((gap) => gap <= 2000)).toBe(true);
    expect(at.length).toBeLessThan(500);
  });
});

describe("after a crash", () => {
  test("a job that was being handed over is looked at at once, and its result shows without another attempt", async () => {
    const before = scene();
    const id = before.leave(1);
    const after = scene({ place: killed(before.place) });
    after.runner.onLook = () => done;
    after.start();
    await after.clock.advance(0);
    expect(after.job(id)).toMatchObject({ state: "done", attempt: 1 });
    expect(after.runner.asked("submit")).toEqual([]);
    expect(after.events.map(({ kind }) => kind)).toEqual(["recovered", "ended"]);
  });

  test("nothing there: one grace, one more look, then another attempt with the same key", async () => {
    const before = scene();
    const id = before.leave(1);
    const after = scene({ place: killed(before.place) });
    after.start();
    await after.clock.advance(9_999);
    expect(after.runner.asked("look", id)).toHaveLength(1);
    expect(after.runner.asked("submit")).toEqual([]);
    await after.clock.advance(1);
    expect(after.runner.asked("look", id)).toHaveLength(2);
    expect(after.runner.asked("submit")).toHaveLength(1);
    expect(after.job(id)).toMatchObject({
      state: "submitted",
      attempt: 2,
      recoveries: 1,
      outputKey: newJob(1).outputKey,
    });
  });

  test("a runner that leaves nothing behind (no margin) needs no grace", async () => {
    const before = scene();
    const id = before.leave(1);
    const after = scene({ place: killed(before.place), marginMs: 0 });
    after.start();
    await after.clock.advance(0);
    expect(after.job(id)).toMatchObject({ attempt: 2, recoveries: 1 });
  });

  test("a job that ran within the program is handed over again at once, which counts as a crash of its own", async () => {
    const before = scene({ marginMs: 0 });
    before.runner.onSubmit = (_job, _signal, began) => {
      began();
      return new Promise(() => undefined);
    };
    const id = before.accept(1);
    await before.clock.advance(0);
    expect(before.job(id).state).toBe("submitted");
    const after = scene({ place: killed(before.place), marginMs: 0 });
    after.runner.onSubmit = () => done;
    after.start();
    await after.clock.advance(0);
    expect(after.job(id)).toMatchObject({ state: "done", attempt: 2, recoveries: 1 });
    expect(after.events.map(({ kind }) => kind)).toEqual(["recovered", "ended"]);
  });

  test("the third crash under a job that ran within the program poisons it", async () => {
    let place = own(jobPlace());
    for (let crash = 0; crash < 3; crash += 1) {
      const life = scene({ place, marginMs: 0 });
      life.runner.onSubmit = (_job, _signal, began) => {
        began();
        return new Promise(() => undefined);
      };
      if (crash === 0) life.accept(1);
      else life.start();
      await life.clock.advance(0);
      expect(life.job(newJob(1).id)).toMatchObject({ state: "submitted", recoveries: crash });
      place = killed(life.place);
    }
    const last = scene({ place, marginMs: 0 });
    last.start();
    await last.clock.advance(0);
    expect(last.job(newJob(1).id)).toMatchObject({ state: "poisoned", error: { code: "job_poisoned" } });
    expect(last.runner.asked("submit")).toEqual([]);
  });

  test("a job that was handed over is only looked for", async () => {
    const before = scene();
    const id = before.accept(1);
    await before.clock.advance(0);
    const after = scene({ place: killed(before.place) });
    after.start();
    await after.clock.advance(60_000);
    expect(after.runner.asked("look", id).length).toBeGreaterThan(3);
    expect(after.runner.asked("submit")).toEqual([]);
  });

  test("the third crash of one job poisons it and says so; the others with it go on, one at a time (fault 49)", async () => {
    const before = scene();
    const guilty = before.leave(1, 2);
    const others = [2, 3, 4].map((at) => before.leave(at, 1));
    const after = scene({ place: killed(before.place), marginMs: 0 });
    after.runner.onSubmit = async () => {
      await new Promise<void>((resolve) => after.clock.after(1000, resolve));
      return done;
    };
    after.start();
    await after.clock.advance(10_000);
    expect(after.job(guilty)).toMatchObject({ state: "poisoned", error: { code: "job_poisoned" } });
    expect(after.job(guilty).error?.message).toContain("crashed 3 times");
    for (const id of others) expect(after.job(id)).toMatchObject({ state: "done", recoveries: 2 });
    expect(after.runner.most.submit).toBe(1);
    measured(49, "a job that crashed the router 3 times is poisoned; 3 others beside it are done");
  });

  test("one crash is counted once, also where the disk refuses to take the job back", async () => {
    const before = scene();
    const id = before.leave(1);
    let refuse = false;
    const after = scene({
      place: killed(before.place),
      marginMs: 0,
      store: (real) => ({
        ...real,
        move: (...move) => (refuse ? { kind: "unavailable", trouble: full } : real.move(...move)),
      }),
    });
    after.runner.onSubmit = () => {
      refuse = true;
      return { kind: "again", about: "runner", afterMs: 0, why: "throttled" };
    };
    after.start();
    await after.clock.advance(0);
    expect(after.job(id)).toMatchObject({ state: "submitting", attempt: 2, recoveries: 1 });
    refuse = false;
    after.runner.onSubmit = () => done;
    await after.clock.advance(10_000);
    expect(after.job(id)).toMatchObject({ state: "done", attempt: 3, recoveries: 1 });
  });

  test("a start after an orderly stop counts nothing", async () => {
    const before = scene();
    const id = before.leave(1, 2);
    before.store.close();
    const after = scene({ place: before.place, marginMs: 0 });
    after.start();
    await after.clock.advance(0);
    expect(after.job(id)).toMatchObject({ state: "submitted", recoveries: 2 });
  });
});

describe("a ttl", () => {
  test("that is over before anybody began ends the job, to the millisecond", async () => {
    const { runner, clock, accept, job } = scene();
    runner.busy = 1000;
    const id = accept(1, 5000);
    await clock.advance(4999);
    expect(job(id).state).toBe("accepted");
    await clock.advance(1);
    expect(job(id)).toMatchObject({ state: "expired", error: { code: "deadline_exceeded" } });
    expect(runner.asked("submit")).toEqual([]);
  });

  test("that is over after the hand-over: looked for until the margin is over, never handed over again", async () => {
    const { runner, clock, accept, job } = scene({ marginMs: 60_000 });
    const id = accept(1, 5000);
    await clock.advance(64_999);
    expect(job(id).state).toBe("submitted");
    const looks = runner.asked("look", id).length;
    await clock.advance(1);
    expect(runner.asked("look", id)).toHaveLength(looks + 1);
    expect(job(id).state).toBe("expired");
    expect(runner.asked("submit")).toHaveLength(1);
  });

  test("a result that is there at the last look is taken", async () => {
    const { runner, clock, accept, job } = scene({ marginMs: 60_000 });
    const id = accept(1, 5000);
    await clock.advance(60_000);
    runner.onLook = () => (clock.now() >= 1_065_000 ? done : { kind: "absent" });
    await clock.advance(5000);
    expect(job(id).state).toBe("done");
  });

  test("cuts short a hand-over that hangs, and the job ends", async () => {
    const { runner, clock, accept, job } = scene({ marginMs: 0 });
    runner.onSubmit = (_, signal) =>
      new Promise((resolve) =>
        signal.addEventListener("abort", () =>
          resolve({ kind: "again", about: "runner", afterMs: 0, why: "cut" }),
        ),
      );
    const id = accept(1, 5000);
    await clock.advance(10_000);
    expect(job(id).state).toBe("expired");
    expect(runner.asked("submit")).toHaveLength(1);
  });

  test("is not moved by a step of the wall clock (fault 22)", async () => {
    const { runner, clock, accept, job } = scene();
    runner.busy = 1000;
    const id = accept(1, 60_000);
    clock.stepWallMs(3_600_000);
    await clock.advance(59_000);
    expect(job(id).state).toBe("accepted");
    clock.stepWallMs(-7_200_000);
    await clock.advance(1000);
    expect(job(id).state).toBe("expired");
    measured(
      22,
      "a job's ttl of 60 s ends after 60 s, though the wall clock steps an hour forth and two back",
    );
  });

  test("goes on counting while the program is down", async () => {
    const before = scene();
    before.runner.busy = 1000;
    const id = before.accept(1, 5000);
    const after = scene({ place: killed(before.place) });
    after.clock.stepWallMs(4000);
    after.runner.busy = 1000;
    after.start();
    await after.clock.advance(999);
    expect(after.job(id).state).toBe("accepted");
    await after.clock.advance(1);
    expect(after.job(id).state).toBe("expired");
  });

  test("that is over while the job waits for another turn: it does not get one", async () => {
    const { runner, clock, accept, job } = scene({ marginMs: 60_000 });
    runner.onSubmit = () => ({ kind: "again", about: "runner", afterMs: 0, why: "500" });
    const id = accept(1, 5000);
    await clock.advance(0);
    runner.busy = 1000;
    await clock.advance(10_000);
    runner.busy = undefined;
    await clock.advance(54_999);
    expect(job(id).state).toBe("accepted");
    await clock.advance(1);
    expect(job(id).state).toBe("expired");
    expect(runner.asked("submit")).toHaveLength(1);
  });

  test("begins anew where the wall clock was set back while the program was down (fault 22)", async () => {
    const before = scene();
    before.runner.busy = 1000;
    before.clock.stepWallMs(3_600_000);
    const id = before.accept(1, 5000);
    const after = scene({ place: killed(before.place) });
    after.runner.busy = 1000;
    after.start();
    await after.clock.advance(4999);
    expect(after.job(id).state).toBe("accepted");
    await after.clock.advance(1);
    expect(after.job(id).state).toBe("expired");
  });

  test("over, with a runner that cannot look: the last look is tried five times", async () => {
    const { runner, clock, accept, job } = scene({ marginMs: 0 });
    runner.onLook = () => ({ kind: "again", about: "runner", afterMs: 1000, why: "no network" });
    const id = accept(1, 5000);
    await clock.advance(300_000);
    expect(job(id).state).toBe("expired");
    expect(runner.asked("look", id).filter((at) => at >= 1_005_000)).toHaveLength(5);
  });
});

test("looks that waited for a runner that refused go on as soon as one is answered", async () => {
  const { runner, clock, accept, job } = scene();
  const ids = Array.from({ length: 100 }, (_, at) => accept(at + 1));
  await clock.advance(1000);
  runner.onLook = () => ({ kind: "again", about: "runner", afterMs: 1000, why: "torn" });
  await clock.advance(120_000);
  runner.onLook = () => done;
  // The longest that the gate stays shut, and then all of them at once.
  await clock.advance(75_000);
  expect(new Set(ids.map((id) => job(id).state))).toEqual(new Set(["done"]));
});

describe("the last looks", () => {
  test("of many jobs are over some seconds after the ttl, however long the runner has refused before", async () => {
    const { runner, clock, accept, job } = scene({ marginMs: 5000 });
    const ids = Array.from({ length: 20 }, (_, at) => accept(at + 1, 600_000));
    await clock.advance(2000);
    runner.onLook = () => ({ kind: "again", about: "runner", afterMs: 1000, why: "503" });
    await clock.advance(603_000);
    expect(new Set(ids.map((id) => job(id).state))).toEqual(new Set(["submitted"]));
    await clock.advance(20_000);
    expect(new Set(ids.map((id) => job(id).state))).toEqual(new Set(["expired"]));
    const last = ids.map((id) => runner.asked("look", id).filter((at) => at >= 1_605_000).length);
    expect(new Set(last)).toEqual(new Set([5]));
  });
});

describe("cancel", () => {
  test("cuts short a hand-over, and what comes of it changes nothing", async () => {
    const { runner, clock, accept, job, start } = scene();
    const lane = start();
    let cut = false;
    runner.onSubmit = (_, signal) =>
      new Promise((resolve) =>
        signal.addEventListener("abort", () => {
          cut = true;
          resolve(done);
        }),
      );
    const id = accept(1);
    await clock.advance(0);
    expect((await lane.cancel(id)).kind).toBe("moved");
    await clock.advance(60_000);
    expect([cut, job(id).state]).toEqual([true, "cancelled"]);
    expect(await lane.cancel(id)).toMatchObject({ kind: "refused", job: { state: "cancelled" } });
    expect(runner.calls).toHaveLength(1);
  });

  test("says nothing about the runner: the others do not wait for what the cut call asks", async () => {
    const { runner, clock, accept, job, start } = scene();
    const lane = start();
    runner.onSubmit = (_, signal) =>
      new Promise((resolve) =>
        signal.addEventListener("abort", () =>
          resolve({ kind: "again", about: "runner", afterMs: 60_000, why: "cut" }),
        ),
      );
    const id = accept(1);
    await clock.advance(0);
    runner.onSubmit = () => done;
    await lane.cancel(id);
    const other = accept(2);
    await clock.advance(0);
    expect(job(other).state).toBe("done");
  });

  test("cuts short a look, after which nobody looks again", async () => {
    const { runner, clock, accept, start } = scene();
    const lane = start();
    runner.onLook = (_, signal) =>
      new Promise((resolve) =>
        signal.addEventListener("abort", () =>
          resolve({ kind: "again", about: "runner", afterMs: 0, why: "cut" }),
        ),
      );
    const id = accept(1);
    await clock.advance(2000);
    expect(runner.asked("look", id)).toHaveLength(1);
    await lane.cancel(id);
    await clock.advance(0);
    expect(clock.pending()).toBe(0);
  });

  test("of a job that waits, or that is looked for, ends every interest in it", async () => {
    const { runner, clock, accept, start } = scene();
    const lane = start();
    const watched = accept(1);
    await clock.advance(0);
    runner.busy = 1000;
    const waiting = accept(2);
    await clock.advance(0);
    const calls = runner.calls.length;
    await lane.cancel(watched);
    await lane.cancel(waiting);
    runner.busy = undefined;
    await clock.advance(60_000);
    expect(runner.calls).toHaveLength(calls);
    expect([lane.unfinished(), clock.pending()]).toEqual([[], 0]);
  });
});

describe("a runner that wants to be left alone", () => {
  test("is asked by one job at a time, ever more slowly, and by all once it takes one", async () => {
    const { runner, clock, accept, job } = scene();
    runner.onSubmit = () => ({ kind: "again", about: "runner", afterMs: 500, why: "throttled" });
    const ids = Array.from({ length: 20 }, (_, at) => accept(at));
    await clock.advance(60_000);
    // Eight may be under way before the first is refused; then 1, 2, 4 … s.
    const tried = runner.asked("submit").length;
    expect(tried).toBeGreaterThan(3);
    expect(tried).toBeLessThan(16);
    expect(ids.every((id) => job(id).state === "accepted")).toBe(true);
    runner.onSubmit = () => ({ kind: "submitted" });
    await clock.advance(130_000);
    expect(ids.every((id) => job(id).state === "submitted")).toBe(true);
  });

  test("is left alone for as long as it says", async () => {
    const { runner, clock, accept } = scene();
    runner.onSubmit = () => ({ kind: "again", about: "runner", afterMs: 45_000, why: "throttled" });
    accept(1);
    await clock.advance(44_999);
    expect(runner.asked("submit")).toHaveLength(1);
    await clock.advance(100);
    expect(runner.asked("submit")).toHaveLength(2);
  });

  test("may have taken the job for all that: a look comes before the next attempt", async () => {
    const { runner, clock, accept, job } = scene();
    runner.onSubmit = () => ({ kind: "again", about: "runner", afterMs: 500, why: "500 after accepting" });
    const id = accept(1);
    await clock.advance(0);
    runner.onLook = () => done;
    await clock.advance(5000);
    expect(job(id)).toMatchObject({ state: "done", attempt: 1 });
  });

  test("for one job only does not hold back the others", async () => {
    const { runner, clock, accept, job } = scene();
    const bad = accept(0);
    runner.onSubmit = (each) =>
      each.id === bad ? { kind: "again", about: "runner", afterMs: 0, why: "500" } : { kind: "submitted" };
    const ids = Array.from({ length: 30 }, (_, at) => accept(at + 1));
    await clock.advance(10_000);
    expect(ids.filter((id) => job(id).state === "submitted")).toHaveLength(30);
    expect(job(bad).state).toBe("accepted");
  });

  test("for a fault of one job's own keeps that one waiting, ever longer, and nobody else", async () => {
    const { runner, clock, accept, job } = scene();
    const bad = new Set(Array.from({ length: 10 }, (_, at) => accept(at)));
    runner.onSubmit = (each) =>
      bad.has(each.id) ? { kind: "again", about: "job", afterMs: 0, why: "its body" } : done;
    const ids = Array.from({ length: 30 }, (_, at) => accept(at + 10));
    await clock.advance(100);
    expect(ids.filter((id) => job(id).state === "done")).toHaveLength(30);
    await clock.advance(60_000);
    for (const id of bad) {
      expect(job(id).state).toBe("accepted");
      expect(runner.asked("submit", id).length).toBeLessThan(10);
    }
  });

  test("by making room for others gets the same job again as soon as it says, every time", async () => {
    const { runner, clock, accept, job, start } = scene({ marginMs: 0 });
    const lane = start();
    runner.onSubmit = () => ({ kind: "again", about: "room", afterMs: 250, why: "It made room." });
    const id = accept(1);
    await clock.advance(10_000);
    expect(runner.asked("submit", id)).toHaveLength(41);
    expect(lane.figures().refusals).toBe(0);
    expect(job(id)).toMatchObject({ state: "accepted", recoveries: 0 });
  });

  test("by being busy gets nothing until it is not", async () => {
    const { runner, clock, accept } = scene();
    runner.busy = 700;
    accept(1);
    await clock.advance(10_000);
    expect(runner.asked("submit")).toEqual([]);
    runner.busy = undefined;
    await clock.advance(700);
    expect(runner.asked("submit")).toHaveLength(1);
  });

  test("by throwing, which it must not, is told of and tried again", async () => {
    const { runner, clock, accept, job, events } = scene();
    runner.onSubmit = () => {
      throw new Error("a bug");
    };
    const id = accept(1);
    await clock.advance(1000);
    expect(events.map(({ kind }) => kind)).toContain("broke");
    runner.onSubmit = (each) => (each.id === id ? Promise.reject(new Error("a bug")) : done);
    const other = accept(2);
    await clock.advance(0);
    expect(job(other).state).toBe("done");
    runner.onSubmit = () => done;
    await clock.advance(120_000);
    expect(job(id).state).toBe("done");
  });
});

test("the oldest is handed over first, also after a start, and no more at once than the rules say", async () => {
  const before = scene();
  before.runner.busy = 1000;
  for (let at = 0; at < 10; at += 1) before.accept(at);
  const after = scene({ place: killed(before.place), rules: { submitsMost: 3, looksMost: 2 } });
  after.runner.onSubmit = async () => {
    await new Promise<void>((resolve) => after.clock.after(100, resolve));
    return { kind: "submitted" };
  };
  after.runner.onLook = async () => {
    await new Promise<void>((resolve) => after.clock.after(100, resolve));
    return { kind: "absent" };
  };
  after.start();
  await after.clock.advance(0);
  expect(after.runner.asked("submit")).toHaveLength(3);
  for (let at = 10; at < 20; at += 1) after.accept(at);
  await after.clock.advance(20_000);
  const order = after.runner.calls.filter(({ what }) => what === "submit").map(({ id }) => id);
  expect(order).toEqual(Array.from({ length: 20 }, (_, at) => newJob(at).id));
  expect(after.runner.most).toEqual({ submit: 3, look: 2 });
});

/** The disk takes 5 ms for each write and each transaction: time passes within the call, and with it only. */
function slowDisk() {
  const slow = virtualClock();
  let spentMs = 0;
  let isTogether = false;
  const clock = { ...slow, now: () => slow.now() + spentMs };
  const store = own(jobPlace()).open();
  const runner = scriptedRunner(clock.now);
  const writes: { readonly what: string; readonly from: number; readonly to: number }[] = [];
  const write = <T>(what: string, work: () => T): T => {
    const from = clock.now();
    const answer = work();
    spentMs += 5;
    writes.push({ what, from, to: clock.now() });
    return answer;
  };
  const start = () =>
    createLane({
      store: {
        ...store,
        together: (work) => {
          isTogether = true;
          const done = write("together", () => store.together(work));
          isTogether = false;
          return done;
        },
        move: (...move) => (isTogether ? store.move(...move) : write("move", () => store.move(...move))),
        forget: (id) => (isTogether ? store.forget(id) : write("forget", () => store.forget(id))),
      },
      runner,
      clock,
      random: seededRandom(7),
    });
  const fresh = (at: number) => {
    const { outputKey: _, ...job } = newJob(at, { acceptedAtMs: clock.wallMs() });
    return job;
  };
  return { slow, clock, store, runner, writes, start, fresh };
}

const expectRests = (writes: ReturnType<typeof slowDisk>["writes"]) => {
  for (const [index, { from }] of writes.slice(1).entries())
    expect(from - (writes[index]?.to ?? 0)).toBeGreaterThanOrEqual(10);
};

test("one write a turn of the loop, each followed by twice its time of rest, however many calls come back at once", async () => {
  const { slow, store, runner, writes, start, fresh } = slowDisk();
  const lane = start();
  const answers: ((outcome: Submitted) => void)[] = [];
  runner.onSubmit = () => new Promise((resolve) => answers.push(resolve));
  const orders = Array.from({ length: 8 }, (_, at) => lane.accept(fresh(at)));
  await slow.advance(1000);
  await Promise.all(orders);
  expect(answers).toHaveLength(8);
  writes.length = 0;
  for (const answer of answers) answer(done);
  await slow.advance(1000);
  expect(store.counts().done).toBe(8);
  expect(writes).toHaveLength(8);
  expectRests(writes);
});

test("a thousand jobs whose ttl was over while the program was down expire in few transactions with a rest after each, and an order is taken between", async () => {
  const { slow, clock, store, runner, writes, start, fresh } = slowDisk();
  const acceptedAtMs = clock.wallMs() - 7_200_000;
  for (let at = 0; at < 999; at += 1) store.accept(newJob(at, { acceptedAtMs }));
  const lane = start();
  await slow.advance(100);
  const order = lane.accept(fresh(1000));
  await slow.advance(100);
  expect((await order).kind).toBe("stored");
  expect(runner.calls.map(({ id }) => id)).toEqual([newJob(1000).id]);
  expect(store.counts().expired).toBeLessThan(400);
  await slow.advance(5_000);
  expect(store.counts()).toMatchObject({ accepted: 0, expired: 999 });
  expect(writes.length).toBeLessThan(100);

  // The order's hand-over, and its return, are in turns in which others expire.
  const held = writes.filter(({ from }, index) => from - (writes[index - 1]?.to ?? 0) < 10);
  expect(held.length).toBeLessThan(3);
});

test("what expires while the disk takes nothing expires when it does", async () => {
  const { runner, clock, accept, job, store, start } = scene({
    store: (real) => ({
      ...real,
      together: (work) => (isFull ? { kind: "unavailable", trouble: full } : real.together(work)),
    }),
  });
  let isFull = false;
  start();
  runner.busy = 1000;
  const ids = Array.from({ length: 30 }, (_, at) => accept(at, 1000));
  await clock.advance(500);
  isFull = true;
  await clock.advance(5_000);
  expect(store.counts()).toMatchObject({ accepted: 30, expired: 0 });
  isFull = false;
  await clock.advance(60_000);
  expect(new Set(ids.map((id) => job(id).state))).toEqual(new Set(["expired"]));
});

test("a crowd of orders, then of cancels, is few transactions with a rest after each, and hand-overs go on between", async () => {
  const { slow, runner, writes, start, fresh } = slowDisk();
  const lane = start();
  runner.onSubmit = () => new Promise(() => {});
  const orders = Array.from({ length: 200 }, (_, at) => lane.accept(fresh(at)));
  await slow.advance(1000);
  for (const order of orders) expect((await order).kind).toBe("stored");
  const orderWrites = writes.splice(0);
  expect(orderWrites.filter(({ what }) => what === "together").length).toBeLessThan(10);
  expect(orderWrites.findIndex(({ what }) => what === "move")).toBeLessThan(4);
  const cancels = lane.unfinished().map((id) => lane.cancel(id));
  await slow.advance(1000);
  for (const cancel of cancels) expect((await cancel).kind).toBe("moved");
  expect(lane.unfinished()).toEqual([]);
  const cancelWrites = writes.splice(0);
  expect(cancelWrites.filter(({ what }) => what === "together").length).toBeLessThan(10);
  for (const all of [orderWrites, cancelWrites]) expectRests(all);
});

test("a crowd of jobs that another host has is forgotten in few transactions, with a rest after each", async () => {
  const { slow, store, writes, start, fresh, runner } = slowDisk();
  runner.busy = 1000;
  const lane = start();
  const orders = Array.from({ length: 200 }, (_, at) => lane.accept(fresh(at)));
  await slow.advance(1000);
  await Promise.all(orders);
  writes.length = 0;
  const lost = lane.unfinished().map((id) => lane.lose(id, "gold-2"));
  await slow.advance(1000);
  expect(new Set(await Promise.all(lost))).toEqual(new Set([true]));
  expect([lane.unfinished(), store.counts().accepted]).toEqual([[], 0]);
  expect(writes.length).toBeLessThan(10);
  expectRests(writes);
});

test("a disk that refuses to keep a result: the job is looked at again until it does, and ends once", async () => {
  let refuse = false;
  const { runner, clock, accept, job, events } = scene({
    store: (real) => ({
      ...real,
      move: (...move) => (refuse ? { kind: "unavailable", trouble: full } : real.move(...move)),
    }),
  });
  const id = accept(1);
  await clock.advance(0);
  runner.onLook = () => done;
  refuse = true;
  await clock.advance(30_000);
  expect(job(id).state).toBe("submitted");
  expect(runner.asked("look").length).toBeLessThan(10);
  refuse = false;
  await clock.advance(60_000);
  expect(job(id).state).toBe("done");
  expect(events.filter(({ kind }) => kind === "ended")).toHaveLength(1);
});

test("a disk that refuses is not asked for every job that waits", async () => {
  let asked = 0;
  const { clock, accept, job } = scene({
    store: (real) => ({
      ...real,
      move: () => {
        asked += 1;
        return { kind: "unavailable", trouble: full };
      },
    }),
  });
  const ids = Array.from({ length: 50 }, (_, at) => accept(at));
  await clock.advance(10_000);
  expect(asked).toBeGreaterThan(2);
  expect(asked).toBeLessThan(10);
  expect(ids.every((id) => job(id).state === "accepted")).toBe(true);
});

test("typicalMs is the median of what the last jobs took, also those of before the start", async () => {
  const before = scene();
  before.runner.onSubmit = () => new Promise((resolve) => before.clock.after(4000, () => resolve(done)));
  for (let at = 0; at < 5; at += 1) before.accept(at);
  await before.clock.advance(5000);
  const after = scene({ place: killed(before.place) });
  expect(after.start().typicalMs()).toBe(4000);
});

test("typicalMs is not known while jobs wait for a runner that refuses, or that has no room", async () => {
  const { runner, clock, accept, start } = scene();
  const lane = start();
  runner.onSubmit = () => done;
  accept(1);
  await clock.advance(1000);
  expect(lane.typicalMs()).toBeDefined();
  runner.busy = 1000;
  expect(lane.typicalMs()).toBeDefined();
  accept(2);
  expect(lane.typicalMs()).toBeUndefined();
  runner.busy = undefined;
  runner.onSubmit = () => ({ kind: "again", about: "runner", afterMs: 0, why: "throttled" });
  await clock.advance(100);
  expect(lane.typicalMs()).toBeUndefined();
  runner.onSubmit = () => done;
  await clock.advance(5000);
  expect(lane.typicalMs()).toBeDefined();
});

test("what a job has left of its ttl is no matter of the wall clock", async () => {
  const { runner, clock, accept } = scene();
  runner.busy = 1000;
  accept(1, 60_000);
  await clock.advance(5000);
  clock.stepWallMs(3_600_000);
  const left: number[] = [];
  runner.onSubmit = ({ leftMs }) => {
    left.push(leftMs);
    return done;
  };
  runner.busy = undefined;
  await clock.advance(2000);
  expect(left).toHaveLength(1);
  expect(left[0]).toBeWithin(52_000, 55_001);
});

test("stop cuts short what is under way, waits for it, leaves no timer, and starts nothing more", async () => {
  const { runner, clock, accept, job, start } = scene();
  const lane = start();
  const watched = accept(1);
  await clock.advance(1000);
  let answered = false;
  runner.onSubmit = (_, signal) =>
    new Promise((resolve) =>
      signal.addEventListener("abort", () =>
        clock.after(300, () => {
          answered = true;
          resolve({ kind: "again", about: "runner", afterMs: 0, why: "cut short" });
        }),
      ),
    );
  const cut = accept(2);
  await clock.advance(0);
  const stopping = lane.stop();
  await clock.advance(300);
  await stopping;
  expect(clock.pending()).toBe(0);
  expect(answered).toBe(true);
  expect([job(watched).state, job(cut).state]).toEqual(["submitted", "accepted"]);
  const calls = runner.calls.length;
  await clock.advance(600_000);
  expect(runner.calls).toHaveLength(calls);
  expect(clock.pending()).toBe(0);
});

test("stop does not wait for a runner that ignores its signal", async () => {
  let closed = false;
  let afterClose = 0;
  const { runner, clock, accept, start, store } = scene({
    store: (real) => ({
      ...real,
      move(...move) {
        if (closed) afterClose += 1;
        return real.move(...move);
      },
    }),
  });
  const lane = start();
  let answer = (_: Submitted) => {};
  runner.onSubmit = () =>
    new Promise((resolve) => {
      answer = resolve;
    });
  accept(1);
  await clock.advance(0);
  let stopped = false;
  const stopping = lane.stop().then(() => {
    stopped = true;
  });
  await clock.advance(2000);
  await stopping;
  expect(stopped).toBe(true);
  // What it says later finds the store closed, and must not ask it.
  store.close();
  closed = true;
  answer(done);
  await clock.advance(0);
  expect(afterClose).toBe(0);
});
