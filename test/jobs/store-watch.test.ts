// Whether the job file takes what is written to it, as an operator is told.

import { expect, test } from "bun:test";
import type { JobStore } from "../../src/jobs/store.ts";
import { watchStore } from "../../src/jobs/store-watch.ts";
import { troubleOf } from "../../src/jobs/trouble.ts";
import { cleanup } from "../support/cleanup.ts";
import { jobPlace, newJob, roomy } from "../support/job-place.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const ends = cleanup();

function scene(bytesMost = roomy.bytesMost, change: Partial<JobStore> = {}) {
  const place = ends(jobPlace());
  const real = place.open({ ...roomy, bytesMost });
  ends({ stop: () => real.close() });
  const clock = virtualClock();
  const { store, trouble } = watchStore({ ...real, ...change }, clock);
  return { store, clock, trouble: () => trouble()?.kind };
}

test("a file that takes everything is in no trouble", () => {
  const { store, trouble } = scene();
  expect(store.accept(newJob(1)).kind).toBe("stored");
  expect(store.move(newJob(1).id, 0, { to: "submitting" }).kind).toBe("moved");
  expect(trouble()).toBeUndefined();
});

test("a nearly full file is in trouble until it takes a job again, though it takes the ends of those in it", () => {
  const { store, trouble } = scene(512 * 1024);
  const request = Buffer.alloc(50_000, "x");
  let stored = 0;
  while (store.accept(newJob(stored, { request })).kind === "stored") stored += 1;
  expect(stored).toBeGreaterThan(1);
  expect(trouble()).toBe("disk-full");
  expect(store.cancel(newJob(0).id, 1).kind).toBe("moved");
  expect(store.cancel(newJob(1).id, 1).kind).toBe("moved");
  expect(trouble()).toBe("disk-full");
  expect(store.sweep(1, 10)).toEqual({ kind: "found", value: 2 });
  expect(store.adopt(newJob(1000)).kind).toBe("stored");
  expect(trouble()).toBeUndefined();
});

test("what was to be written together and was not is trouble, though each part of it had gone well", () => {
  const refused = { kind: "unavailable", trouble: troubleOf("device") } as const;
  const { store, trouble } = scene(roomy.bytesMost, {
    together(work) {
      work();
      return refused;
    },
  });
  expect(store.together(() => store.accept(newJob(1)))).toBe(refused);
  expect(trouble()).toBe("device");
});

test("a known job is no sign that the file takes anything", () => {
  const { store, trouble } = scene(512 * 1024);
  const request = Buffer.alloc(50_000, "x");
  let stored = 0;
  while (store.accept(newJob(stored, { request })).kind === "stored") stored += 1;
  expect(store.accept(newJob(0)).kind).toBe("same");
  expect(trouble()).toBe("disk-full");
});

test("trouble that does not come again is over after two minutes", async () => {
  const refused = { kind: "unavailable", trouble: troubleOf("device") } as const;
  const { store, trouble, clock } = scene(roomy.bytesMost, { move: () => refused });
  store.accept(newJob(1));
  store.move(newJob(1).id, 0, { to: "submitting" });
  await clock.advance(119_000);
  expect(trouble()).toBe("device");
  store.move(newJob(1).id, 0, { to: "submitting" });
  await clock.advance(119_000);
  expect(trouble()).toBe("device");
  await clock.advance(1000);
  expect(trouble()).toBeUndefined();
});
