// Callers who leave by the thousand, behind the compiled binary: before the answer, in the middle of it, in the middle of
// their own question. What they leave behind must be nothing.

import { expect, test } from "bun:test";
import type { SimulatedEngine } from "../../playground/simulated-engine.ts";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { askOn } from "../support/ask-on.ts";
import { until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { longRun } from "../support/failures.ts";
import { leavers } from "../support/leavers.ts";
import { measured } from "../support/measured.ts";
import type { Tierline } from "../support/tierline.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

const seconds = longRun ? 60 : 4;
const perSecond = 1000;

const openFds = (tierline: Tierline): Promise<number> => tierline.metric("process_open_fds");
const resident = (tierline: Tierline): Promise<number> => tierline.metric("process_resident_memory_bytes");

async function untilFree(tierline: Tierline, engines: readonly SimulatedEngine[]): Promise<void> {
  const isFree = ({ stats }: SimulatedEngine): boolean => stats().running === 0 && stats().waiting === 0;
  await until("the engines are free", () => engines.every(isFree), 10_000);
  await until("no slot is taken", async () => (await tierline.metric("tierline_inflight")) === 0);
}

test(`${perSecond} callers a second who leave before the answer, in it or in their own question: every engine is freed, nothing leaks, and others do not notice (fault 33)`, async () => {
  const gold = ends(
    await startSimulatedEngine({ model: "small", msPerToken: 20, maxNumSeqs: 1024, recorded: 1 }),
  );
  const silver = ends(await startSimulatedEngine({ model: "large", msPerToken: 1, recorded: 1 }));
  const slots = "max_concurrent = 1000\nmax_queue = 1000";
  const tierline = ends(
    await startTierline({ config: engineToml("gold", gold.url, slots) + engineToml("silver", silver.url) }),
  );
  const fdsBefore = await openFds(tierline);
  // What is allocated once is allocated now.
  await leavers({ url: tierline.url, perSecond, seconds: 2 });
  await untilFree(tierline, [gold, silver]);
  const bytesBefore = await resident(tierline);
  let goesOn = true;
  setTimeout(() => {
    goesOn = false;
  }, 2000);
  const alone = await askOn(tierline.url, () => goesOn);

  const cancelled = (): Promise<number> =>
    tierline.metric("tierline_attempts_total", { outcome: "cancelled" });
  const cancelledBefore = await cancelled();
  let leaving = true;
  const [left, beside] = await Promise.all([
    leavers({ url: tierline.url, perSecond, seconds }).finally(() => {
      leaving = false;
    }),
    askOn(tierline.url, () => leaving),
  ]);
  // Whatever the machine makes of the rate.
  expect(left.left).toBeGreaterThan(0.25 * perSecond * seconds);
  expect(left.inAnswer).toBeGreaterThan(0.1 * left.left);
  await untilFree(tierline, [gold, silver]);
  // A connection to an engine is kept for four seconds.
  let fdsAfter = Number.NaN;
  await until(
    "descriptors are as before",
    async () => {
      fdsAfter = await openFds(tierline);
      return fdsAfter <= fdsBefore + 10;
    },
    10_000,
  );
  // Who leaves in its own question has not asked yet, and on a busy machine some leave before they are heard.
  const freed = (await cancelled()) - cancelledBefore;
  expect(freed).toBeGreaterThan(0.15 * left.left);
  const grownMb = ((await resident(tierline)) - bytesBefore) / 1e6;
  expect(grownMb).toBeLessThan(40);
  expect([alone.failed, beside.failed]).toEqual([0, 0]);
  expect(beside.p99Ms).toBeLessThan(Math.max(5 * alone.p99Ms, 300));
  expect(await tierline.metric("tierline_requests_total", { outcome: "left" })).toBeGreaterThan(freed / 2);
  expect(await tierline.metric("tierline_breaker_state")).toBe(0);
  measured(
    33,
    `${left.left} callers left within ${Math.round(left.tookSeconds)} s, ${left.inAnswer} of them in their answer; ${freed} engine calls were cancelled and none was left over, descriptors ${fdsBefore} before and ${fdsAfter} after, memory ${grownMb >= 0 ? "+" : ""}${grownMb.toFixed(0)} MB; p99 of others ${alone.p99Ms.toFixed(0)} ms without them, ${beside.p99Ms.toFixed(0)} ms beside them`,
  );
}, 180_000);
