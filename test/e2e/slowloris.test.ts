// Thousands of clients that never finish a head or a body: the others do not notice, and each of them is cut.

import { expect, test } from "bun:test";
import { percentile } from "../../bench/rig/statistics.ts";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, messages, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { longRun } from "../support/failures.ts";
import { measured } from "../support/measured.ts";
import { startSlowCrowd } from "../support/slow-clients.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();
const crowdSize = longRun ? 5_000 : 1_000;
const measureMs = longRun ? 20_000 : 5_000;

async function house() {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  const router = ends(await startTierline({ config: engineToml("gold", gold.url) }));
  const ask = async (): Promise<number> => {
    const began = performance.now();
    const response = await chat(router.url, { model: "gold", messages, max_tokens: 1 });
    await response.text();
    if (response.status !== 200) throw new Error(`answered ${response.status}`);
    return performance.now() - began;
  };
  await until("it answers", () => ask().then(Boolean, () => false));
  return { router, ask };
}

test(`${crowdSize} clients that never finish a head or a body cost nobody else time, and are cut within 30 s (fault 31)`, async () => {
  const [attacked, calm] = [await house(), await house()];
  const before = await attacked.router.metric("process_resident_memory_bytes");
  const crowd = ends(startSlowCrowd({ url: attacked.router.url, count: crowdSize }));
  expect(await crowd.joined()).toBeGreaterThan(0.95 * crowdSize);

  // The same callers ask both in turns, so that whatever else goes on here goes on for both.
  const times: Record<"attacked" | "calm", number[]> = { attacked: [], calm: [] };
  const measure = async (forMs: number): Promise<{ calm: number; attacked: number; asked: number }> => {
    times.attacked = [];
    times.calm = [];
    const end = performance.now() + forMs;
    await Promise.all(
      Array.from({ length: 4 }, async (_, index) => {
        for (let turn = index; performance.now() < end; turn += 1) {
          const which = turn % 2 === 0 ? "attacked" : "calm";
          times[which].push(await (which === "attacked" ? attacked : calm).ask());
        }
      }),
    );
    const [calmMs, attackedMs] = [percentile(times.calm, 0.99), percentile(times.attacked, 0.99)];
    return { calm: calmMs, attacked: attackedMs, asked: times.attacked.length };
  };
  const holds = (found: { calm: number; attacked: number }): boolean =>
    found.attacked <= 1.1 * found.calm + 5;
  let found = await measure(measureMs);
  for (let again = 0; again < 2 && !holds(found); again += 1) found = await measure(measureMs);
  expect(holds(found) ? "not noticed" : found).toBe("not noticed");
  const heldMB = ((await attacked.router.metric("process_resident_memory_bytes")) - before) / 1e6;
  expect(heldMB).toBeLessThan(50 + (crowdSize * 64) / 1000);

  const { longestMs, told, wrong, cut, opened } = await crowd.leave();
  expect(wrong).toBe(0);
  expect(cut).toBe(opened);
  expect(longestMs).toBeLessThan(30_000);
  expect(Object.keys(told)).toContain("408");
  expect(
    await attacked.router.metric("tierline_requests_total", { outcome: "request_timeout" }),
  ).toBeGreaterThan(0);
  expect(await attacked.ask()).toBeGreaterThan(0);
  measured(
    31,
    `${crowdSize} slow clients: p99 of ${found.asked} real requests ${found.attacked.toFixed(1)} ms, beside them at a router left alone ${found.calm.toFixed(1)} ms; all cut within ${(longestMs / 1000).toFixed(1)} s; ${Math.round(heldMB)} MB held`,
  );
}, 150_000);
