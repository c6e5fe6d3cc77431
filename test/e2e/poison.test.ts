// Requests that kill the engines that take them: how many engines each may cost, alone and in a fleet.

import { expect, test } from "bun:test";
import type { Fault } from "../../playground/simulated/faults.ts";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { startFleet } from "../support/fleet.ts";
import { measured } from "../support/measured.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

const ask = (content: string) => ({
  model: "gold",
  messages: [{ role: "user", content }],
  max_tokens: 4,
});
const mortal = (backAfterMs: number): Fault => ({ kind: "die-of", text: "boom", backAfterMs });

test("a request that kills its engine costs three of six and no more, however often it comes; others go on (fault 49)", async () => {
  const engines = await Promise.all(
    Array.from({ length: 6 }, async () =>
      ends(await startSimulatedEngine({ model: "small", msPerToken: 5 })),
    ),
  );
  const router = ends(
    await startTierline({ config: engines.map(({ url }) => engineToml("gold", url)).join("") }),
  );
  for (const engine of engines) engine.fault(mortal(3000));

  let over = false;
  const innocents = { sent: 0, failed: [] as string[] };
  const innocent = async (): Promise<void> => {
    innocents.sent += 1;
    const response = await chat(router.url, ask(`hello ${innocents.sent}`));
    const text = await response.text();
    if (response.status !== 200) innocents.failed.push(`${response.status} ${text}`);
  };
  const others = (async () => {
    const asked: Promise<void>[] = [];
    for (; !over; await Bun.sleep(25)) asked.push(innocent());
    await Promise.all(asked);
  })();

  await Bun.sleep(300);
  const poisoned = 40;
  let stopped = 0;
  for (let turn = 0; turn < poisoned; turn += 1) {
    const response = await chat(router.url, ask("boom"));
    expect(response.status).toBe(502);
    expect(response.headers.get("x-should-retry")).toBe("false");
    const { code, message } = await openAiErrorOf(response);
    expect(code).toBe("upstream_failed");
    if (message.includes("stopped")) stopped += 1;
    await Bun.sleep(200);
  }
  over = true;
  await others;
  const deaths = engines.reduce((sum, engine) => sum + engine.stats().faultsStruck, 0);
  expect(deaths).toBe(3);
  expect(stopped).toBe(poisoned - 1);
  expect(innocents.failed).toEqual([]);
  expect(await router.metric("tierline_quarantined_requests")).toBe(1);
  expect(await router.metric("tierline_shed_total", { because: "quarantined" })).toBe(stopped);
  await router.logged((line) => line["msg"] === "request stopped: engines died of it");
  measured(
    49,
    `${poisoned} times the same body: ${deaths} tries, then 502 at once; ${innocents.failed.length} of ${innocents.sent} other requests failed`,
  );
}, 30_000);

test("in a fleet it costs three engines, whichever doors it comes to (fault 49)", async () => {
  const fleet = ends(
    await startFleet({
      hosts: ["g-1", "g-2", "g-3"].map((name) => ({ name, tiers: ["gold", "gold"] })),
      msPerToken: 2,
    }),
  );
  await fleet.together();
  const engines = fleet.hosts.flatMap((host) => host.engines);
  await Promise.all(engines.map((engine) => engine.fault(mortal(2500))));
  const doors = fleet.hosts;
  const tries = async (): Promise<number> => {
    const asked = await Promise.all(engines.map((engine) => engine.asked()));
    return asked.flat().filter((body) => body.includes("boom")).length;
  };
  // The caller goes from door to door as soon as it hears that it has failed.
  const asked = 24;
  const took: number[] = [];
  for (let turn = 0; turn < asked; turn += 1) {
    const began = performance.now();
    const response = await doors[turn % doors.length]?.chat(ask("boom"));
    took.push(performance.now() - began);
    expect(response?.status).toBe(502);
    await response?.arrayBuffer();
  }
  expect(await tries()).toBe(3);
  await until(
    "every door has it in its figures",
    async () => {
      const known = await Promise.all(
        doors.map((door) => door.router.metric("tierline_quarantined_requests")),
      );
      return known.every((count) => count === 1);
    },
    10_000,
  );
  for (let turn = 0; turn < 2 * asked; turn += 1) {
    const door = doors[turn % doors.length];
    expect(await (await door?.chat(ask("boom")))?.text()).toContain("stopped");
    expect((await door?.chat(ask(`hello ${turn}`)))?.status).toBe(200);
    await Bun.sleep(50);
  }
  const all = await tries();
  expect(all).toBe(3);
  measured(
    49,
    `${all} tries over three hosts with two engines each, for ${3 * asked} requests from door to door without a pause; the first was refused after ${Math.max(...took).toFixed(0)} ms, when all doors knew`,
  );
}, 40_000);
