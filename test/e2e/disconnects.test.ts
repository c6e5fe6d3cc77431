// Callers who leave by the thousand, behind the compiled binary: before the answer, in the middle of it, in the middle of
// their own question. What they leave behind must be nothing.

import { expect, test } from "bun:test";
import type { SimulatedEngine } from "../../playground/simulated-engine.ts";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, messages, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { longRun } from "../support/failures.ts";
import { leavers } from "../support/leavers.ts";
import { measured } from "../support/measured.ts";
import type { Tierline } from "../support/tierline.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

const seconds = longRun ? 60 : 4;
const perSecond = 1000;

/** One after the other, for as long as `goesOn`. */
async function askOn(
  tierline: Tierline,
  goesOn: () => boolean,
): Promise<{ readonly p99Ms: number; readonly failed: number }> {
  const ms: number[] = [];
  let failed = 0;
  while (goesOn()) {
    const began = performance.now();
    const response = await chat(tierline.url, { model: "silver", messages, max_tokens: 4 });
    await response.text();
    if (response.status !== 200) failed += 1;
    ms.push(performance.now() - began);
    await Bun.sleep(5);
  }
  return { p99Ms: ms.sort((a, b) => a - b)[Math.floor(ms.length * 0.99)] ?? Number.NaN, failed };
}

const openFds = (tierline: Tierline): Promise<number> => tierline.metric("process_open_fds");
const resident = (tierline: Tierline): Promise<number> => tierline.metric("process_resident_memory_bytes");

async function untilFree(tierline: Tierline, engine: SimulatedEngine): Promise<void> {
  await until(
    "the engine is free",
    () => engine.stats().running === 0 && engine.stats().waiting === 0,
    10_000,
  );
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
  await untilFree(tierline, gold);
  const bytesBefore = await resident(tierline);
  let goesOn = true;
  setTimeout(() => {
    goesOn = false;
  }, 2000);
  const alone = await askOn(tierline, () => goesOn);

  const startedBefore = gold.stats().started;
  let leaving = true;
  const [left, beside] = await Promise.all([
    leavers({ url: tierline.url, perSecond, seconds }).finally(() => {
      leaving = false;
    }),
    askOn(tierline, () => leaving),
  ]);
  // Whatever the machine makes of the rate.
  expect(left.left).toBeGreaterThan(0.5 * perSecond * seconds);
  expect(left.inAnswer).toBeGreaterThan(0.1 * left.left);
  await untilFree(tierline, gold);
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
  const asked = gold.stats().started - startedBefore;
  expect(asked).toBeGreaterThan(0.3 * left.left);
  const grownMb = ((await resident(tierline)) - bytesBefore) / 1e6;
  expect(grownMb).toBeLessThan(40);
  expect([alone.failed, beside.failed]).toEqual([0, 0]);
  expect(beside.p99Ms).toBeLessThan(Math.max(5 * alone.p99Ms, 300));
  expect(await tierline.metric("tierline_requests_total", { outcome: "left" })).toBeGreaterThan(asked / 2);
  expect(await tierline.metric("tierline_breaker_state")).toBe(0);
  measured(
    33,
    `${left.left} callers left within ${Math.round(left.tookSeconds)} s, ${left.inAnswer} of them in their answer; every engine call ended, descriptors ${fdsBefore} before and ${fdsAfter} after, memory ${grownMb >= 0 ? "+" : ""}${grownMb.toFixed(0)} MB; p99 of others ${alone.p99Ms.toFixed(0)} ms without them, ${beside.p99Ms.toFixed(0)} ms beside them`,
  );
}, 180_000);
