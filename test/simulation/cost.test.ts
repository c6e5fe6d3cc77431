// What membership costs a host: messages, bytes, and how old the news is that they buy.
// `TIERLINE_SEEDS=1 bun test test/simulation/cost` adds the fleet of 500 and prints the table.

import { describe, expect, test } from "bun:test";
import { longRun } from "./figures.ts";
import type { Run } from "./world.ts";
import { createWorld, fleetOf } from "./world.ts";

/** About what a host with one engine says of itself. */
const advert = (index: number, at: number) => ({
  at,
  public: `10.0.${index >> 8}.${index & 255}:8010`,
  zone: "us-east-1a",
  tier: "gold",
  models: ["npc-8b"],
  slots: 64,
  inflight: Math.floor(at * 7 + index) % 64,
  queued: 0,
  kv: ((at * 31 + index) % 100) / 100,
  ttft_ms: Math.floor(at * 13 + index) % 90,
});

const publishedAt = (meta: unknown): number =>
  typeof meta === "object" && meta !== null && "at" in meta ? Number(meta.at) : Number.NaN;

/** Of the messages, one in so many is weighed packed. */
const sampled = 20;
const measureMs = 1500;

describe("a host among", () => {
  for (const [size, everyMs, ageP50, ageP99] of [
    [10, 250, 600, 2000],
    [100, 1000, 1100, 2000],
    [500, 1000, 1300, 2500],
  ] as const) {
    test.skipIf(size === 500 && !longRun)(
      `${size}, each of whom speaks anew every ${everyMs} ms, sends at most 17 messages a second, none above 64 KB, and packed at most 2 Mbit/s both ways`,
      () => {
        const sum = { messages: 0, bytes: 0, packed: 0, largest: 0 };
        let counting = false;
        const dialect = (message: unknown): unknown => {
          if (!counting) return message;
          sum.messages += 1;
          if (sum.messages % sampled === 0) {
            const text = JSON.stringify(message);
            sum.bytes += text.length * sampled;
            sum.packed += Bun.zstdCompressSync(text, { level: 1 }).length * sampled;
            sum.largest = Math.max(sum.largest, text.length);
          }
          return message;
        };
        const world = createWorld(1, { json: false });
        const runs = fleetOf(world, size, (index) => ({ dialect, meta: advert(index, world.now) }));
        const speak = (run: Run, index: number): void => {
          world.act(run, (gossip) => gossip.publish(advert(index, world.now)));
          world.later(everyMs, () => speak(run, index));
        };
        for (const [index, run] of runs.entries())
          world.later(everyMs * world.random(), () => speak(run, index));
        world.advance(3000);
        counting = true;
        world.advance(measureMs);
        counting = false;

        const ages = runs
          .flatMap((run) => run.gossip.members().map(({ claim }) => world.now - publishedAt(claim.meta)))
          .sort((a, b) => a - b);
        const ageAt = (share: number): number => ages[Math.floor(share * ages.length)] ?? Number.NaN;
        const perHostSecond = 1000 / measureMs / size;
        const mbit = (bytes: number): number => (2 * 8 * bytes * perHostSecond) / 1e6;
        if (longRun)
          console.log(
            `N=${size}: ${(sum.messages * perHostSecond).toFixed(1)} messages/s sent, ${mbit(sum.bytes).toFixed(2)} Mbit/s both ways, ${mbit(sum.packed).toFixed(2)} packed, largest ${sum.largest} B, age of news p50 ${Math.round(ageAt(0.5))}, p99 ${Math.round(ageAt(0.99))} ms`,
          );
        expect(sum.messages * perHostSecond).toBeLessThanOrEqual(17);
        expect(sum.largest).toBeLessThan(64 * 1024);
        expect(mbit(sum.packed)).toBeLessThanOrEqual(2);
        expect(ageAt(0.5)).toBeLessThanOrEqual(ageP50);
        expect(ageAt(0.99)).toBeLessThanOrEqual(ageP99);
      },
      600_000,
    );
  }
});
