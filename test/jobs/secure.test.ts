// What S3 holds before a job is accepted, as doors see it: through a desk.

import { expect, test } from "bun:test";
import type { JobKeeping } from "../../src/jobs/keeping.ts";
import { createKeeping } from "../../src/jobs/keeping.ts";
import type { Manifests } from "../../src/jobs/manifests.ts";
import { createManifests } from "../../src/jobs/manifests.ts";
import type { CallTrouble } from "../../src/jobs/objects.ts";
import { secureRule } from "../../src/jobs/secure.ts";
import type { StoreLimits } from "../../src/jobs/store.ts";
import { cleanup } from "../support/cleanup.ts";
import { deskScene } from "../support/desk-scene.ts";
import { fleetPlaces, jobFleet } from "../support/job-fleet.ts";
import { newJob, roomy } from "../support/job-place.ts";
import { memoryObjects } from "../support/memory-objects.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const ends = cleanup();
const ours = newJob(1);
const { signal } = new AbortController();

interface Change {
  readonly limits?: StoreLimits;
  readonly keeping?: (keeping: JobKeeping) => JobKeeping;
  /** What is thought of gold-2. */
  readonly other?: "alive" | "dead";
}

function scene({ limits = roomy, keeping: changed = (keeping) => keeping, other: state }: Change = {}) {
  const [clock, objects] = [virtualClock(), memoryObjects()];
  const keeping = changed(
    createKeeping({
      places: fleetPlaces,
      member: "gold-1",
      members: () => (state === undefined ? [] : [{ name: "gold-2", state }]),
      objects,
      clock,
      random: () => 0.5,
    }),
  );
  const other = createManifests(fleetPlaces, "gold-2", objects);
  return { clock, objects, keeping, other, ...ends(deskScene(clock, { keeping, limits })) };
}

type Scene = ReturnType<typeof scene>;
const idOf = (told: Awaited<ReturnType<Scene["order"]>>): string => {
  if (!("job" in told)) throw new Error(JSON.stringify(told));
  return told.job.id;
};
const manifestsIn = ({ objects }: Scene) =>
  objects
    .keys()
    .filter((key) => key.startsWith("m/jobs/"))
    .map((key) => JSON.parse(objects.text(key) ?? ""));

test("a job that is accepted is in S3 as it is stored, with the place of its result", async () => {
  const all = scene();
  const id = idOf(await all.order());
  expect(manifestsIn(all)).toMatchObject([
    { id, member: "gold-1", owner: "lobby", model: "story-70b", state: "open", output_key: `jobs/${id}.out` },
  ]);
  expect(all.desk.durability).toBe("fleet");
});

test("a job that could not be put into S3 is not accepted, and its caller is told why", async () => {
  const all = scene();
  all.objects.fail("network", Number.POSITIVE_INFINITY);
  expect(await all.order()).toMatchObject({
    code: "job_store_unavailable",
    message: expect.stringContaining("as asked for"),
    retryAfterMs: expect.any(Number),
  });
  expect(all.store.counts().accepted).toBe(0);
});

test("S3 is waited for a bounded time", async () => {
  const keep: Manifests["keep"] = (_, cut) =>
    new Promise((resolve) =>
      cut.addEventListener("abort", () => resolve({ kind: "trouble", trouble: "cut", why: "too long" })),
    );
  const { order, clock } = scene({
    keeping: (keeping) => ({ ...keeping, manifests: { ...keeping.manifests, keep } }),
  });
  let told: unknown;
  void order().then((each) => {
    told = each;
  });
  await clock.advance(secureRule.keepMostMs - 1);
  expect(told).toBeUndefined();
  await clock.advance(1);
  expect(told).toMatchObject({ code: "job_store_unavailable" });
});

test("a job that the store then has no place for is withdrawn from S3, for its caller is told that it is not accepted", async () => {
  const all = scene({ limits: { ...roomy, queuedMost: 1 } });
  const id = idOf(await all.order());
  expect(await all.order()).toMatchObject({ code: "tier_overloaded" });
  const states = manifestsIn(all).map((manifest) => [manifest.id === id, manifest.state]);
  expect(states.toSorted()).toEqual([
    [false, "withdrawn"],
    [true, "open"],
  ]);
});

test("a key whose order found no place is accepted when there is one, with all of its time before it", async () => {
  const all = scene({ limits: { ...roomy, queuedMost: 1 } });
  const first = idOf(await all.order());
  expect(await all.order({ idempotencyKey: "k" })).toMatchObject({ code: "tier_overloaded" });
  await all.clock.advance(30 * 60_000);
  await all.desk.cancel(first, "lobby");
  const told = await all.order({ idempotencyKey: "k" });
  expect(told).toMatchObject({ kind: "accepted", job: { acceptedAtMs: all.clock.wallMs() } });
  expect(await all.order({ idempotencyKey: "k" })).toMatchObject({ kind: "same", job: { id: idOf(told) } });
  expect(manifestsIn(all).filter(({ id }) => id !== first)).toMatchObject([
    { id: idOf(told), state: "open", accepted_at_ms: all.clock.wallMs() },
  ]);
});

test("an idempotency key is the same job's, and with another request is refused", async () => {
  const { order } = scene();
  const id = idOf(await order({ idempotencyKey: "k" }));
  expect(await order({ idempotencyKey: "k" })).toMatchObject({ kind: "same", job: { id } });
  expect(await order({ idempotencyKey: "k", ttlMs: 1000 })).toMatchObject({ code: "idempotency_mismatch" });
});

test("a key whose order found no place is nobody's to do until it is asked again, here or where this host is gone", async () => {
  const all = scene({ limits: { ...roomy, queuedMost: 0 } });
  expect(await all.order({ idempotencyKey: "k" })).toMatchObject({ code: "tier_overloaded" });
  const [{ id, state }] = manifestsIn(all);
  expect(state).toBe("withdrawn");
  expect(await all.other.take(id, "gold-1", signal)).toEqual({ kind: "missing" });
  // gold-2 is asked with that key when gold-1 is gone.
  expect(await all.other.keep(newJob(1, { id }), signal)).toBeUndefined();
  expect(manifestsIn(all)).toMatchObject([{ id, member: "gold-2", state: "open" }]);
  await all.keeping.manifests.withdraw(newJob(1, { id }), signal);
  expect(manifestsIn(all)).toMatchObject([{ id, member: "gold-2", state: "open" }]);
});

test("a job of which S3 says nothing in time is withdrawn though its manifest arrives later, and its caller is told what to do", async () => {
  for (const idempotencyKey of [undefined, "k"]) {
    const all = scene();
    const late = Promise.withResolvers<void>();
    const { put } = all.objects;
    all.objects.put = async (place, bytes, condition, cut) => {
      if (!place.key.startsWith("m/jobs/")) return put(place, bytes, condition, cut);
      all.objects.put = put;
      void late.promise.then(() => put(place, bytes, condition, signal));
      return await new Promise((resolve) =>
        cut.addEventListener("abort", () => resolve({ kind: "trouble", trouble: "cut", why: "cut short" })),
      );
    };
    const told = all.order({ idempotencyKey });
    await all.clock.advance(secureRule.keepMostMs);
    expect(await told).toMatchObject({
      code: "job_store_unavailable",
      message: expect.stringMatching(
        /did not take this one within 5 s, so it was not accepted\. Nobody does it unless you ask again.*Idempotency-Key/,
      ),
    });
    late.resolve();
    await all.clock.settle();
    expect(manifestsIn(all).map(({ state }) => state)).toEqual(["withdrawn"]);
    const again = await all.order({ idempotencyKey });
    expect(again.kind).toBe("accepted");
    const { state } = manifestsIn(all).find(({ id }) => id === idOf(again));
    expect(state).toBe("open");
  }
});

test("a job that could not be withdrawn is withdrawn when S3 is back, and its caller is told that nobody knows", async () => {
  const all = scene({ limits: { ...roomy, queuedMost: 1 } });
  const first = idOf(await all.order());
  let isAway = true;
  const { get, put } = all.objects;
  const away = { kind: "trouble", trouble: "network", why: "away" } as const;
  all.objects.put = async (place, bytes, condition, cut) => {
    const stored = await put(place, bytes, condition, cut);
    return place.key.startsWith("m/jobs/") && isAway ? away : stored;
  };
  all.objects.get = async (...asked) => (isAway ? away : get(...asked));
  expect(await all.order({ idempotencyKey: "k" })).toMatchObject({
    code: "job_store_unavailable",
    message: expect.stringMatching(
      /away Whether it will be done all the same is not known\. .*it is the same job/,
    ),
  });
  const states = () => manifestsIn(all).flatMap(({ id, state }) => (id === first ? [] : [state]));
  expect(states()).toEqual(["open"]);
  isAway = false;
  await all.clock.advance(10_000);
  expect(states()).toEqual(["withdrawn"]);
});

test("an order is not withdrawn by one of the same key that was refused a moment before", async () => {
  const all = scene({ limits: { ...roomy, queuedMost: 1 } });
  const first = idOf(await all.order());
  const stalled = Promise.withResolvers<void>();
  let puts = 0;
  all.objects.beforePut = (key) => {
    if (!key.startsWith("m/jobs/")) return;
    puts += 1;
    // The second is the withdrawal of the first order.
    return puts === 2 ? stalled.promise : undefined;
  };
  const refused = all.order({ idempotencyKey: "k" });
  await all.clock.settle();
  const accepted = all.order({ idempotencyKey: "k" });
  await all.clock.settle();
  await all.desk.cancel(first, "lobby");
  stalled.resolve();
  expect(await refused).toMatchObject({ code: "tier_overloaded" });
  const id = idOf(await accepted);
  await all.clock.advance(120_000);
  expect(manifestsIn(all).find((manifest) => manifest.id === id)).toMatchObject({ state: "open" });
});

test("who asks with one key again and again while S3 is silent does not wait for all who asked before", async () => {
  const { objects, clock, order } = scene();
  const silent = (cut: AbortSignal) =>
    new Promise<CallTrouble>((resolve) =>
      cut.addEventListener("abort", () => resolve({ kind: "trouble", trouble: "cut", why: "cut short" })),
    );
  const { get, put } = objects;
  objects.put = (_place, _bytes, _condition, cut) => silent(cut);
  objects.get = (_place, _most, cut) => silent(cut);
  let told = 0;
  const asks = Array.from({ length: 20 }, async () => {
    const answer = await order({ idempotencyKey: "k" });
    expect(answer).toMatchObject({
      code: "job_store_unavailable",
      message: expect.stringContaining("is not known"),
    });
    told += 1;
  });
  await clock.advance(secureRule.keepMostMs + secureRule.withdrawMostMs);
  expect(told).toBe(20);
  await Promise.all(asks);
  Object.assign(objects, { get, put });
  expect(await order({ idempotencyKey: "k" })).toMatchObject({ kind: "accepted" });
});

test("nobody is told that a job is not done whose key cannot be looked up, for it may have been accepted before", async () => {
  const all = scene();
  await all.order({ idempotencyKey: "k" });
  all.objects.fail("network", 1);
  expect(await all.order({ idempotencyKey: "k" })).toMatchObject({
    code: "job_store_unavailable",
    message: expect.stringMatching(/is not known\. Ask again with the same Idempotency-Key/),
  });
});

test("a key that is known here, and is not in S3 any more, leaves nothing there for others to do", async () => {
  const all = scene();
  const id = idOf(await all.order({ idempotencyKey: "k" }));
  for (const key of all.objects.keys()) if (key.startsWith("m/keys/")) all.objects.remove(key);
  for (let times = 0; times < 2; times += 1) {
    expect(await all.order({ idempotencyKey: "k" })).toMatchObject({ kind: "same", job: { id } });
    const open = manifestsIn(all).filter(({ state }) => state === "open");
    expect(open).toMatchObject([{ id }]);
  }
});

test("a job that was accepted before its host lost its disk is not withdrawn when its key finds no place", async () => {
  const all = claimed(ours.id, undefined, { ...roomy, queuedMost: 0 });
  await all.keeping.manifests.keep(ours, signal);
  expect(await all.order({ idempotencyKey: "k" })).toMatchObject({ code: "tier_overloaded" });
  expect(manifestsIn(all)).toMatchObject([{ id: ours.id, state: "open" }]);
});

const theirs = `job_gold-2_${"0".repeat(26)}`;

test("an idempotency key that another host has claimed is that host's to answer for", async () => {
  const { order, store } = claimed(theirs, "alive");
  expect(await order({ idempotencyKey: "k" })).toEqual({ kind: "elsewhere", id: theirs, member: "gold-2" });
  expect(store.counts().accepted).toBe(0);
});

test("a key that another host claimed before it died gives that job to who is asked again, and it is found as its own", async () => {
  const all = claimed(theirs, "dead");
  const told = await all.order({ idempotencyKey: "k" });
  expect([told.kind, idOf(told)]).toEqual(["accepted", theirs]);
  expect(manifestsIn(all)).toMatchObject([{ id: theirs, member: "gold-1", state: "open" }]);
  expect(await all.keeping.manifests.heldBy("gold-1", 0, signal)).toMatchObject({ ids: [theirs] });
  expect(await all.order({ idempotencyKey: "k" })).toMatchObject({ kind: "same", job: { id: theirs } });
});

test("a key whose host was thought dead, and has accepted the job meanwhile, is not accepted twice", async () => {
  const all = claimed(theirs, "dead");
  const { read } = all.keeping.manifests;
  all.keeping.manifests.read = async (id, cut) => {
    all.keeping.manifests.read = read;
    const before = await read(id, cut);
    await all.other.keep(newJob(1, { id: theirs }), cut);
    return before;
  };
  expect(await all.order({ idempotencyKey: "k" })).toMatchObject({ code: "job_store_unavailable" });
  expect(all.store.counts().accepted).toBe(0);
  expect(await all.order({ idempotencyKey: "k" })).toMatchObject({ kind: "elsewhere", member: "gold-2" });
});

/** A key that is claimed for a job of that id, and nothing more. */
function claimed(id: string, other?: "alive" | "dead", limits = roomy) {
  const all = scene({
    limits,
    ...(other !== undefined && { other }),
    keeping: (keeping) => ({
      ...keeping,
      async claim(idempotency, asked, cut) {
        await keeping.claim(idempotency, id, cut);
        return keeping.claim(idempotency, asked, cut);
      },
    }),
  });
  return all;
}

test("a key of ours whose job a crash has lost gives that job its id", async () => {
  const all = claimed(ours.id);
  const told = await all.order({ idempotencyKey: "k" });
  expect([told.kind, idOf(told)]).toEqual(["accepted", ours.id]);
  expect(manifestsIn(all)).toMatchObject([{ id: ours.id, state: "open" }]);
  expect(await all.order({ idempotencyKey: "k" })).toMatchObject({ kind: "same", job: { id: ours.id } });
  await all.clock.settle();
  expect(manifestsIn(all)).toMatchObject([{ id: ours.id, state: "open" }]);
});

test("a key of ours whose job was kept and not accepted has it accepted now", async () => {
  const all = claimed(ours.id);
  await all.keeping.manifests.keep(ours, signal);
  expect(idOf(await all.order({ idempotencyKey: "k" }))).toBe(ours.id);
});

test("a key of ours whose job another host has adopted, or ended, is not begun a second time", async () => {
  const taken = claimed(ours.id);
  await taken.keeping.manifests.keep(ours, signal);
  await taken.other.take(ours.id, "gold-1", signal);
  expect(await taken.order({ idempotencyKey: "k" })).toEqual({
    kind: "elsewhere",
    id: ours.id,
    member: "gold-2",
  });
  const ended = claimed(ours.id);
  await ended.keeping.manifests.keep(ours, signal);
  await ended.keeping.manifests.close(ours.id, { state: "failed", endedAtMs: 0 }, signal);
  expect(await ended.order({ idempotencyKey: "k" })).toMatchObject({ kind: "elsewhere", id: ours.id });
  for (const { store } of [taken, ended]) expect(store.counts().accepted).toBe(0);
});

test("a key of another host whose job was adopted here is answered for here", async () => {
  const theirs = `job_gold-2_${"0".repeat(26)}`;
  const all = claimed(theirs);
  await all.lane.adopt({ ...ours, id: theirs });
  expect(await all.order({ idempotencyKey: "k" })).toMatchObject({ kind: "same", job: { id: theirs } });
});

test("a key that cannot be claimed, for S3 is away, is not accepted", async () => {
  const all = scene();
  all.objects.fail("throttled", 1);
  expect(await all.order({ idempotencyKey: "k" })).toMatchObject({ code: "job_store_unavailable" });
  expect(all.objects.keys()).toEqual([]);
});

/** gold-1 has claimed the key `k` and stands still before it has put anything else. */
async function stuckScene() {
  const fleet = ends(jobFleet());
  fleet.works = false;
  const [gold1, gold2, gold3] = [fleet.host("gold-1"), fleet.host("gold-2"), fleet.host("gold-3")];
  await fleet.clock.advance(1000);
  const { promise: moves, resolve: move } = Promise.withResolvers<void>();
  fleet.objects.beforePut = (key) => {
    if (!key.startsWith("in/")) return;
    fleet.objects.beforePut = undefined;
    return moves;
  };
  const late = gold1.order("k").catch((error: unknown) => String(error));
  await fleet.clock.settle();
  expect(fleet.objects.keys().filter((key) => key.startsWith("m/keys/"))).toHaveLength(1);
  fleet.heard.set("gold-1", "dead");
  const rows = () =>
    [gold1, gold2, gold3].map(({ store }) => store.counts().accepted + store.counts().submitted);
  return { fleet, gold1, gold2, gold3, move, late, rows };
}

test("a key whose host has died before it put the job anywhere is taken up by one of those who are asked again", async () => {
  const { fleet, gold2, gold3, rows } = await stuckScene();
  const both = await Promise.allSettled([gold2.order("k"), gold3.order("k")]);
  const ids = both.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  expect(ids).toEqual([expect.stringMatching(/^job_gold-1_/)]);
  expect(rows().reduce((sum, many) => sum + many)).toBe(1);
  await fleet.clock.advance(5_000);
  const winner = both[0]?.status === "fulfilled" ? gold2 : gold3;
  expect([await winner.order("k")]).toEqual(ids);
});

test("a host that was only slow accepts no job of a key that another has taken up meanwhile", async () => {
  const { fleet, gold1, gold2, move, late, rows } = await stuckScene();
  const id = await gold2.order("k");
  fleet.heard.set("gold-1", "alive");
  move();
  expect(await late).toContain("job_store_unavailable");
  expect(rows()).toEqual([0, 1, 0]);
  expect(await gold1.order("k").catch(String)).toContain(`"member":"gold-2"`);
  expect(await gold2.order("k")).toBe(id);
});
