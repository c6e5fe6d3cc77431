import { expect, test } from "bun:test";
import { createLeases, leaseRule } from "../../src/jobs/lease.ts";
import { memoryObjects } from "../support/memory-objects.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const place = { bucket: "bucket", key: "m" };
const { signal } = new AbortController();

function scene() {
  const [objects, clock] = [memoryObjects(), virtualClock()];
  return { objects, clock, leasesOf: (member: string) => createLeases(place, member, objects, clock) };
}

test("a lease holds for its length, and for the others as much longer as clocks may differ", async () => {
  const { clock, leasesOf } = scene();
  const held = await leasesOf("gold-1").renew(signal);
  expect(held).toEqual({ kind: "until", wallMs: clock.wallMs() + leaseRule.lengthMs });
  const other = leasesOf("gold-2");
  await clock.advance(leaseRule.lengthMs + leaseRule.skewMs - 1);
  expect(await other.read("gold-1", signal)).toMatchObject({ member: "gold-1", leftMs: 1 });
  await clock.advance(1);
  expect(await other.read("gold-1", signal)).toMatchObject({ member: "gold-1", leftMs: 0 });
});

test("a lease that is renewed holds on", async () => {
  const { clock, leasesOf } = scene();
  for (let times = 0; times < 10; times += 1) {
    await leasesOf("gold-1").renew(signal);
    await clock.advance(leaseRule.renewEveryMs);
  }
  expect(await leasesOf("gold-2").read("gold-1", signal)).toMatchObject({
    leftMs: leaseRule.lengthMs + leaseRule.skewMs - leaseRule.renewEveryMs,
  });
});

test("a host thinks its lease no longer than the others do, however slowly it was written", async () => {
  const { clock, leasesOf, objects } = scene();
  objects.beforePut = () => clock.advance(5000);
  const held = await leasesOf("gold-1").renew(signal);
  const seen = await leasesOf("gold-2").read("gold-1", signal);
  if (held.kind !== "until" || seen.kind !== "found") throw new Error(`${held.kind} ${seen.kind}`);
  expect(seen.untilMs).toBe(held.wallMs);
  expect(clock.wallMs() + seen.leftMs).toBe(held.wallMs + leaseRule.skewMs);
});

test("a host that never had a lease is told from one whose lease cannot be read", async () => {
  const { objects, leasesOf } = scene();
  const leases = leasesOf("gold-2");
  expect(await leases.read("gold-1", signal)).toEqual({ kind: "missing" });
  await objects.put({ bucket: "bucket", key: "m/leases/gold-1" }, Buffer.from("{}"), "always", signal);
  expect(await leases.read("gold-1", signal)).toMatchObject({ kind: "trouble", trouble: "refused" });
  objects.fail("network", 3);
  expect(await leases.read("gold-1", signal)).toMatchObject({ kind: "trouble", trouble: "network" });
  expect(await leases.renew(signal)).toMatchObject({ kind: "trouble", trouble: "network" });
  expect(await leases.list(signal)).toMatchObject({ kind: "trouble", trouble: "network" });
});

test("all who have a lease are listed, and a lease tells the name that its host calls itself", async () => {
  const { objects, leasesOf } = scene();
  for (const name of ["gold-1", "gold 2"]) await leasesOf(name).renew(signal);
  await objects.put({ bucket: "bucket", key: "m/leases2/x" }, Buffer.from("{}"), "always", signal);
  const leases = leasesOf("gold-3");
  expect(await leases.list(signal)).toEqual({ kind: "names", names: ["gold-1", "gold_2"], isCut: false });
  expect(await leases.read("gold_2", signal)).toMatchObject({ kind: "found", member: "gold 2" });
});
