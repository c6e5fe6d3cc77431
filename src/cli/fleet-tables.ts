// The fleet in tables for people: endpoints, tiers, caches, and the line that says how many hosts there are.

import { cacheNames } from "../base/cache-control.ts";
import type { Endpoint, FleetAnswer, Look } from "./fleet-answers.ts";
import { countText, durationText, plainText, shareText } from "./table.ts";

export interface Column {
  readonly head: string;
  cell(endpoint: Endpoint): string;
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** As seen from here: of streams, else of whole answers (`*`); else its own host's word (`~`). */
function firstByte(stream: number | null, whole: number | null, said: number | null): string {
  if (stream !== null) return durationText(stream);
  if (whole !== null) return `*${durationText(whole)}`;
  return said === null ? "-" : `~${durationText(said)}`;
}

/** The first is never left out. */
export const columns = {
  endpoint: { head: "endpoint", cell: ({ name }) => plainText(name) },
  tier: { head: "tier", cell: ({ tier }) => tier },
  state: {
    head: "state",
    cell: ({ state, there }) => (state === "troubled-there" ? `${there} there` : state),
  },
  pressure: { head: "pressure", cell: ({ pressure }) => percent(pressure) },
  used: { head: "in use", cell: ({ inflight, slots }) => `${inflight}/${slots}` },
  waiting: { head: "waiting", cell: ({ waiting }) => String(waiting) },
  p50: {
    head: "p50",
    cell: (each) => firstByte(each.first_byte_p50_ms, each.whole_p50_ms, each.said_p50_ms),
  },
  p99: { head: "p99", cell: (each) => firstByte(each.first_byte_p99_ms, each.whole_p99_ms, null) },
  breaker: { head: "breaker", cell: ({ breaker }) => breaker },
} as const satisfies Record<string, Column>;

export const rowsOf = (shown: readonly Column[], endpoints: readonly Endpoint[]): string[][] => [
  shown.map(({ head }) => head),
  ...endpoints.map((endpoint) => shown.map(({ cell }) => cell(endpoint))),
];

/** What the marks in the table mean, where there are any. */
export function marksText(rows: readonly (readonly string[])[]): string | undefined {
  const cells = rows.flat();
  const meanings = [
    cells.some((cell) => cell.startsWith("*")) ? "* whole answers: nothing was streamed" : undefined,
    cells.some((cell) => cell.startsWith("~")) ? "~ as its own host says" : undefined,
  ].filter((meaning) => meaning !== undefined);
  return meanings.length === 0 ? undefined : meanings.join("; ");
}

export const byPressure = (fleet: FleetAnswer): readonly Endpoint[] =>
  fleet.members
    .flatMap(({ endpoints }) => endpoints)
    .toSorted((a, b) => b.pressure - a.pressure || (a.name < b.name ? -1 : 1));

/** `gold-1 is ready. 4 hosts: 3 alive, 1 suspect`. */
export function fleetLine({ self, phase, members }: FleetAnswer): string {
  const counts = Map.groupBy(members, ({ state }) => state)
    .entries()
    .map(([state, all]) => `${all.length} ${state}`);
  const hosts = members.length === 1 ? "1 host" : `${members.length} hosts: ${[...counts].join(", ")}`;
  return `${plainText(self)} is ${phase}. ${hosts}`;
}

const takesWork = ({ state }: Endpoint): boolean => state === "ok" || state === "full";

/** A row for each tier that there is, under a head. */
export function tierRows({ members }: FleetAnswer): string[][] {
  const byTier = Map.groupBy(
    members.flatMap(({ endpoints }) => endpoints),
    ({ tier }) => tier,
  );
  const rows = [...byTier].map(([tier, endpoints]) => {
    const used = endpoints.reduce((sum, { inflight }) => sum + inflight, 0);
    const slots = endpoints.reduce((sum, each) => sum + each.slots, 0);
    const available = endpoints.filter(takesWork).length;
    return [tier, String(endpoints.length), String(available), `${used}/${slots}`, percent(used / slots)];
  });
  return [["tier", "endpoints", "available", "in use", "utilization"], ...rows];
}

/** `intents 97.0 % of 1,234 looked up`; of this host only. */
export function cacheWords(caches: Look["caches"]): readonly string[] {
  return cacheNames.map((name) => {
    const { enabled, hit_rate: rate, hits, misses, joins } = caches[name];
    if (enabled === false) return `${name} off`;
    const asked = [hits, misses, joins].reduce<number>((sum, each) => sum + Number(each ?? 0), 0);
    return asked === 0
      ? `${name} not asked yet`
      : `${name} ${shareText(Number(rate ?? 0))} of ${countText(asked)}`;
  });
}
