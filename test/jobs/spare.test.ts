// How many jobs the fleet has room for, and how many must go.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { spareIn, yieldAt } from "../../src/jobs/spare.ts";
import type { Seen } from "../support/views.ts";
import { fleetOf, view } from "../support/views.ts";

const spareRows: readonly (readonly [title: string, endpoints: readonly Seen[], spare: number])[] = [
  ["nobody", [], 0],
  ["an idle engine has half of its slots", [{ slots: 8 }], 4],
  ["what runs there counts, jobs as well", [{ slots: 8, inflight: 3 }], 1],
  ["half full is enough", [{ slots: 8, inflight: 4 }], 0],
  ["one slot is spare while it is idle", [{ slots: 1 }], 1],
  ["and is not when it works", [{ slots: 1, inflight: 1 }], 0],
  ["who waits goes first", [{ slots: 8, waiting: 1, pressure: 0.1 }], 0],
  ["the engine's own word counts: it may serve others too", [{ slots: 8, pressure: 0.6 }], 0],
  ["a sick engine has nothing to spare", [{ slots: 8, health: "unhealthy" }], 0],
  ["several together", [{ slots: 8 }, { slots: 2, inflight: 2 }, { slots: 4, inflight: 1 }], 5],
  ["a peer's free slots", [{ slots: 8, peer: { free: 2 } }], 2],
  ["a peer that is doubted", [{ slots: 8, peer: { suspect: true } }], 0],
];

describe("spareIn", () => {
  test.each(spareRows.map((row) => row))("%s", (_, endpoints, spare) => {
    expect(spareIn(fleetOf(endpoints.map((seen, index) => view(`g${index}`, seen))), 0)).toBe(spare);
  });
});

const yieldRows: readonly (readonly [
  title: string,
  seen: Seen,
  own: number,
  arriving: number,
  leave: number,
])[] = [
  ["jobs stay where there are slots for all", { slots: 4, inflight: 3 }, 2, 1, 0],
  ["one goes for one who arrives at a full engine", { slots: 4, inflight: 4 }, 2, 1, 1],
  ["none goes for nobody", { slots: 4, inflight: 4 }, 2, 0, 0],
  ["one for each who waits", { slots: 4, inflight: 4, waiting: 2 }, 3, 0, 2],
  ["all, where more wait than the others could serve", { slots: 4, inflight: 4, waiting: 4 }, 2, 1, 2],
  ["the only slot is left for the first who comes", { slots: 1, inflight: 1 }, 1, 1, 1],
  ["a job alone does not press itself out", { slots: 1, inflight: 1 }, 1, 0, 0],
  ["all go where others alone fill the engine", { slots: 4, inflight: 2, pressure: 1.5 }, 2, 0, 2],
  ["none where a peer says so: it sees to that", { slots: 1, inflight: 1, pressure: 2, peer: {} }, 1, 0, 0],
  ["from a peer that has no room left", { slots: 4, inflight: 2, peer: { free: 0 } }, 2, 1, 1],
];

describe("yieldAt", () => {
  test.each(yieldRows.map((row) => row))("%s", (_, seen, own, arriving, leave) => {
    expect(yieldAt(view("g", seen), own, arriving, 0)).toBe(leave);
  });

  test("never sends away more than there are, nor fewer than none; and then whoever arrives has a slot or no job is left", () => {
    const small = fc.integer({ min: 0, max: 9 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), small, small, small, (slots, others, own, waiting) => {
        const inflight = Math.min(slots, others + own);
        const held = Math.min(own, inflight);
        const jobs = yieldAt(view("g", { slots, inflight, waiting }), held, 1, 0);
        expect(jobs).toBeGreaterThanOrEqual(0);
        expect(jobs).toBeLessThanOrEqual(held);
        expect(jobs === held || slots - inflight + jobs >= waiting + 1).toBe(true);
      }),
    );
  });
});
