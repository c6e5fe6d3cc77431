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
  expect(await other.leftMs("gold-1", signal)).toEqual({ kind: "left", ms: 1 });
  await clock.advance(1);
  expect(await other.leftMs("gold-1", signal)).toEqual({ kind: "left", ms: 0 });
});

test("a lease that is renewed holds on", async () => {
  const { clock, leasesOf } = scene();
  for (let times = 0; times < 10; times += 1) {
    await leasesOf("gold-1").renew(signal);
    await clock.advance(leaseRule.renewEveryMs);
  }
  expect(await leasesOf("gold-2").leftMs("gold-1", signal)).toEqual({
    kind: "left",
    ms: leaseRule.lengthMs + leaseRule.skewMs - leaseRule.renewEveryMs,
  });
});

test("a host thinks its lease no longer than the others do, however slowly it was written", async () => {
  const { clock, leasesOf, objects } = scene();
  objects.beforePut = () => clock.advance(5000);
  const held = await leasesOf("gold-1").renew(signal);
  const seen = await leasesOf("gold-2").leftMs("gold-1", signal);
  if (held.kind !== "until" || seen.kind !== "left") throw new Error(`${held.kind} ${seen.kind}`);
  expect(clock.wallMs() + seen.ms).toBe(held.wallMs + leaseRule.skewMs);
});

test("a host that never had a lease holds nothing, and where it cannot be read nobody knows", async () => {
  const { objects, leasesOf } = scene();
  const leases = leasesOf("gold-2");
  expect(await leases.leftMs("gold-1", signal)).toEqual({ kind: "left", ms: 0 });
  await objects.put({ bucket: "bucket", key: "m/leases/gold-1" }, Buffer.from("{}"), "always", signal);
  expect(await leases.leftMs("gold-1", signal)).toMatchObject({ kind: "trouble" });
  objects.fail("network", 2);
  expect(await leases.leftMs("gold-1", signal)).toMatchObject({ kind: "trouble", trouble: "network" });
  expect(await leases.renew(signal)).toMatchObject({ kind: "trouble", trouble: "network" });
});
