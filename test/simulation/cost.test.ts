// What membership costs a host: messages, bytes, and how old the news is that they buy.
// `TIERLINE_SEEDS=1 bun test test/simulation/cost` adds the fleet of 500 and keeps the figures.

import { describe, expect, test } from "bun:test";
import { advertEveryMs } from "../../src/fleet/advert.ts";
import { encode } from "../../src/host/gossip-wire.ts";
import { createFigures, longRun, report } from "./figures.ts";
import type { Run } from "./world.ts";
import { createWorld, fleetOf } from "./world.ts";

/** About what a host with one engine says of itself. */
const advert = (index: number, at: number) => ({
  v: 1,
  at,
  up_ms: Math.floor(at),
  public: `http://10.0.${index >> 8}.${index & 255}:8010`,
  zone: "us-east-1a",
  intents: [Math.floor(at * 3 + index) % 10_000, 1],
  engines: [
    [
      "vllm",
      "gold",
      ["Qwen/Qwen3-8B-AWQ"],
      64,
      Math.floor(at * 7 + index) % 64,
      0,
      Math.floor(at * 31 + index) % 100,
      Math.floor(at * 13 + index) % 90,
      "ok",
    ],
  ],
});

const publishedAt = (meta: unknown): number =>
  typeof meta === "object" && meta !== null && "at" in meta ? Number(meta.at) : Number.NaN;

/** Of the messages, one in so many is weighed as it would travel. */
const sampled = 20;
const measureMs = 1500;

describe("a host among", () => {
  for (const [size, ageP50] of [
    [2, 300],
    [10, 600],
    [100, 1100],
    // The target is 600 ms: half a second passes until it speaks anew, and as long until half of all have heard.
    [500, 1300],
  ] as const) {
    const everyMs = advertEveryMs(size);
    test.skipIf(size === 500 && !longRun)(
      `${size}, each of whom speaks anew every ${everyMs} ms, sends at most 17 messages a second, none above 64 KB, and at most 2 Mbit/s both ways`,
      () => {
        const who = `N=${size}, spoken anew every ${everyMs} ms`;
        const rate = createFigures(`${who}: messages that a host sends a second`, { of: "worst", most: 17 });
        const plain = createFigures(`${who}: bodies of a host unpacked, both ways, Mbit/s`);
        const packed = createFigures(`${who}: bodies of a host, both ways, Mbit/s`, { of: "worst", most: 2 });
        const largest = createFigures(`${who}: largest message unpacked, bytes`, {
          of: "worst",
          most: 64 * 1024,
        });
        const median = createFigures(`${who}: age of news, median, ms`, { of: "worst", most: 600 });
        const oldest = createFigures(`${who}: age of news, p99, ms`, { of: "worst", most: 2000 });
        const sum = { messages: 0, bytes: 0, packed: 0, largest: 0 };
        let counting = false;
        const dialect = (message: unknown): unknown => {
          if (!counting) return message;
          sum.messages += 1;
          if (sum.messages % sampled === 0) {
            const { length } = JSON.stringify(message);
            sum.bytes += length * sampled;
            sum.packed += (encode(message)?.length ?? Number.NaN) * sampled;
            sum.largest = Math.max(sum.largest, length);
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

        const ages = createFigures("ages");
        for (const run of runs)
          for (const { claim } of run.gossip.members()) ages.add(1, world.now - publishedAt(claim.meta));
        const perHostSecond = 1000 / measureMs / size;
        const mbit = (bytes: number): number => (2 * 8 * bytes * perHostSecond) / 1e6;
        rate.add(1, sum.messages * perHostSecond);
        plain.add(1, mbit(sum.bytes));
        packed.add(1, mbit(sum.packed));
        largest.add(1, sum.largest);
        median.add(1, ages.median);
        oldest.add(1, ages.p99);
        report(rate, plain, packed, largest, median, oldest);
        expect(rate.worst).toBeLessThanOrEqual(17);
        expect(largest.worst).toBeLessThan(64 * 1024);
        expect(packed.worst).toBeLessThanOrEqual(2);
        expect(ages.median).toBeLessThanOrEqual(ageP50);
        expect(ages.p99).toBeLessThanOrEqual(2000);
      },
      600_000,
    );
  }
});
