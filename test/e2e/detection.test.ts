// How soon a bad engine is left, how carefully it is tried again, and what is never held against one. In ratios: who
// gets how much of the traffic.

import { describe, expect, test } from "bun:test";
import type { Fault } from "../../playground/simulated/faults.ts";
import type { SimulatedEngine, SimulatedEngineOptions } from "../../playground/simulated-engine.ts";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import type { BalancerName } from "../../src/routing/balancers/balancers.ts";
import { balancerNames } from "../../src/routing/balancers/balancers.ts";
import { chat, messages, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { showFigures } from "../support/failures.ts";
import { failedOf, steadyLoad } from "../support/steady-load.ts";
import type { Tierline } from "../support/tierline.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();
const ask = { model: "gold", messages, max_tokens: 2 };

async function house(
  engines: number,
  balancer: BalancerName = "least-pressure",
  options: Partial<SimulatedEngineOptions> = {},
  more = "",
) {
  const all = await Promise.all(
    Array.from({ length: engines }, async () =>
      ends(await startSimulatedEngine({ model: "small", msPerToken: 2, recorded: 100_000, ...options })),
    ),
  );
  const config = `${all.map(({ url }) => engineToml("gold", url, more)).join("")}[tier.gold]\nbalancer = "${balancer}"\n`;
  return { engines: all, router: ends(await startTierline({ config })) };
}

/** Callers' requests that came to an engine since the test began. */
const real = (engine: SimulatedEngine): number =>
  engine.requests().filter(({ body }) => body.includes("Who goes there?")).length;

function victim(engines: readonly SimulatedEngine[]): SimulatedEngine {
  const [first] = engines;
  if (first === undefined) throw new Error("no engine");
  return first;
}

const failures = (router: Tierline, outcome: string): Promise<number> =>
  router.metric("tierline_attempts_total", { endpoint: "gold-1/vllm", outcome });

test("a local engine that dies is left at once: no request fails, and hardly one meets it in 300 ms", async () => {
  const { engines, router } = await house(2);
  const dying = victim(engines);
  const perSecond = 200;
  await steadyLoad(router.url, { perSecond, seconds: 1 });
  const asking = steadyLoad(router.url, { perSecond, seconds: 2 });
  await Bun.sleep(500);
  const inFlight = await router.metric("tierline_inflight", { endpoint: "gold-1/vllm" });
  dying.fault({ kind: "refuse" });
  await Bun.sleep(300);
  const met = (await failures(router, "refused")) + (await failures(router, "reset"));
  const answers = await asking;
  const metAfterwards = (await failures(router, "refused")) + (await failures(router, "reset")) - met;
  expect(failedOf(answers)).toEqual([]);
  // What was in flight, the one that found out, and who had been sent in that very moment; a bar over, one more.
  expect(met).toBeLessThanOrEqual(inFlight + 6);
  expect(metAfterwards).toBeLessThanOrEqual(6);
  showFigures("a dead local engine", { asked: answers.length, inFlight, met, metAfterwards });
}, 20_000);

/** A machine that stalls sends many at once before the first of them has failed: the best of a few rounds. */
async function shareOfFailing(
  status: number,
  count: number,
  balancer: BalancerName,
  options: Partial<SimulatedEngineOptions> = {},
  more = "",
): Promise<number> {
  const perSecond = 110;
  let best = 1;
  for (let round = 0; round < 3 && best >= 0.02; round += 1) {
    const { engines, router } = await house(count, balancer, options, more);
    const failing = victim(engines);
    await steadyLoad(router.url, { perSecond, seconds: 0.5 });
    failing.fault({ kind: "status", status });
    const first = await steadyLoad(router.url, { perSecond, seconds: 1 });
    const before = real(failing);
    const later = await steadyLoad(router.url, { perSecond, seconds: 2 });
    expect(failedOf([...first, ...later])).toEqual([]);
    best = Math.min(best, (real(failing) - before) / later.length);
  }
  showFigures("fails at once", { status, count, balancer, best, ...options });
  return best;
}

describe("an engine that fails at once gets less than 2 % of the traffic after a second", () => {
  const table = balancerNames.flatMap((balancer) =>
    [2, 4].map((engines): [BalancerName, number] => [balancer, engines]),
  );
  test.each(table)(
    "%s, %d engines",
    async (balancer, count) => {
      const shares = await Promise.all([500, 503].map((status) => shareOfFailing(status, count, balancer)));
      expect(Math.max(...shares)).toBeLessThan(0.02);
    },
    30_000,
  );

  test.each([500, 503])(
    "also where the other engine is nearly full, with %d",
    async (status) => {
      const slow = { msPerToken: 10 };
      expect(await shareOfFailing(status, 2, "least-pressure", slow, "max_concurrent = 4")).toBeLessThan(
        0.02,
      );
    },
    30_000,
  );
});

test.each([
  ["a run of 500s", { kind: "status", status: 500 }],
  ["half of all", { kind: "status", status: 500, probability: 0.5 }],
] as [string, Fault][])("an engine is ejected on %s", async (_, fault) => {
  // Alone, so that no balancer takes the traffic away before the breaker has counted.
  const { engines, router } = await house(1);
  await steadyLoad(router.url, { perSecond: 100, seconds: 0.5 });
  victim(engines).fault(fault);
  await steadyLoad(router.url, { perSecond: 50, seconds: 3 });
  await router.logged(({ msg }) => msg === "breaker opened");
});

test("an open breaker lets one call through at a time, further and further apart", async () => {
  const { engines, router } = await house(2, "round-robin");
  const failing = victim(engines);
  await steadyLoad(router.url, { perSecond: 100, seconds: 0.5 });
  failing.fault({ kind: "status", status: 500 });
  await steadyLoad(router.url, { perSecond: 100, seconds: 0.5 });
  await router.logged(({ msg }) => msg === "breaker opened");
  const before = real(failing);
  const answers = await steadyLoad(router.url, { perSecond: 100, seconds: 6 });
  const tests = real(failing) - before;
  expect(failedOf(answers)).toEqual([]);
  // After 1 s, 2 s and 4 s, each a fifth more or less.
  expect(tests).toBeGreaterThanOrEqual(1);
  expect(tests).toBeLessThanOrEqual(3);
  showFigures("half-open", { asked: answers.length, tests });
}, 20_000);

test("an engine that is back gets its share by and by", async () => {
  const { engines, router } = await house(2, "least-pressure", { msPerToken: 10, maxNumSeqs: 64 });
  const healed = victim(engines);
  await steadyLoad(router.url, { perSecond: 100, seconds: 0.5 });
  healed.fault({ kind: "refuse" });
  await until(
    "it is known to be gone",
    async () => (await router.metric("tierline_endpoint_available", { endpoint: "gold-1/vllm" })) === 0,
  );
  healed.clear();
  await until(
    "it is back",
    async () => (await router.metric("tierline_endpoint_available", { endpoint: "gold-1/vllm" })) === 1,
  );
  const before = real(healed);
  const answers = await steadyLoad(router.url, { perSecond: 150, seconds: 3 });
  const share = (real(healed) - before) / answers.length;
  expect(failedOf(answers)).toEqual([]);
  expect(share).toBeLessThan(0.42);
  showFigures("slow start", { share });
}, 20_000);

test.each([2, 4])(
  "with all of %d engines broken a guess is still made: one call for each request",
  async (count) => {
    const { engines, router } = await house(count);
    await steadyLoad(router.url, { perSecond: 100, seconds: 0.5 });
    for (const engine of engines) engine.fault({ kind: "status", status: 500 });
    await steadyLoad(router.url, { perSecond: 100, seconds: 1.5 });
    const met = (): number => engines.reduce((sum, engine) => sum + real(engine), 0);
    const before = met();
    const answers = await steadyLoad(router.url, { perSecond: 100, seconds: 2 });
    const calls = (met() - before) / answers.length;
    expect(answers.filter(({ status }) => status !== 502)).toEqual([]);
    expect(calls).toBeGreaterThan(0.9);
    expect(calls).toBeLessThanOrEqual(1.1);
    for (const engine of engines) engine.clear();
    await until("they are used again", async () => (await chat(router.url, ask)).status === 200);
  },
  20_000,
);

describe("is never held against an engine", () => {
  test.each([400, 404, 409, 422])(
    "2,000 answers %d",
    async (status) => {
      const { engines, router } = await house(1);
      await (await chat(router.url, ask)).arrayBuffer();
      victim(engines).fault({ kind: "status", status });
      let others = 0;
      const caller = async (): Promise<void> => {
        for (let turn = 0; turn < 125; turn += 1) {
          const response = await chat(router.url, ask);
          await response.arrayBuffer();
          if (response.status !== status) others += 1;
        }
      };
      await Promise.all(Array.from({ length: 16 }, caller));
      expect(others).toBe(0);
      expect(await router.metric("tierline_breaker_state")).toBe(0);
      expect(router.log.filter(({ msg }) => msg === "breaker opened")).toEqual([]);
    },
    30_000,
  );

  test("2,000 callers who leave before their answer", async () => {
    const { engines, router } = await house(1, "least-pressure", { msPerToken: 20, maxNumSeqs: 200 });
    const [engine] = engines;
    let left = 0;
    const caller = async (): Promise<void> => {
      for (let turn = 0; turn < 125; turn += 1) {
        const leaving = new AbortController();
        const asked = chat(router.url, { ...ask, max_tokens: 50 }, { signal: leaving.signal });
        setTimeout(() => leaving.abort(), 5 + (turn % 10));
        await asked.then((response) => response.arrayBuffer()).catch(() => (left += 1));
      }
    };
    await Promise.all(Array.from({ length: 16 }, caller));
    expect(left).toBeGreaterThan(1900);
    expect(await router.metric("tierline_breaker_state")).toBe(0);
    expect(router.log.filter(({ msg }) => msg === "breaker opened")).toEqual([]);
    await until("the engine is free", () => engine?.stats().running === 0);
    const answer = await chat(router.url, ask);
    expect(answer.status).toBe(200);
  }, 30_000);
});
