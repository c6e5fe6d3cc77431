// What S3 knows of a job whose host cannot be asked, and what it is told of an end.

import { describe, expect, test } from "bun:test";
import type { Job } from "../../src/jobs/job.ts";
import { createKeeping, keepingRule } from "../../src/jobs/keeping.ts";
import type { KnownMember } from "../../src/jobs/members.ts";
import { answer } from "../support/desk-scene.ts";
import { fleetPlaces } from "../support/job-fleet.ts";
import { newJob } from "../support/job-place.ts";
import { memoryObjects } from "../support/memory-objects.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const { signal } = new AbortController();

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
  const key = "results/1.out";
  const kept = newJob(1, { acceptedAtMs: clock.wallMs(), outputKey: `s3://bucket/${key}` });
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
    result: (text: string) => objects.put({ bucket: "bucket", key }, Buffer.from(text), "always", signal),
  };
}

describe("a job that is sought", () => {
  test.each(["alive", "suspect"] as const)("and whose host is %s is that host's", async (state) => {
    const { seek, clock, job } = await scene(state);
    const held = { kind: "held", member: "gold-1", job: { id: job.id, owner: "lobby", state: "accepted" } };
    expect(await seek()).toMatchObject(held);
    // Whether it has expired its host will say.
    await clock.advance(job.ttlMs + keepingRule.expiredAfterMs + 1);
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

  test("and that is done is found with the engine's own answer", async () => {
    const { seek, owner, job, result } = await scene("alive");
    await result(answer.toString());
    await owner.closing(job, { state: "done" }, signal);
    expect(await seek()).toMatchObject({
      kind: "found",
      job: { state: "done" },
      result: new Uint8Array(answer),
    });
  });

  test("and whose answer came in another shape is found in the one that callers know", async () => {
    const { seek, owner, job, result } = await scene();
    await result('[{"generated_text":"Hm."}]');
    await owner.closing(job, { state: "done" }, signal);
    const sought = await seek();
    const text = sought.kind === "found" ? Buffer.from(sought.result ?? []).toString() : "";
    expect(JSON.parse(text)).toMatchObject({ choices: [{ message: { content: "Hm." } }] });
  });

  test("and that failed, or was cancelled, tells its end", async () => {
    const failed = await scene();
    const error = { code: "upstream_failed", message: "No." };
    await failed.owner.closing(failed.job, { state: "failed", error }, signal);
    const endedAtMs = failed.clock.wallMs();
    await failed.clock.advance(1000);
    expect(await failed.seek()).toMatchObject({ job: { state: "failed", error, endedAtMs } });
    const cancelled = await scene();
    await cancelled.owner.closing(cancelled.job, { state: "cancelled" }, signal);
    expect(await cancelled.seek()).toMatchObject({ job: { state: "cancelled" }, result: undefined });
  });

  test("and whose result was cleared away is said to be gone, and one that is spoilt to be no result", async () => {
    const gone = await scene();
    await gone.owner.closing(gone.job, { state: "done" }, signal);
    expect(await gone.seek()).toMatchObject({
      code: "job_not_found",
      message: expect.stringContaining("s3://bucket/results/1.out"),
    });
    await gone.result("<html>");
    expect(await gone.seek()).toMatchObject({ code: "upstream_failed" });
  });

  test("and whose ttl has long been over without anybody to end it has expired", async () => {
    const { seek, clock, job } = await scene();
    await clock.advance(job.ttlMs + keepingRule.expiredAfterMs);
    expect(await seek()).toMatchObject({ job: { state: "accepted" } });
    await clock.advance(1);
    expect(await seek()).toMatchObject({
      job: {
        state: "expired",
        error: { code: "deadline_exceeded" },
        endedAtMs: job.acceptedAtMs + job.ttlMs,
      },
    });
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
  test("goes into S3 with the place where its result lies after all", async () => {
    const { owner, job } = await scene();
    const outputKey = "s3://bucket/elsewhere.out";
    expect(await owner.closing({ ...job, outputKey }, { state: "done" }, signal)).toEqual({
      kind: "closed",
      state: "done",
    });
    expect(await owner.manifests.read(job.id, signal)).toMatchObject({ manifest: { outputKey } });
  });

  test("after a cancel is that cancel, and of a job that was adopted is not this host's to write", async () => {
    const { owner, asked, job } = await scene();
    await owner.closing(job, { state: "cancelled" }, signal);
    expect(await owner.closing(job, { state: "done" }, signal)).toEqual({
      kind: "closed",
      state: "cancelled",
    });
    const other = await scene();
    await other.asked.manifests.take(job.id, "gold-1", signal);
    expect(await other.owner.closing(other.job, { state: "done" }, signal)).toEqual({
      kind: "lost",
      member: "gold-2",
    });
    expect(await asked.closing(job, { state: "done" }, signal)).toEqual({ kind: "lost", member: "gold-1" });
  });

  test("that S3 does not take comes again later, and says why", async () => {
    const { owner, job, objects } = await scene();
    objects.fail("network", 1);
    expect(await owner.closing(job, { state: "done" }, signal)).toMatchObject({
      kind: "again",
      why: expect.stringContaining("(network): as asked for"),
    });
  });

  test("is waited for a bounded time", async () => {
    const { owner, job, objects, clock } = await scene();
    objects.get = (_place, _most, cut) =>
      new Promise((resolve) =>
        cut.addEventListener("abort", () => resolve({ kind: "trouble", trouble: "cut", why: "too long" })),
      );
    let outcome: string | undefined;
    void owner.closing(job, { state: "done" }, signal).then(({ kind }) => {
      outcome = kind;
    });
    await clock.advance(keepingRule.closeMostMs - 1);
    expect(outcome).toBeUndefined();
    await clock.advance(1);
    expect(outcome).toBe("again");
  });
});
