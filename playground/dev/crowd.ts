// A crowd of guards on a wall, each of whom asks "what now?" ten times a second over one WebSocket: a frame a tick, as a
// game server does it. It keeps the figures of the last seconds.

import type { Archetype } from "../npc/archetypes.ts";
import { situationOf } from "../npc/archetypes.ts";
import type { NpcClient } from "../npc/client.ts";
import { connectNpcs } from "../npc/client.ts";
import type { Source } from "../npc/frames.ts";

export const crowdRule = { guards: 400, ticksPerSecond: 10, deadlineMs: 14 } as const;

/** The router answers by the deadline; what is later is this machine's lateness, and p99 shows it. */
const patienceMs = 2000;

export interface CrowdFigures {
  readonly intentsPerSecond: number;
  /** Share of the answers by where they came from, the most frequent first. */
  readonly sources: readonly (readonly [source: Source | "no answer", share: number])[];
  /** From the frame sent to the frame received, in milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface Crowd {
  /** Of the ticks of the last `overMs`. */
  figures(overMs: number): CrowdFigures;
  stop(): void;
}

interface Guard {
  threat: number;
  distance: number;
  alerted: boolean;
}

interface Tick {
  readonly at: number;
  readonly ms: number;
  readonly sources: ReadonlyMap<Source | "no answer", number>;
}

/** Ticks older than this are forgotten. */
const keptMs = 10_000;

export async function startCrowd(routerUrl: string): Promise<Crowd> {
  const client = await connectNpcs(routerUrl);
  const guards = Array.from(
    { length: crowdRule.guards },
    (): Guard => ({ threat: Math.random(), distance: Math.random() * 25, alerted: false }),
  );
  let ticks: Tick[] = [];

  const tick = async (): Promise<void> => {
    const from = performance.now();
    for (const guard of guards) live(guard);
    const sources = await askAll(client, guards);
    const at = performance.now();
    ticks = [...ticks.filter((each) => each.at > at - keptMs), { at, ms: at - from, sources }];
  };
  const timer = setInterval(() => void tick(), 1000 / crowdRule.ticksPerSecond);

  return {
    figures: (overMs) => figuresOf(ticks, overMs),
    stop() {
      clearInterval(timer);
      client.close();
    },
  };
}

/** What happens to a guard in a tenth of a second: little. */
function live(guard: Guard): void {
  guard.threat = within(0, 1, guard.threat + (Math.random() - 0.5) * 0.1);
  guard.distance = within(0, 25, guard.distance + (Math.random() - 0.5));
  if (Math.random() < 0.01) guard.alerted = guard.threat > 0.5;
}

async function askAll(
  client: NpcClient,
  guards: readonly Guard[],
): Promise<ReadonlyMap<Source | "no answer", number>> {
  const archetype = client.archetypes.archetypes.find(({ name }) => name === "guard");
  if (archetype === undefined) throw new Error("the router does not know the archetype guard");
  const answers = await client.ask(
    guards.map((guard, npc) => ({
      npc,
      archetype: archetype.id,
      situation: situationIn(archetype, guard),
      deadlineMs: crowdRule.deadlineMs,
    })),
    patienceMs,
  );
  const sources = new Map<Source | "no answer", number>();
  const count = (source: Source | "no answer", by: number): void =>
    void sources.set(source, (sources.get(source) ?? 0) + by);
  if (answers === undefined) count("no answer", guards.length);
  else for (const { source } of answers) count(source, 1);
  return sources;
}

const situationIn = (archetype: Archetype, { threat, distance, alerted }: Guard): number =>
  situationOf(archetype, { threat, player_distance: distance, alerted, weather: "fog" });

function figuresOf(all: readonly Tick[], overMs: number): CrowdFigures {
  const since = performance.now() - overMs;
  const ticks = all.filter(({ at }) => at >= since);
  const counts = new Map<Source | "no answer", number>();
  for (const { sources } of ticks)
    for (const [source, count] of sources) counts.set(source, (counts.get(source) ?? 0) + count);
  const asked = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const sorted = ticks.map(({ ms }) => ms).sort((a, b) => a - b);
  const quantile = (q: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
  return {
    intentsPerSecond: asked / (overMs / 1000),
    sources: [...counts]
      .sort(([, a], [, b]) => b - a)
      .map(([source, count]): [Source | "no answer", number] => [source, count / asked]),
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
  };
}

const within = (least: number, most: number, value: number): number => Math.min(most, Math.max(least, value));

/** For a person: `fresh 97 %, stale 2 %, engine 1 %`; less than half a percent is not worth a word. */
export const sourcesText = ({ sources }: CrowdFigures): string =>
  sources
    .filter(([source, share]) => share >= 0.005 || source === "no answer")
    .map(([source, share]) => `${source} ${Math.round(share * 100)} %`)
    .join(", ");
