import { expect, test } from "bun:test";
import fc from "fast-check";
import { deskRule } from "../../src/jobs/desk.ts";
import { leaseRule } from "../../src/jobs/lease.ts";
import type { Manifest } from "../../src/jobs/manifest.ts";
import { manifestReachMs, readManifest, wireOf } from "../../src/jobs/manifest.ts";
import type { Manifests } from "../../src/jobs/manifests.ts";
import { createManifests } from "../../src/jobs/manifests.ts";
import { sageMakerRule } from "../../src/jobs/sagemaker.ts";
import { newJob } from "../support/job-place.ts";
import type { MemoryObjects } from "../support/memory-objects.ts";
import { memoryObjects } from "../support/memory-objects.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const places = { manifests: { bucket: "bucket", key: "m" }, input: { bucket: "bucket", key: "in" } };
const { signal } = new AbortController();
const clock = virtualClock();

function scene(pageMost?: number): { objects: MemoryObjects; host: (name: string) => Manifests } {
  const objects = memoryObjects(pageMost);
  return { objects, host: (name) => createManifests(places, name, objects) };
}

const job = newJob(1);
const done = { state: "done", endedAtMs: clock.wallMs() } as const;

/** Held by gold-1. */
async function keptScene() {
  const { objects, host } = scene();
  const owner = host("gold-1");
  expect(await owner.keep(job, signal)).toBeUndefined();
  return { objects, host, owner };
}

test("a job is kept as its input first, as it will be sent, and then a manifest that names it", async () => {
  const { objects } = await keptScene();
  const input = "in/jobs/20260101/gold-1/00000000010000000000000000.json";
  expect(objects.keys()).toEqual([input, "m/jobs/gold-1/00000000010000000000000000"]);
  expect(objects.text(input)).toBe('{"stream":false,"model":"story-70b","n":1}');
  expect(JSON.parse(objects.text("m/jobs/gold-1/00000000010000000000000000") ?? "")).toEqual({
    version: 1,
    id: job.id,
    member: "gold-1",
    fence: 1,
    state: "open",
    owner: "lobby",
    kind: "chat",
    model: "story-70b",
    ttl_ms: job.ttlMs,
    accepted_at_ms: job.acceptedAtMs,
    output_key: job.outputKey,
    input: `s3://bucket/${input}`,
  });
});

test("no manifest is written where its input could not be", async () => {
  const { objects, host } = scene();
  objects.fail("server", 1);
  expect(await host("gold-1").keep(job, signal)).toMatchObject({ kind: "trouble", trouble: "server" });
  expect(objects.keys()).toEqual([]);
});

test("a job whose keeping nobody heard of is kept again without harm", async () => {
  const { objects, host } = scene();
  objects.fail("timeout", 2, "done");
  const owner = host("gold-1");
  expect(await owner.keep(job, signal)).toMatchObject({ kind: "trouble" });
  expect(await owner.keep(job, signal)).toMatchObject({ kind: "trouble" });
  expect(await owner.keep(job, signal)).toBeUndefined();
  expect(await owner.read(job.id, signal)).toMatchObject({ kind: "found", manifest: { fence: 1 } });
});

test("of many who keep one job at one time exactly one has it, and one who cannot read who has not", async () => {
  const { host, objects } = scene();
  const names = Array.from({ length: 8 }, (_, index) => `silver-${index}`);
  const answers = await Promise.all(names.map((name) => host(name).keep(job, signal)));
  const winners = names.filter((_, index) => answers[index] === undefined);
  expect(winners).toHaveLength(1);
  expect(await host("gold-1").read(job.id, signal)).toMatchObject({ manifest: { member: winners[0] } });
  objects.get = () => Promise.resolve({ kind: "trouble", trouble: "timeout", why: "slow" });
  expect(await host("gold-2").keep(job, signal)).toMatchObject({ kind: "trouble", why: "slow" });
});

test("the job of a dead member is taken with its request, a higher fence and the same place for its result", async () => {
  const { host } = await keptScene();
  const taken = await host("gold-2").take(job.id, "gold-1", signal);
  if (taken.kind !== "taken") throw new Error(JSON.stringify(taken));
  expect(taken.manifest).toMatchObject({
    member: "gold-2",
    fence: 2,
    outputKey: job.outputKey,
    owner: "lobby",
  });
  expect(Buffer.from(taken.request).toString()).toBe('{"stream":false,"model":"story-70b","n":1}');
});

test("of many who take one job at one time exactly one has it, and the others are told who", async () => {
  for (let round = 0; round < 20; round += 1) {
    const { host, objects } = await keptScene();
    // Everybody has read the manifest before anybody writes.
    let waiting = 0;
    const all = Promise.withResolvers<void>();
    objects.beforePut = (key) => {
      if (!key.startsWith("m/jobs/")) return;
      waiting += 1;
      if (waiting === 8) all.resolve();
      return all.promise;
    };
    const names = Array.from({ length: 8 }, (_, index) => `silver-${index}`);
    const answers = await Promise.all(names.map((name) => host(name).take(job.id, "gold-1", signal)));
    const winners = names.filter((_, index) => answers[index]?.kind === "taken");
    expect(winners).toHaveLength(1);
    for (const answer of answers)
      if (answer.kind !== "taken") expect(answer).toEqual({ kind: "lost", member: winners[0] ?? "" });
  }
});

test("a host that comes back learns at its next write that another has its job, and cannot end it", async () => {
  const { host, owner, objects } = await keptScene();
  await host("gold-2").take(job.id, "gold-1", signal);
  const before = objects.text("m/jobs/gold-1/00000000010000000000000000");
  expect(await owner.close(job.id, done, signal)).toEqual({ kind: "lost", member: "gold-2" });
  expect(objects.text("m/jobs/gold-1/00000000010000000000000000")).toBe(before);
  expect(await host("gold-2").close(job.id, done, signal)).toMatchObject({ kind: "closed", end: done });
});

test("a host that is overtaken between its look and its write does not end the job", async () => {
  const { host, owner, objects } = await keptScene();
  objects.beforePut = async (key) => {
    if (!key.startsWith("m/jobs/")) return;
    objects.beforePut = undefined;
    await host("gold-2").take(job.id, "gold-1", signal);
  };
  expect(await owner.close(job.id, done, signal)).toEqual({ kind: "lost", member: "gold-2" });
});

test("a job that has ended is taken by nobody, and tells its end", async () => {
  const { host, owner } = await keptScene();
  const error = { code: "upstream_failed", message: "no" };
  const end = { state: "failed", error, endedAtMs: clock.wallMs() } as const;
  expect(await owner.close(job.id, end, signal)).toEqual({ kind: "closed", end });
  expect(await host("gold-2").take(job.id, "gold-1", signal)).toMatchObject({
    kind: "ended",
    manifest: end,
  });
});

test("of two ends the first stays, and the second is told it whole", async () => {
  const { owner } = await keptScene();
  const error = { code: "upstream_failed", message: "no" };
  const cancelled = { state: "cancelled", error, endedAtMs: clock.wallMs() } as const;
  expect(await owner.close(job.id, cancelled, signal)).toEqual({ kind: "closed", end: cancelled });
  const { outputKey } = job;
  expect(await owner.close(job.id, { ...done, endedAtMs: 1 }, signal)).toEqual({
    kind: "closed",
    end: { ...cancelled, outputKey },
  });
  expect(await owner.read(job.id, signal)).toMatchObject({ manifest: { state: "cancelled" } });
});

test("an end that was written although its answer was lost stays as it is", async () => {
  const { owner, objects } = await keptScene();
  objects.beforePut = () => {
    objects.beforePut = undefined;
    objects.fail("timeout", 1, "done");
  };
  expect(await owner.close(job.id, done, signal)).toMatchObject({ kind: "trouble" });
  expect(await owner.close(job.id, done, signal)).toMatchObject({ kind: "closed", end: done });
});

test("an end says where its result lies after all", async () => {
  const { owner } = await keptScene();
  await owner.close(job.id, { ...done, outputKey: "s3://other/x.out" }, signal);
  expect(await owner.read(job.id, signal)).toMatchObject({ manifest: { outputKey: "s3://other/x.out" } });
});

test("a job is not taken from a member that does not hold it", async () => {
  const { host } = await keptScene();
  const answer = await host("gold-2").take(job.id, "gold-3", signal);
  expect(answer).toEqual({ kind: "lost", member: "gold-1" });
});

test("an adoption whose answer was lost is found to be one's own", async () => {
  const { host, objects } = await keptScene();
  const adopter = host("gold-2");
  objects.beforePut = (key) => {
    if (key.startsWith("m/jobs/")) objects.fail("timeout", 1, "done");
  };
  expect((await adopter.take(job.id, "gold-1", signal)).kind).toBe("trouble");
  expect(await adopter.take(job.id, "gold-1", signal)).toMatchObject({
    kind: "taken",
    manifest: { fence: 2 },
  });
});

test("a job that was adopted can be adopted again when the adopter dies", async () => {
  const { host } = await keptScene();
  await host("gold-2").take(job.id, "gold-1", signal);
  expect(await host("gold-3").heldBy("gold-2", 0, signal)).toEqual({
    kind: "held",
    ids: [job.id],
    isCut: false,
  });
  expect(await host("gold-3").take(job.id, "gold-2", signal)).toMatchObject({
    kind: "taken",
    manifest: { member: "gold-3", fence: 3 },
  });
});

test("a job without a manifest, and one without its input, are said to be so", async () => {
  const { host, objects } = scene();
  expect(await host("gold-2").take(job.id, "gold-1", signal)).toEqual({ kind: "missing" });
  expect(await host("gold-1").close(job.id, done, signal)).toEqual({ kind: "closed", end: done });
  const named: Manifest = { ...job, member: "gold-1", fence: 1, state: "open", input: "s3://bucket/gone" };
  const place = { bucket: "bucket", key: "m/jobs/gold-1/00000000010000000000000000" };
  await objects.put(place, Buffer.from(JSON.stringify(wireOf(named))), "always", signal);
  expect(await host("gold-2").take(job.id, "gold-1", signal)).toMatchObject({
    kind: "input-gone",
    why: expect.stringContaining("s3://bucket/gone"),
  });
});

test("a member's jobs are listed over all pages, from a time on, the adopted ones with them and nobody else's", async () => {
  const { host } = scene(2);
  const start = 1_000_000;
  /** An id of that millisecond. */
  const idAt = (ms: number, member = "gold-1") => `job_${member}_${digits(ms)}${"0".repeat(16)}`;
  for (let ms = start; ms < start + 7; ms += 1)
    await host("gold-1").keep(newJob(0, { id: idAt(ms) }), signal);
  await host("gold-10").keep(newJob(0, { id: idAt(start, "gold-10") }), signal);
  await host("gold-1").take(idAt(start, "gold-10"), "gold-10", signal);
  const held = await host("gold-2").heldBy("gold-1", start + 3, signal);
  expect(held).toEqual({ kind: "held", ids: [3, 4, 5, 6].map((ms) => idAt(start + ms)), isCut: false });
  const all = await host("gold-2").heldBy("gold-1", start, signal);
  expect(all).toMatchObject({
    ids: [...Array(7).keys()].map((ms) => idAt(start + ms)).concat(idAt(start, "gold-10")),
  });
});

test("a member with more jobs than can be listed is said to have more", async () => {
  const { host } = scene(1);
  const keep = (n: number) => host("gold-1").keep(newJob(n), signal);
  for (let n = 0; n < 100; n += 1) await keep(n);
  expect(await host("gold-2").heldBy("gold-1", 0, signal)).toMatchObject({ isCut: false });
  await keep(100);
  const held = await host("gold-2").heldBy("gold-1", 0, signal);
  expect(held).toMatchObject({ isCut: true });
  expect(held.kind === "held" && held.ids.length).toBe(100);
});

const digits = (ms: number): string =>
  ms
    .toString(32)
    .padStart(10, "0")
    .replace(/./g, (digit) => "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[Number.parseInt(digit, 32)] ?? "");

const anyManifest: fc.Arbitrary<Manifest> = fc.record(
  {
    id: fc.string(),
    member: fc.string(),
    fence: fc.nat(),
    state: fc.constantFrom("open", "done", "failed", "expired", "cancelled", "poisoned"),
    owner: fc.option(fc.string()),
    kind: fc.constantFrom("chat", "completion"),
    model: fc.string(),
    ttlMs: fc.nat(),
    acceptedAtMs: fc.nat(),
    outputKey: fc.string(),
    input: fc.string(),
    error: fc.record({ code: fc.string(), message: fc.string() }),
    endedAtMs: fc.nat(),
  },
  {
    requiredKeys: [
      "id",
      "member",
      "fence",
      "state",
      "owner",
      "kind",
      "model",
      "ttlMs",
      "acceptedAtMs",
      "outputKey",
      "input",
    ],
  },
);

test("any manifest reads back as it was written, and with any part missing or of another kind as none", () => {
  fc.assert(
    fc.property(anyManifest, fc.nat(), fc.constantFrom(undefined, true, [], {}), (manifest, which, wrong) => {
      const wire = wireOf(manifest);
      expect(readManifest(Buffer.from(JSON.stringify(wire)))).toEqual(manifest);
      const names = Object.keys(wire).filter((name) => name !== "error" && name !== "ended_at_ms");
      const spoilt = { ...wire, [names[which % names.length] ?? ""]: wrong };
      expect(readManifest(Buffer.from(JSON.stringify(spoilt)))).toBeUndefined();
    }),
    { numRuns: 200 },
  );
});

test("a manifest with a figure that JSON can write and nobody can count with is none", () => {
  for (const [manifest] of fc.sample(fc.tuple(anyManifest), { numRuns: 20, seed: 1 })) {
    const wire = JSON.stringify(wireOf(manifest));
    for (const name of ["fence", "ttl_ms", "accepted_at_ms"]) {
      const endless = wire.replace(new RegExp(`("${name}":)[^,}]+`), "$11e400");
      expect(readManifest(Buffer.from(endless))).toBeUndefined();
    }
  }
});

test("manifests are looked for as long as any job may be worked on", () => {
  expect(manifestReachMs).toBeGreaterThan(deskRule.ttlMsMost + sageMakerRule.marginMs + 2 * leaseRule.skewMs);
});

test("bytes of any kind are no manifest and no exception", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        expect(readManifest(bytes)).toBeUndefined();
      },
    ),
    { numRuns: 200 },
  );
});
