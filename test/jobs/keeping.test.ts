// What S3 knows of a job whose host cannot be asked, and what it is told of an end.

import { describe, expect, test } from "bun:test";
import type { Job } from "../../src/jobs/job.ts";
import { createKeeping, keepingRule } from "../../src/jobs/keeping.ts";
import { manifestReachMs } from "../../src/jobs/manifest.ts";
import type { KnownMember } from "../../src/jobs/members.ts";
import { answer } from "../support/desk-scene.ts";
import { fleetPlaces } from "../support/job-fleet.ts";
import { newJob } from "../support/job-place.ts";
import { memoryObjects } from "../support/memory-objects.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const { signal } = new AbortController();
const settledKey = "m/results/gold-1/00000000010000000000000000";
const error = { code: "upstream_failed", message: "No." };

/** Accepted now by gold-1; asked is gold-2. */
async function scene(state: KnownMember["state"] = "dead") {
  const [clock, objects] = [virtualClock(), memoryObjects()];
  const members: KnownMember[] = [
    { name: "gold-1", state },
    { name: "gold-2", state: "alive" },
  ];
  const on = (member: string) =>
    createKeeping({
      places: fleetPlaces,
      member,
      members: () => members,
      objects,
      clock,
      random: () => 0.5,
    });
  const [owner, asked] = [on("gold-1"), on("gold-2")];
  const kept = newJob(1, { acceptedAtMs: clock.wallMs(), outputKey: "s3://bucket/results/1.out" });
  await owner.manifests.keep(kept, signal);
  const { request: _request, ...rest } = kept;
  const job: Job = { ...rest, state: "submitted", attempt: 1, fence: 1, recoveries: 0 };
  return {
    clock,
    objects,
    owner,
    asked,
    job,
    seek: (caller: string | undefined = "lobby") => asked.seek(job.id, caller, signal),
    done: (text = answer.toString()) =>
      ({ to: "done", result: new Uint8Array(Buffer.from(text)), endedAtMs: clock.wallMs() }) as const,
    cancelled: { to: "cancelled", endedAtMs: clock.wallMs() } as const,
    failed: { to: "failed", error, endedAtMs: clock.wallMs() } as const,
  };
}

describe("a job that is sought", () => {
  test.each(["alive", "suspect"] as const)("and whose host is %s is that host's", async (state) => {
    const { seek, clock, job } = await scene(state);
    const held = { kind: "held", member: "gold-1", job: { id: job.id, owner: "lobby", state: "accepted" } };
    expect(await seek()).toMatchObject(held);
    // Whether it has expired its host will say.
    await clock.advance(manifestReachMs + 1);
    expect(await seek()).toMatchObject(held);
  });

  test.each(["dead", "left"] as const)("and whose host is %s waits to be taken up", async (state) => {
    const { seek, job } = await scene(state);
    expect(await seek()).toMatchObject({
      kind: "found",
      job: { id: job.id, owner: "lobby", model: "story-70b", state: "accepted", ttlMs: job.ttlMs },
      result: undefined,
    });
  });

  test("and that was adopted is the adopter's, and waits where the adopter has no row for it", async () => {
    const { seek, asked, owner, job } = await scene();
    await asked.manifests.take(job.id, "gold-1", signal);
    expect(await owner.seek(job.id, "lobby", signal)).toMatchObject({ kind: "held", member: "gold-2" });
    expect(await seek()).toMatchObject({ kind: "found", job: { state: "accepted" } });
  });

  test("is its caller's alone: to others it is not there", async () => {
    const { seek, asked } = await scene("alive");
    expect(await seek("arena")).toMatchObject({ kind: "refused", code: "job_not_found" });
    expect(await asked.seek(newJob(2).id, "lobby", signal)).toMatchObject({ code: "job_not_found" });
  });

  test("and that is done is found with the result as it was shown, whatever SageMaker's own output has become", async () => {
    const { seek, owner, job, objects, done } = await scene("alive");
    const output = { bucket: "bucket", key: "results/1.out" };
    await objects.put(output, Buffer.from("computed first"), "always", signal);
    await owner.closing(job, done(), signal);
    await objects.put(output, Buffer.from("computed again"), "always", signal);
    expect(await seek()).toMatchObject({
      kind: "found",
      job: { state: "done" },
      result: new Uint8Array(answer),
    });
  });

  test("and that failed, or was cancelled, tells its end", async () => {
    const failed = await scene();
    await failed.owner.closing(failed.job, failed.failed, signal);
    const endedAtMs = failed.clock.wallMs();
    await failed.clock.advance(1000);
    expect(await failed.seek()).toMatchObject({ job: { state: "failed", error, endedAtMs } });
    const cancelled = await scene();
    await cancelled.owner.closing(cancelled.job, cancelled.cancelled, signal);
    expect(await cancelled.seek()).toMatchObject({ job: { state: "cancelled" }, result: undefined });
  });

  test("and whose result was cleared away is said to be gone", async () => {
    const { seek, owner, job, objects, done } = await scene();
    await owner.closing(job, done(), signal);
    objects.remove(settledKey);
    expect(await seek()).toMatchObject({
      code: "job_not_found",
      message: expect.stringContaining(`s3://bucket/${settledKey}`),
    });
  });

  test("and that nobody holds waits as long as somebody may take it up, for its result may be there; then it has expired, and is said to have been lost", async () => {
    const { seek, clock, job } = await scene();
    await clock.advance(manifestReachMs);
    expect(manifestReachMs).toBeGreaterThan(job.ttlMs);
    expect(await seek()).toMatchObject({ job: { state: "accepted" } });
    await clock.advance(1);
    expect(await seek()).toMatchObject({
      job: {
        state: "expired",
        error: { code: "deadline_exceeded", message: expect.stringContaining("was lost") },
        endedAtMs: job.acceptedAtMs + job.ttlMs,
      },
    });
  });

  test("and that was never accepted is not there, whoever answers", async () => {
    const { seek, owner, job } = await scene("alive");
    await owner.manifests.withdraw(job, signal);
    expect(await seek()).toMatchObject({ kind: "refused", code: "job_not_found" });
  });

  test("is said to be unknown for now where S3 does not answer", async () => {
    const { seek, objects } = await scene();
    objects.fail("throttled", 1);
    expect(await seek()).toMatchObject({
      code: "job_store_unavailable",
      message: expect.stringContaining("as asked for"),
      retryAfterMs: expect.any(Number),
    });
  });
});

describe("an end", () => {
  test("of a job that is done goes into S3 with its result and the place of that, then comes back as it stands", async () => {
    const { owner, job, objects, done } = await scene();
    const end = done("first");
    expect(await owner.closing(job, end, signal)).toEqual({ kind: "closed", end });
    expect(objects.text(settledKey)).toBe("first");
    expect(await owner.manifests.read(job.id, signal)).toMatchObject({
      manifest: { state: "done", outputKey: `s3://bucket/${settledKey}`, endedAtMs: end.endedAtMs },
    });
  });

  test("of a job that was computed twice is the one whose result was there first", async () => {
    const { owner, asked, job, done } = await scene();
    await asked.manifests.take(job.id, "gold-1", signal);
    // It is not told so, for the job is the other's; but nobody may show anything else now.
    expect(await owner.closing(job, done("first"), signal)).toEqual({ kind: "lost", member: "gold-2" });
    const end = done("second");
    expect(await asked.closing(job, end, signal)).toEqual({
      kind: "closed",
      end: { ...end, result: done("first").result },
    });
    expect(await owner.seek(job.id, "lobby", signal)).toMatchObject({ result: done("first").result });
  });

  test("that stands there already comes back whole, whatever this host has found", async () => {
    for (const [first, second] of [
      ["done", "failed"],
      ["done", "cancelled"],
      ["failed", "done"],
      ["cancelled", "done"],
    ] as const) {
      const { owner, job, done, failed, cancelled, clock } = await scene();
      const ends = { done: done("first"), failed, cancelled };
      await owner.closing(job, ends[first], signal);
      await clock.advance(1000);
      const later = { ...ends[second], endedAtMs: clock.wallMs() };
      expect(await owner.closing(job, later, signal)).toEqual({ kind: "closed", end: ends[first] });
    }
  });

  test("that stands there without a reason is a failure that says so", async () => {
    const { owner, job, done } = await scene();
    await owner.manifests.close(job.id, { state: "poisoned", endedAtMs: 77 }, signal);
    expect(await owner.closing(job, done(), signal)).toMatchObject({
      kind: "closed",
      end: { to: "poisoned", error: { message: expect.stringContaining("does not say why") }, endedAtMs: 77 },
    });
  });

  test("whose result was cleared away before this host had it is a failure that says so", async () => {
    const { owner, job, objects, done, failed } = await scene();
    await owner.closing(job, done(), signal);
    objects.remove(settledKey);
    expect(await owner.closing(job, failed, signal)).toMatchObject({
      kind: "closed",
      end: { to: "failed", error: { message: expect.stringContaining("no more") } },
    });
  });

  test("of a job that was adopted is not this host's to write", async () => {
    const { owner, asked, job, failed } = await scene();
    await asked.manifests.take(job.id, "gold-1", signal);
    expect(await owner.closing(job, failed, signal)).toEqual({ kind: "lost", member: "gold-2" });
  });

  test("is sent again where another's write was under way and came to nothing", async () => {
    const { owner, job, objects, done } = await scene();
    const { put } = objects;
    let clashes = 2;
    objects.put = (place, bytes, condition, cut) =>
      place.key === settledKey && clashes-- > 0
        ? Promise.resolve({ kind: "overtaken" })
        : put(place, bytes, condition, cut);
    const end = done();
    expect(await owner.closing(job, end, signal)).toEqual({ kind: "closed", end });
    expect(objects.text(settledKey)).toBe(answer.toString());
    const never = await scene();
    clashes = 3;
    never.objects.put = objects.put;
    expect(await never.owner.closing(never.job, never.done(), signal)).toMatchObject({
      kind: "again",
      about: "job",
      why: expect.stringContaining(`${settledKey} cannot be written`),
    });
  });

  test("that S3 does not take comes again later, and says why", async () => {
    const { owner, job, objects, done } = await scene();
    objects.fail("network", 1);
    expect(await owner.closing(job, done(), signal)).toMatchObject({
      kind: "again",
      why: expect.stringContaining("(network): as asked for"),
    });
    objects.beforePut = (key) => {
      if (key === settledKey) objects.fail("timeout", 1, "done");
    };
    expect((await owner.closing(job, done("first"), signal)).kind).toBe("again");
    objects.beforePut = undefined;
    const end = done("second");
    expect(await owner.closing(job, end, signal)).toEqual({
      kind: "closed",
      end: { ...end, result: done("first").result },
    });
  });

  test.each([
    ["cancelled", keepingRule.closeMostMs],
    ["done", keepingRule.settleMostMs],
  ] as const)("%s is waited for a bounded time", async (to, mostMs) => {
    const { owner, job, objects, clock, done, cancelled } = await scene();
    objects.get = (_place, _most, cut) =>
      new Promise((resolve) =>
        cut.addEventListener("abort", () => resolve({ kind: "trouble", trouble: "cut", why: "too long" })),
      );
    let outcome: string | undefined;
    void owner.closing(job, to === "done" ? done() : cancelled, signal).then(({ kind }) => {
      outcome = kind;
    });
    await clock.advance(mostMs - 1);
    expect(outcome).toBeUndefined();
    await clock.advance(1);
    expect(outcome).toBe("again");
  });
});
