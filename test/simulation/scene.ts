// A fleet that has found itself, and what its members were told since: where the scenarios begin, and what they count.

import type { NetworkFaults, Run, World } from "./world.ts";
import { createWorld, fleetOf } from "./world.ts";

export const longMs = 3_600_000;
export const minuteMs = 60_000;

export function scene(seed: number, size: number, faults: Partial<NetworkFaults> = {}): [World, Run[]] {
  const world = createWorld(seed, { json: false });
  const runs = fleetOf(world, size);
  // Fresh fleets move in step; a while later they do not.
  world.advance(2000 + 1000 * world.random());
  Object.assign(world.faults, faults);
  return [world, runs];
}

export function pick(world: World, runs: readonly Run[], count: number): Run[] {
  const left = [...runs];
  return Array.from({ length: count }, () => left.splice(Math.floor(world.random() * left.length), 1)).flat();
}

export const stateOf = (run: Run, name: string) =>
  run.gossip.members().find(({ claim }) => claim.name === name)?.state;

export const told = (runs: readonly Run[], kind: string) =>
  runs.flatMap((run) => run.told.filter(({ event }) => event.kind === kind));

/** Verdicts of a run's own, about somebody who was up. */
export const falseDead = (runs: readonly Run[]): number => told(runs, "dead").length;

/** What each of them was held for by others, from that moment on: one for each time that it changed. */
export const changesSince = (runs: readonly Run[], atMs: number) =>
  runs.flatMap((by) =>
    by.told
      .filter(({ event, at }) => at >= atMs && ["suspected", "refuted", "dead"].includes(event.kind))
      .map(({ at, who, event }) => ({ by, at, who, kind: event.kind })),
  );
