// A host that starts, or goes on, where nobody tells it who the others are: all seeds down, or the DNS that knows them.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sageMakerToml, tale } from "../support/bronze.ts";
import { until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import type { FleetHost } from "../support/fleet.ts";
import { startFleet } from "../support/fleet.ts";
import { measured } from "../support/measured.ts";
import { needsNet } from "../support/netns.ts";

setDefaultTimeout(60_000);

const ends = cleanup();

/** From the start of its process to its first answer. */
async function firstAnswer(host: FleetHost): Promise<number> {
  const began = performance.now();
  await host.start();
  const response = await host.chat();
  expect(response.status).toBe(200);
  await response.arrayBuffer();
  expect(response.headers.get("x-tierline-endpoint")).toBe(`${host.name}/vllm`);
  return Math.round(performance.now() - began);
}

/** It is written every ten seconds. */
const remembersPeers = (host: FleetHost): boolean => {
  const file = join(host.router.dir, "state", "cluster.json");
  return existsSync(file) && JSON.parse(readFileSync(file, "utf8")).peers.length > 0;
};

test("with all seeds down a host serves its own players at once, and is with the others soon after the first of them is back (fault 24)", async () => {
  const fleet = ends(
    await startFleet({
      hosts: ["gold-1", "gold-2"].map((name) => ({ name, tiers: ["gold"] as const })),
    }),
  );
  await fleet.told(async () => {
    const [alone, seed] = [fleet.host("gold-1"), fleet.host("gold-2")];
    await Promise.all([alone.kill(), seed.kill()]);
    const answeredMs = await firstAnswer(alone);
    expect(answeredMs).toBeLessThan(5000);
    // By then it waits between its calls.
    await Bun.sleep(1500);
    for (let asked = 0; asked < 20; asked += 1) expect((await alone.chat()).status).toBe(200);
    await seed.start();
    const startedAt = performance.now();
    await fleet.together(8000);
    const joinedMs = Math.round(performance.now() - startedAt);
    measured(
      24,
      `${answeredMs} ms from the start of the process to the first answer; joined ${joinedMs} ms after a seed was back`,
    );
  })();
});

describe.skipIf(!needsNet())("where no DNS server answers", () => {
  test("a host finds those whom it knew by their addresses, AWS is asked ever more rarely, and players notice nothing (fault 24) (fault 43)", async () => {
    let seeds: readonly string[] | undefined;
    const fleet = ends(
      await startFleet({
        apart: true,
        seeds: () => seeds,
        hosts: [
          { name: "gold-1", tiers: ["gold"], config: sageMakerToml() },
          { name: "silver-1", tiers: ["silver"] },
        ],
        // Its endpoints have names, which nobody here can look up.
        env: { AWS_ACCESS_KEY_ID: "nobodys", AWS_SECRET_ACCESS_KEY: "nobodys" },
      }),
    );
    await fleet.told(async () => {
      const [gold, silver] = [fleet.host("gold-1"), fleet.host("silver-1")];
      await until("both remember each other", () => [gold, silver].every(remembersPeers), 15_000);
      seeds = ["dns:peers.tierline.internal:8012"];
      await silver.reload("");
      await gold.kill();
      const answeredMs = await firstAnswer(gold);
      const startedAt = performance.now();
      await fleet.together(5000);
      const joinedMs = Math.round(performance.now() - startedAt);
      await silver.router.logged(({ msg }) => msg === "seeds not found; asking again", 15_000);

      for (let job = 0; job < 5; job += 1) {
        const placed = await gold.get("/v1/jobs", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ request: tale() }),
        });
        expect(placed.status).toBe(202);
      }
      const end = performance.now() + 3000;
      let asked = 0;
      for (; performance.now() < end; asked += 1) {
        for (const model of ["gold", "silver"]) expect((await gold.chat({ model })).status).toBe(200);
        await Bun.sleep(50);
      }
      expect(await gold.router.metric("tierline_jobs_backlog")).toBe(5);
      const refusals = await gold.router.metric("tierline_jobs_refusals_total");
      expect(refusals).toBeGreaterThan(0);
      expect(refusals).toBeLessThan(25);
      expect((await silver.members()).map(({ state }) => state)).toEqual(["alive", "alive"]);
      measured(24, `no seed known: joined ${joinedMs} ms after the start, by the peers of the last run`);
      measured(
        43,
        `restarted without DNS: first answer after ${answeredMs} ms, joined by the addresses it knew; of ${2 * asked} requests, half of them by the peer, 0 failed; 5 jobs waited and AWS was tried ${refusals} times in 3 s`,
      );
    })();
  });
});
