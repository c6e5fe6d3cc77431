// First safety, then liveness: small fleets under any faults, inspected after every event; then the network heals,
// and everybody must be seen alive again. `TIERLINE_SEEDS=10000 bun test test/simulation/any-faults` is the long
// run; `TIERLINE_SEED=n` plays one seed alone, exactly as it went in any run.

import { expect, test } from "bun:test";
import { createFigures, report } from "./figures.ts";
import { createInspector } from "./invariants.ts";
import type { Run, World } from "./world.ts";
import { allSee, createWorld } from "./world.ts";

const seeds = Number(process.env["TIERLINE_SEEDS"] ?? 500);
const only = process.env["TIERLINE_SEED"];

const faultyMs = 20_000;
/** No fault lasts longer. */
const faultMostMs = 12_000;
/** Ours are 5 s; here a member may come back from a hold, a pause and a partition at once. */
const healedWithinMs = 8000;

const oneOf = <T>(world: World, items: readonly T[]): T | undefined =>
  items[Math.floor(world.random() * items.length)];

type Fault = (world: World, run: Run) => void;

const hourMs = 3_600_000;
/** As from EC2 tags: two hosts that are up. */
const seedsIn = (world: World) => (): readonly string[] =>
  world
    .live()
    .slice(0, 2)
    .map((run) => run.address);
/** Another version: it says so, and says things that we do not know. */
const later = (message: unknown): unknown =>
  typeof message === "object" && message !== null ? { ...message, v: [1, 2], mood: "bright" } : message;

const faults: Readonly<Record<string, Fault>> = {
  pause(world, run) {
    world.pause(run);
    world.later(1000 + 9000 * world.random(), () => world.resume(run));
  },
  crash(world, run) {
    world.crash(run, world.random() < 0.5);
  },
  restartWithItsDisk(world, run) {
    restart(world, run, { persisted: run.gossip.incarnation, address: run.address });
  },
  restartWithALostDiskAndTheClockAnHourBack(world, run) {
    restart(world, run, { wallOffsetMs: run.wallOffsetMs - hourMs, address: run.address });
  },
  restartElsewhere(world, run) {
    restart(world, run, { address: `${run.name}-moved-${world.events}:8012` });
  },
  split(world) {
    const side = new Set(world.runs.filter(() => world.random() < 0.5).map((run) => run.address));
    const lift = world.block((from, to) => side.has(from) !== side.has(to));
    world.later(faultMostMs * world.random(), lift);
  },
  oneWay(world, run) {
    const lift = world.block((from) => from === run.address);
    world.later(faultMostMs * world.random(), lift);
  },
  flappingLink(world, run) {
    const other = oneOf(world, world.live())?.address;
    const lift = world.block(
      (from, to) =>
        Math.floor(world.now / 700) % 2 === 0 &&
        ((from === run.address && to === other) || (from === other && to === run.address)),
    );
    world.later(faultMostMs * world.random(), lift);
  },
  badNetwork(world) {
    const was = { ...world.faults };
    Object.assign(world.faults, { loss: 0.3 * world.random(), jitterMs: 300, duplicates: 0.1, echoes: 0.02 });
    world.later(faultMostMs * world.random(), () => Object.assign(world.faults, was));
  },
  slowHost(world, run) {
    run.slowMs = 150;
    world.later(10_000, () => {
      run.slowMs = 0;
    });
  },
  wallClockStep(world, run) {
    run.wallOffsetMs += world.random() < 0.5 ? hourMs : -hourMs;
  },
  newMeta(world, run) {
    world.act(run, (gossip) => gossip.publish(world.events));
  },
  leave(world, run) {
    world.act(run, (gossip) => void gossip.leave());
    world.later(1000, () => world.crash(run));
  },
  clone(world, run) {
    world.start(run.name, { address: `${run.name}-clone-${world.events}:8012`, seeds: seedsIn(world) });
  },
  nonsense(world, run) {
    for (const message of [null, "x", { v: [1, 1] }, { v: [1, 1], kind: "sync", from: 3, claims: [] }])
      world.act(run, (gossip) => void gossip.handle(message));
  },
};

function restart(world: World, run: Run, options: Parameters<World["start"]>[1]): void {
  world.crash(run, world.random() < 0.5);
  world.later(3000 * world.random(), () => {
    world.start(run.name, { seeds: seedsIn(world), ...options });
  });
}

function play(seed: number): number {
  const inspect = createInspector();
  const world = createWorld(seed, { inspect, json: seed % 4 === 0 });
  const size = 2 + Math.floor(6 * world.random() * world.random());
  for (let index = 0; index < size; index += 1) {
    const dialect = world.random() < 0.2 ? { dialect: later } : {};
    world.later(2000 * world.random(), () => {
      world.start(`h${index}`, { seeds: seedsIn(world), ...dialect });
    });
  }
  world.advance(4000);
  const end = world.now + faultyMs;
  while (world.now < end) {
    const run = oneOf(world, world.live());
    const fault = oneOf(world, Object.keys(faults));
    if (run !== undefined && fault !== undefined) faults[fault]?.(world, run);
    world.advance(2500 * world.random());
  }

  // What was begun runs out by itself; whoever crashed stays dead.
  world.advance(faultMostMs);
  Object.assign(world.faults, { loss: 0, jitterMs: 0.3, duplicates: 0, echoes: 0 });
  const present = (): readonly Run[] =>
    world
      .live()
      .filter((run) =>
        run.gossip.members().some((m) => m.claim.name === run.name && m.claim.state === "alive"),
      );
  const healed = world.until(() => allSee(present(), "alive"), healedWithinMs);
  if (healed === undefined) {
    const views = present().map((run) => {
      const view = run.gossip
        .members()
        .map(({ claim }) => `${claim.name} ${claim.state} ${claim.incarnation}`);
      return `${run.name} at ${run.address}: ${view.join(", ")}`;
    });
    throw new Error(`seed ${seed}: not healed in ${healedWithinMs} ms\n${views.join("\n")}`);
  }
  return healed;
}

test(`under any faults no invariant breaks in ${only ?? seeds} seeds, and when they end everybody sees everybody alive`, () => {
  const failed: string[] = [];
  const healed = createFigures("N=2 to 8 under any faults: seen alive everywhere after they end, ms", {
    of: "worst",
    most: healedWithinMs,
  });
  const first = only === undefined ? 0 : Number(only);
  const count = only === undefined ? seeds : 1;
  for (let seed = first; seed < first + count && failed.length < 5; seed += 1) {
    try {
      healed.add(seed, play(seed));
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.stack}` : "";
      failed.push(`${error instanceof Error ? error.message : String(error)}${cause}`);
    }
  }
  if (only === undefined) report(healed);
  expect(failed.join("\n")).toBe("");
}, 3_600_000);
