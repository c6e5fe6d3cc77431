// Leases, adoption and what a host learns that was away: hosts with their own disks over one S3.

import { describe, expect, test } from "bun:test";
import { goneHostsRule, rankOf } from "../../src/jobs/gone-hosts.ts";
import { createJobIds } from "../../src/jobs/job-id.ts";
import { leaseRule } from "../../src/jobs/lease.ts";
import { manifestReachMs } from "../../src/jobs/manifest.ts";
import { readS3Url } from "../../src/jobs/objects.ts";
import { troubleOf } from "../../src/jobs/trouble.ts";
import { cleanup } from "../support/cleanup.ts";
import { answer } from "../support/desk-scene.ts";
import type { JobFleet, JobHost } from "../support/job-fleet.ts";
import { jobFleet } from "../support/job-fleet.ts";
import { newJob } from "../support/job-place.ts";

const { signal } = new AbortController();
const ends = cleanup();
const fleetOf = (): JobFleet => ends(jobFleet());

/** Long enough for a lease to be over, and for a round to see it. */
const leaseOverMs = leaseRule.lengthMs + leaseRule.skewMs + 1_000;
const stateAt = (host: JobHost, id: string): string => {
  const found = host.store.get(id);
  return found.kind === "found" ? (found.value?.state ?? "no row") : found.kind;
};
const adoptedBy = (host: JobHost): readonly string[] =>
  host.told.flatMap((event) => (event.kind === "adopted" ? [event.id] : []));
const lostBy = (host: JobHost) => host.laneTold.filter(({ kind }) => kind === "lost");
/** As the others see it. */
const leaseLeftMs = async ({ keeping, name }: JobHost): Promise<number> => {
  const lease = await keeping.leases.read(name, signal);
  return lease.kind === "found" ? lease.leftMs : 0;
};
const manifestOf = (fleet: JobFleet, id: string) =>
  JSON.parse(fleet.objects.text(`m/jobs/${id.slice(4, -27)}/${id.slice(-26)}`) ?? "{}");

describe("the jobs of a host that is gone, with its disk", () => {
  test.each(["dead", "left"] as const)("and heard of as %s, end on another, each once", async (state) => {
    const fleet = fleetOf();
    fleet.works = false;
    const [gold1, gold2] = [fleet.host("gold-1"), fleet.host("gold-2")];
    await fleet.clock.advance(1000);
    const ids = [await gold1.order(), await gold1.order(), await gold1.order()];
    await fleet.clock.advance(1000);
    fleet.kill(gold1);
    fleet.heard.set("gold-1", state);
    fleet.works = true;
    await fleet.clock.advance(30_000);
    expect(adoptedBy(gold2).toSorted()).toEqual(ids);
    await fleet.clock.advance(30_000);
    for (const id of ids) {
      expect(gold2.desk.get(id, "lobby")).toMatchObject({
        kind: "found",
        job: { state: "done", owner: "lobby" },
        result: new Uint8Array(answer),
      });
      expect(manifestOf(fleet, id)).toMatchObject({ member: "gold-2", fence: 2, state: "done" });
    }
    expect(lostBy(gold2)).toEqual([]);
  });

  test("are left alone while its lease holds, and while it is only suspected", async () => {
    const fleet = fleetOf();
    fleet.works = false;
    const [gold1, gold2] = [fleet.host("gold-1"), fleet.host("gold-2")];
    await fleet.clock.advance(1000);
    await gold1.order();
    fleet.kill(gold1);
    fleet.heard.set("gold-1", "dead");
    await fleet.clock.advance(leaseRule.lengthMs - leaseRule.renewEveryMs);
    expect(gold2.told).toEqual([]);
    fleet.heard.set("gold-1", "suspect");
    await fleet.clock.advance(10 * leaseOverMs);
    expect(gold2.told).toEqual([]);
    fleet.heard.set("gold-1", "dead");
    await fleet.clock.advance(5_000);
    expect(adoptedBy(gold2)).toHaveLength(1);
  });

  test("are shared among the others: each job is had, and tried for, by one", async () => {
    const fleet = fleetOf();
    fleet.works = false;
    const [gold1, gold2] = [fleet.host("gold-1"), fleet.host("gold-2")];
    await fleet.clock.advance(10_000);
    const others = [gold2, fleet.host("gold-3"), fleet.host("gold-4")];
    await fleet.clock.advance(10_000);
    const ids: string[] = [];
    for (let count = 0; count < 60; count += 1) ids.push(await gold1.order());
    fleet.kill(gold1);
    fleet.heard.set("gold-1", "dead");
    await fleet.clock.advance(leaseOverMs + 1_000);
    const before = others.map((host) => adoptedBy(host).length);
    expect(Math.min(...before)).toBeGreaterThan(0);
    await fleet.clock.advance(30_000);
    expect(others.map((host) => adoptedBy(host).length)).toEqual(before);
    expect(others.flatMap(adoptedBy).toSorted()).toEqual(ids.toSorted());
    const tries = fleet.objects.keys().filter((key) => key.startsWith("m/adopted/"));
    expect(tries).toHaveLength(ids.length);
  });

  test("go to the next in line where the first dies over them", async () => {
    const fleet = fleetOf();
    fleet.works = false;
    const [gold1, gold2, gold3] = [fleet.host("gold-1"), fleet.host("gold-2"), fleet.host("gold-3")];
    await fleet.clock.advance(1000);
    const ids: string[] = [];
    for (let count = 0; count < 10; count += 1) ids.push(await gold1.order());
    fleet.kill(gold1);
    // It counts as alive to gold-3, and will do nothing.
    fleet.kill(gold2);
    fleet.heard.set("gold-1", "dead");
    await fleet.clock.advance(leaseOverMs);
    const first = adoptedBy(gold3).length;
    expect(first).toBeLessThan(10);
    await fleet.clock.advance(goneHostsRule.perRankMs + 2_000);
    expect(adoptedBy(gold3).toSorted()).toEqual(ids.toSorted());
  });

  test("which it had adopted itself are adopted on", async () => {
    const fleet = fleetOf();
    fleet.works = false;
    const [gold1, gold2] = [fleet.host("gold-1"), fleet.host("gold-2")];
    await fleet.clock.advance(1000);
    const id = await gold1.order();
    fleet.kill(gold1);
    fleet.heard.set("gold-1", "dead");
    await fleet.clock.advance(leaseOverMs);
    expect(adoptedBy(gold2)).toEqual([id]);
    const gold3 = fleet.host("gold-3");
    fleet.kill(gold2);
    fleet.heard.set("gold-2", "dead");
    await fleet.clock.advance(leaseOverMs);
    expect(adoptedBy(gold3)).toEqual([id]);
    expect(manifestOf(fleet, id)).toMatchObject({ member: "gold-3", fence: 3 });
  });

  test("are found by its lease where gossip knows nothing of it", async () => {
    const fleet = fleetOf();
    fleet.works = false;
    const gold1 = fleet.host("gold-1");
    await fleet.clock.advance(1000);
    const id = await gold1.order();
    fleet.kill(gold1);
    fleet.heard.delete("gold-1");
    await fleet.clock.advance(leaseOverMs);
    const gold2 = fleet.host("gold-2");
    await fleet.clock.advance(3_000);
    expect(adoptedBy(gold2)).toEqual([id]);
  });

  test("are adopted though its clock was an hour ahead", async () => {
    const fleet = fleetOf();
    fleet.works = false;
    const [gold1, gold2] = [fleet.host("gold-1"), fleet.host("gold-2")];
    await fleet.clock.advance(1000);
    const id = await gold1.order();
    fleet.kill(gold1);
    const until = fleet.clock.wallMs() + 3_600_000;
    const lease = JSON.stringify({ member: "gold-1", until_ms: until });
    await fleet.objects.put({ bucket: "", key: "m/leases/gold-1" }, Buffer.from(lease), "always", signal);
    fleet.heard.set("gold-1", "dead");
    await fleet.clock.advance(30_000);
    expect(adoptedBy(gold2)).toEqual([id]);
  });

  test("are not adopted by a host that drains", async () => {
    const fleet = fleetOf();
    fleet.works = false;
    const [gold1, gold2] = [fleet.host("gold-1"), fleet.host("gold-2")];
    await fleet.clock.advance(1000);
    await gold1.order();
    gold2.mayAdopt = false;
    fleet.kill(gold1);
    fleet.heard.set("gold-1", "dead");
    await fleet.clock.advance(2 * leaseOverMs);
    expect(adoptedBy(gold2)).toEqual([]);
    expect(await leaseLeftMs(gold2)).toBeGreaterThan(0);
  });

  test("wait while S3 is away, and are adopted when it is back", async () => {
    const fleet = fleetOf();
    fleet.works = false;
    const [gold1, gold2] = [fleet.host("gold-1"), fleet.host("gold-2")];
    await fleet.clock.advance(1000);
    const id = await gold1.order();
    fleet.kill(gold1);
    fleet.heard.set("gold-1", "dead");
    await fleet.clock.advance(10_000);
    fleet.objects.fail("network", Number.POSITIVE_INFINITY);
    await fleet.clock.advance(120_000);
    expect(adoptedBy(gold2)).toEqual([]);
    const troubles = gold2.told.filter(({ kind }) => kind === "trouble").length;
    expect(gold2.told).toContainEqual({ kind: "lease-lapsed" });
    // Backed off: two minutes at the pace of health would be more than a hundred.
    expect(troubles).toBeGreaterThan(3);
    expect(troubles).toBeLessThan(70);
    fleet.objects.fail("network", 0);
    expect(await leaseLeftMs(gold2)).toBe(0);
    await fleet.clock.advance(70_000);
    expect(adoptedBy(gold2)).toEqual([id]);
  });

  test("are asked about ever more seldom while S3 answers for nothing but leases", async () => {
    const fleet = fleetOf();
    fleet.works = false;
    const [gold1, gold2] = [fleet.host("gold-1"), fleet.host("gold-2")];
    await fleet.clock.advance(1000);
    const id = await gold1.order();
    fleet.kill(gold1);
    fleet.heard.set("gold-1", "dead");
    const { get } = fleet.objects;
    fleet.objects.get = (place, ...rest) =>
      place.key.startsWith("m/jobs/")
        ? Promise.resolve({ kind: "trouble", trouble: "server", why: "away" })
        : get(place, ...rest);
    await fleet.clock.advance(180_000);
    const troubles = gold2.told.filter(({ kind }) => kind === "trouble").length;
    expect(troubles).toBeGreaterThan(3);
    expect(troubles).toBeLessThan(10);
    fleet.objects.get = get;
    await fleet.clock.advance(75_000);
    expect(adoptedBy(gold2)).toEqual([id]);
  });

  test("that nobody can do, for their input is gone, have failed with that reason, and hold back none of the others", async () => {
    const fleet = fleetOf();
    fleet.works = false;
    const [gold1, gold2] = [fleet.host("gold-1"), fleet.host("gold-2")];
    await fleet.clock.advance(1000);
    const [lost, whole] = [await gold1.order(), await gold1.order()];
    const wire = manifestOf(fleet, lost);
    const spoilt = Buffer.from(JSON.stringify({ ...wire, input: "s3://bucket/gone" }));
    const key = `m/jobs/gold-1/${lost.slice(-26)}`;
    await fleet.objects.put({ bucket: "bucket", key }, spoilt, "always", signal);
    fleet.kill(gold1);
    fleet.heard.set("gold-1", "dead");
    await fleet.clock.advance(2 * leaseOverMs);
    expect(adoptedBy(gold2)).toEqual([whole]);
    const unadoptable = gold2.told.filter(({ kind }) => kind === "unadoptable");
    expect(unadoptable).toMatchObject([{ id: lost, why: expect.stringContaining("s3://bucket/gone") }]);
    expect(await gold2.keeping.seek(lost, "lobby", signal)).toMatchObject({
      job: { state: "failed", error: { code: "job_input_lost" }, endedAtMs: expect.any(Number) },
    });
  });
});

describe("a job that was taken, and could not be written down,", () => {
  /** gold-2 has won the job in S3 and does not know it, or has no place for it, when gold-1 comes back. */
  async function taken(by: "answer lost" | "disk full") {
    const fleet = fleetOf();
    fleet.works = false;
    const [before, gold2] = [fleet.host("gold-1"), fleet.host("gold-2")];
    await fleet.clock.advance(1000);
    const id = await before.order();
    await fleet.clock.advance(1000);
    const disk = fleet.kill(before);
    fleet.heard.set("gold-1", "dead");
    const { adopt } = gold2.store;
    const { put, get } = fleet.objects;
    const tooLong = { kind: "trouble", trouble: "cut", why: "too long" } as const;
    if (by === "disk full") {
      gold2.store.adopt = () => ({ kind: "unavailable", trouble: troubleOf("read-only") });
    } else {
      fleet.objects.put = async (place, ...rest) => {
        const stored = await put(place, ...rest);
        if (!place.key.startsWith("m/jobs/")) return stored;
        fleet.objects.get = (at, ...how) =>
          at.key.startsWith("m/jobs/") ? Promise.resolve(tooLong) : get(at, ...how);
        return tooLong;
      };
    }
    await fleet.clock.advance(leaseOverMs);
    expect(manifestOf(fleet, id)).toMatchObject({ member: "gold-2", fence: 2 });
    expect(adoptedBy(gold2)).toEqual([]);
    const gold1 = fleet.host("gold-1", disk);
    await fleet.clock.advance(1_500);
    gold2.store.adopt = adopt;
    Object.assign(fleet.objects, { put, get });
    await fleet.clock.advance(75_000);
    return { id, gold1, gold2 };
  }

  test.each(["disk full", "answer lost"] as const)(
    "for %s, is done by who took it though its host comes back",
    async (by) => {
      const { id, gold1, gold2 } = await taken(by);
      expect(stateAt(gold1, id)).toBe("no row");
      expect(stateAt(gold2, id)).toBe("submitted");
      expect(adoptedBy(gold2)).toEqual([id]);
    },
  );

  test("for the taking failed, stays its host's that comes back", async () => {
    const fleet = fleetOf();
    fleet.works = false;
    const [before, gold2] = [fleet.host("gold-1"), fleet.host("gold-2")];
    await fleet.clock.advance(1000);
    const id = await before.order();
    await fleet.clock.advance(1000);
    const disk = fleet.kill(before);
    fleet.heard.set("gold-1", "dead");
    const { put } = fleet.objects;
    fleet.objects.put = async (place, ...rest) =>
      place.key.startsWith("m/jobs/")
        ? { kind: "trouble", trouble: "cut", why: "too long" }
        : await put(place, ...rest);
    await fleet.clock.advance(leaseOverMs);
    const gold1 = fleet.host("gold-1", disk);
    await fleet.clock.advance(1_500);
    fleet.objects.put = put;
    await fleet.clock.advance(75_000);
    expect(manifestOf(fleet, id)).toMatchObject({ member: "gold-1", fence: 1 });
    expect([stateAt(gold1, id), stateAt(gold2, id)]).toEqual(["submitted", "no row"]);
  });
});

describe("who adopts", () => {
  test("is somebody else where all that were in line for a job have gone too", async () => {
    const fleet = fleetOf();
    fleet.works = false;
    const gold1 = fleet.host("gold-1");
    const others = ["gold-2", "gold-3", "gold-4", "gold-5", "gold-6"].map((name) => fleet.host(name));
    await fleet.clock.advance(1000);
    const id = await gold1.order();
    const names = new Set(others.map(({ name }) => name));
    const rank = ({ name }: JobHost) => rankOf(name, names, id);
    const [last, ...first] = others.toSorted((one, other) => rank(other) - rank(one));
    if (last === undefined) throw new Error("nobody is left");
    fleet.kill(gold1);
    fleet.heard.set("gold-1", "dead");
    for (const host of first) fleet.kill(host);
    await fleet.clock.advance(2 * leaseOverMs);
    expect(last.told).toEqual([]);
    for (const { name } of first) fleet.heard.set(name, "dead");
    await fleet.clock.advance(5_000);
    expect(adoptedBy(last)).toEqual([id]);
  });

  test("is not waited for among hosts that take no jobs", async () => {
    const fleet = fleetOf();
    fleet.works = false;
    const [gold1, gold2] = [fleet.host("gold-1"), fleet.host("gold-2")];
    for (let count = 0; count < 50; count += 1) fleet.heard.set(`web-${count}`, "alive");
    await fleet.clock.advance(1000);
    const ids = [await gold1.order(), await gold1.order(), await gold1.order()];
    fleet.kill(gold1);
    fleet.heard.set("gold-1", "dead");
    await fleet.clock.advance(leaseOverMs);
    expect(adoptedBy(gold2).toSorted()).toEqual(ids);
  });

  test("looks a host through once, and not at all where nothing can be left of it", async () => {
    const fleet = fleetOf();
    const gold2 = fleet.host("gold-2");
    const untilMs = fleet.clock.wallMs() - manifestReachMs - 1;
    for (const [name, until] of [
      ["ancient", untilMs],
      ["old", untilMs + 60_000],
    ] as const) {
      const lease = Buffer.from(JSON.stringify({ member: name, until_ms: until }));
      await fleet.objects.put({ bucket: "bucket", key: `m/leases/${name}` }, lease, "always", signal);
    }
    const listed: string[] = [];
    const { list } = fleet.objects;
    fleet.objects.list = (place, ...rest) => {
      listed.push(place.key);
      return list(place, ...rest);
    };
    await fleet.clock.advance(3 * goneHostsRule.listEveryMs);
    const jobs = listed.filter((key) => key.startsWith("m/jobs/"));
    expect(jobs.toSorted()).toEqual(["m/jobs/gold-2/", "m/jobs/old/"]);
    expect(gold2.told).toEqual([]);
  });
});

describe("a host that comes back", () => {
  test("after another has adopted its jobs forgets them, and wakes who waits for them", async () => {
    const fleet = fleetOf();
    fleet.works = false;
    const [before, gold2] = [fleet.host("gold-1"), fleet.host("gold-2")];
    await fleet.clock.advance(1000);
    const id = await before.order();
    await fleet.clock.advance(1000);
    const disk = fleet.kill(before);
    fleet.heard.set("gold-1", "dead");
    await fleet.clock.advance(leaseOverMs);
    expect(adoptedBy(gold2)).toEqual([id]);
    const gold1 = fleet.host("gold-1", disk);
    const waiting = gold1.desk.wait(id, "lobby", 60_000, signal);
    await fleet.clock.advance(3_000);
    expect(lostBy(gold1)).toEqual([{ kind: "lost", id, member: "gold-2" }]);
    expect(stateAt(gold1, id)).toBe("no row");
    expect(await waiting).toMatchObject({ kind: "elsewhere", id, member: "gold-2" });
    expect(gold1.desk.get(id, "lobby")).toEqual({ kind: "elsewhere", id, member: "gold-1" });
    fleet.works = true;
    await fleet.clock.advance(5_000);
    expect(manifestOf(fleet, id)).toMatchObject({ member: "gold-2" });
  });

  test("before its lease is over keeps its jobs, and asks S3 about none of them", async () => {
    const fleet = fleetOf();
    fleet.works = false;
    const before = fleet.host("gold-1");
    await fleet.clock.advance(1000);
    const id = await before.order();
    await fleet.clock.advance(1000);
    const disk = fleet.kill(before);
    await fleet.clock.advance(2_000);
    const reads: string[] = [];
    const { get } = fleet.objects;
    fleet.objects.get = (place, ...rest) => {
      reads.push(place.key);
      return get(place, ...rest);
    };
    const gold1 = fleet.host("gold-1", disk);
    await fleet.clock.advance(5_000);
    expect(reads.filter((key) => key.startsWith("m/"))).toEqual(["m/leases/gold-1"]);
    expect(stateAt(gold1, id)).not.toBe("no row");
  });

  test("with an empty disk takes its own jobs up again from S3", async () => {
    const fleet = fleetOf();
    const before = fleet.host("gold-1");
    await fleet.clock.advance(1000);
    fleet.works = false;
    const id = await before.order();
    await fleet.clock.advance(1000);
    fleet.kill(before);
    fleet.works = true;
    const gold1 = fleet.host("gold-1");
    await fleet.clock.advance(60_000);
    expect(gold1.desk.get(id, "lobby")).toMatchObject({ kind: "found", job: { state: "done" } });
    expect(manifestOf(fleet, id)).toMatchObject({ member: "gold-1", fence: 1, state: "done" });
  });

  test("leaves a job to the desk that is being accepted at that moment", async () => {
    const fleet = fleetOf();
    const gold1 = fleet.host("gold-1");
    const fresh = newJob(0, { id: createJobIds("gold-1", fleet.clock, () => 0.5)() });
    await gold1.keeping.manifests.keep(fresh, signal);
    await fleet.clock.advance(60_000);
    expect(gold1.told).toEqual([]);
    expect(stateAt(gold1, fresh.id)).toBe("no row");
  });

  test("that had no word with S3 for long learns after its lapse what it has lost", async () => {
    const fleet = fleetOf();
    fleet.works = false;
    const [gold1, gold2] = [fleet.host("gold-1"), fleet.host("gold-2")];
    await fleet.clock.advance(1000);
    const [lost, kept] = [await gold1.order(), await gold1.order()];
    await fleet.clock.advance(1000);
    const { put } = fleet.objects;
    fleet.objects.put = (place, ...rest) =>
      place.key === "m/leases/gold-1"
        ? Promise.resolve({ kind: "trouble", trouble: "network", why: "away" })
        : put(place, ...rest);
    await fleet.clock.advance(leaseOverMs);
    expect(gold1.told).toContainEqual({ kind: "lease-lapsed" });
    expect((await gold2.keeping.manifests.take(lost, "gold-1", signal)).kind).toBe("taken");
    expect(stateAt(gold1, lost)).not.toBe("no row");
    fleet.objects.put = put;
    await fleet.clock.advance(10_000);
    expect([stateAt(gold1, lost), stateAt(gold1, kept)]).toEqual(["no row", "submitted"]);
    expect(lostBy(gold1)).toEqual([{ kind: "lost", id: lost, member: "gold-2" }]);
  });
});

describe("an end", () => {
  test.each(["cancelled", "done"] as const)(
    "%s that was written into S3 and not on the disk, for the host crashed in between, is the end when it is back",
    async (state) => {
      const fleet = fleetOf();
      fleet.works = false;
      const before = fleet.host("gold-1");
      await fleet.clock.advance(1000);
      const id = await before.order();
      await fleet.clock.advance(1000);
      const disk = fleet.kill(before);
      await before.keeping.manifests.close(id, { state, endedAtMs: 0 }, signal);
      const result = readS3Url(manifestOf(fleet, id).output_key);
      if (result === undefined) throw new Error("no place for a result");
      await fleet.objects.put(result, answer, "always", signal);
      const gold1 = fleet.host("gold-1", disk);
      await fleet.clock.advance(40_000);
      expect(stateAt(gold1, id)).toBe(state);
      expect(fleet.invoked).toHaveLength(1);
    },
  );

  test("of a host that then died is known to the others, result and all, and adopted by none", async () => {
    const fleet = fleetOf();
    const [gold1, gold2] = [fleet.host("gold-1"), fleet.host("gold-2")];
    await fleet.clock.advance(1000);
    const id = await gold1.order();
    await fleet.clock.advance(20_000);
    expect(stateAt(gold1, id)).toBe("done");
    fleet.kill(gold1);
    fleet.heard.set("gold-1", "dead");
    await fleet.clock.advance(2 * leaseOverMs);
    expect(adoptedBy(gold2)).toEqual([]);
    expect(await gold2.desk.seek?.(id, "lobby", signal)).toMatchObject({
      kind: "found",
      job: { id, state: "done", endedAtMs: expect.any(Number) },
      result: new Uint8Array(answer),
    });
    expect(fleet.invoked).toHaveLength(1);
  });

  test("that is not the holder's to write is not shown: the job is another's", async () => {
    const fleet = fleetOf();
    fleet.works = false;
    const [gold1, gold2] = [fleet.host("gold-1"), fleet.host("gold-2")];
    await fleet.clock.advance(1000);
    const id = await gold1.order();
    await gold2.keeping.manifests.take(id, "gold-1", signal);
    expect(await gold1.desk.cancel(id, "lobby")).toEqual({ kind: "elsewhere", id, member: "gold-2" });
    expect(stateAt(gold1, id)).toBe("no row");
    expect(manifestOf(fleet, id)).toMatchObject({ member: "gold-2", state: "open" });
  });
});
