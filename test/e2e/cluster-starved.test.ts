// A router that hardly gets the processor, because the engine beside it takes all of it.

import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { cleanup } from "../support/cleanup.ts";
import type { FleetHost } from "../support/fleet.ts";
import { startFleet } from "../support/fleet.ts";
import { measured } from "../support/measured.ts";
import { needsTool } from "../support/needs-tool.ts";

setDefaultTimeout(60_000);

const ends = cleanup();
const canRun = ["taskset", "timeout"].every(needsTool);

const core = "0";
const threadsOf = (pid: number): string[] => readdirSync(`/proc/${pid}/task`);

/** They end by themselves, whatever becomes of the test. */
const hogs = (count: number) =>
  Array.from({ length: count }, () =>
    ends({
      process: Bun.spawn(["timeout", "30", "taskset", "-c", core, "sh", "-c", "while :; do :; done"]),
      stop(): void {
        this.process.kill();
      },
    }),
  );

/** The worst that the fleet comes to within so long. */
async function worst(starved: FleetHost, other: FleetHost, forMs: number) {
  const seen = { newsSeconds: 0, lagSeconds: 0, score: 0, dead: 0 };
  const end = performance.now() + forMs;
  while (performance.now() < end) {
    const [age, lag, score, members] = await Promise.all([
      other.router.metric("tierline_gossip_news_age_seconds", { peer: "worst" }),
      starved.router.metric("tierline_event_loop_lag_seconds"),
      starved.router.metric("tierline_gossip_health_score"),
      other.members(),
    ]);
    seen.newsSeconds = Math.max(seen.newsSeconds, age);
    seen.lagSeconds = Math.max(seen.lagSeconds, lag);
    seen.score = Math.max(seen.score, score);
    seen.dead += members.filter(({ state }) => state === "dead").length;
    await Bun.sleep(50);
  }
  return seen;
}

test.skipIf(!canRun)(
  "beside 16 programs that want its core what it says is at most 2 s old; without the core for most of the time it trusts itself less; and nobody is taken for dead (fault 45)",
  async () => {
    const fleet = ends(
      await startFleet({
        hosts: ["gold-1", "gold-2", "gold-3"].map((name) => ({ name, tiers: ["gold"] as const })),
      }),
    );
    await fleet.told(async () => {
      const [starved, other] = [fleet.host("gold-2"), fleet.host("gold-1")];
      const { pid } = starved.router;
      for (const thread of threadsOf(pid)) Bun.spawnSync(["taskset", "-cp", core, thread]);

      const crowd = hogs(16);
      const crowded = await worst(starved, other, 3000);
      const answer = await starved.chat();
      expect(answer.status).toBe(200);
      expect(crowded.newsSeconds).toBeLessThan(2);
      expect(crowded.dead).toBe(0);

      // What even a crowd does not do to who wants so little: it gets nothing for most of the time.
      for (const hog of crowd) hog.stop();
      let over = false;
      const rationing = (async () => {
        while (!over) {
          starved.freeze();
          await Bun.sleep(500);
          starved.thaw();
          await Bun.sleep(100);
        }
      })();
      const starving = await worst(starved, other, 3000);
      over = true;
      await rationing;
      expect(starving.score).toBeGreaterThan(0);
      expect(starving.dead).toBe(0);
      await fleet.together(5000);
      measured(
        45,
        `16 programs on its core: news at most ${crowded.newsSeconds.toFixed(1)} s old, timers ${Math.round(1000 * crowded.lagSeconds)} ms late; without it for 500 of every 600 ms: ${starving.newsSeconds.toFixed(1)} s, score up to ${starving.score}; 0 taken for dead`,
      );
    })();
  },
);
