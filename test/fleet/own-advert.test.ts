// When this host speaks: at its pace, and at once where something has changed that matters at once.

import { expect, test } from "bun:test";
import { readAdvert } from "../../src/fleet/advert.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import { createOwnAdvert } from "../../src/fleet/own-advert.ts";

const start = 1_000_000;
const spec = { name: "h/vllm", tier: "gold", locality: "local", slots: 8, queueLimit: 0 } as const;

function scene() {
  const fleet = createFleet([{ spec, identity: "1", models: ["m"] }], { name: "h", zone: undefined });
  const host = { name: "h", public: "http://h:1", zone: undefined, draining: false, intents: undefined };
  const own = createOwnAdvert(fleet, (now) => ({ ...host, upMs: now - start }));
  const isDue = (now: number, hosts = 2): boolean => own.due(now, hosts) !== undefined;
  return { fleet, host, own, isDue };
}

test("a host speaks every 250 ms, and every second where there are more than 32", () => {
  const { isDue } = scene();
  expect([0, 249, 250, 499, 500].map((ms) => isDue(start + ms))).toEqual([true, false, true, false, true]);
  expect([1250, 1499, 1500].map((ms) => isDue(start + ms, 33))).toEqual([false, false, true]);
});

test("a host speaks at once when it drains, or an engine comes, goes, fails or gets other models", () => {
  const { fleet, host, isDue } = scene();
  const [engine] = fleet.local;
  const changes: readonly (() => void)[] = [
    () => Object.assign(host, { draining: true }),
    () => engine?.setHealth("unhealthy", start),
    () => fleet.reconfigure([{ spec, identity: "1", models: ["m", "n"] }]),
    () => fleet.reconfigure([]),
  ];
  isDue(start);
  expect(
    changes.map((change, index) => {
      change();
      return [isDue(start + index + 1), isDue(start + index + 1)];
    }),
  ).toEqual(changes.map(() => [true, false]));
});

test("what a host is short of, and its load, can wait for its next word", () => {
  const { fleet, own, isDue } = scene();
  isDue(start);
  fleet.missed("silver", start + 1);
  fleet.local[0]?.begin("m", true, 1, start + 1);
  expect(isDue(start + 2)).toBe(false);
  const said = readAdvert(own.due(start + 250, 2));
  expect([said?.short, said?.engines[0]?.load.inflight]).toEqual([["silver"], 1]);
});
