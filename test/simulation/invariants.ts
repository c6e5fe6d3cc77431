// What must hold after every event, whatever the network and the hosts do. One inspector watches one world.

import { weightOf } from "../../src/cluster/claim.ts";
import { dampingRule } from "../../src/cluster/damping.ts";
import { messageBounds } from "../../src/cluster/messages.ts";
import { suspicionRule } from "../../src/cluster/suspicion.ts";
import type { Run, World } from "./world.ts";

interface Seen {
  readonly incarnation: number;
  readonly weight: number;
  readonly seq: number;
  readonly boot: string;
  readonly suspectSince: number | undefined;
}

interface Watched {
  readonly seen: Map<string, Seen>;
  failedProbes: number;
  told: number;
  /** When what a member is held for changed. */
  readonly changes: Map<string, number[]>;
}

/** Three changes, a hold, and whatever bad news came on top. */
const changesPerMinuteMost = 8;

export function createInspector(): (world: World, run: Run) => void {
  const watched = new Map<Run, Watched>();
  /** The highest incarnation that each name has given itself. */
  const issued = new Map<string, number>();
  /** Who has found whom unreachable, by a failed probe of its own. */
  const accusations = new Set<string>();

  return (world, run) => {
    const state = watched.get(run) ?? { seen: new Map(), failedProbes: 0, told: 0, changes: new Map() };
    watched.set(run, state);
    issued.set(run.name, Math.max(issued.get(run.name) ?? 0, run.gossip.incarnation));
    const probeFailed = run.gossip.counters.probes.failed > state.failedProbes;
    state.failedProbes = run.gossip.counters.probes.failed;

    const members = run.gossip.members();
    must(members.length <= messageBounds.members, "the table stays within its bound");

    for (const member of members) {
      const { claim } = member;
      const { name, incarnation, boot, seq } = claim;
      const weight = weightOf(claim);
      if (name === run.name) {
        must(
          claim.state === "alive" || claim.state === "left",
          `${name} believes itself ${claim.state}; it must refute or leave`,
        );
        continue;
      }
      const before = state.seen.get(name);
      if (
        before !== undefined &&
        before.incarnation === incarnation &&
        before.weight === weight &&
        before.seq === seq
      )
        continue;
      must(
        incarnation <= (issued.get(name) ?? 0),
        `${run.name} knows ${name} at an incarnation that ${name} never gave itself`,
      );
      if (before !== undefined) {
        const back =
          incarnation < before.incarnation ||
          (incarnation === before.incarnation && boot === before.boot && weight < before.weight) ||
          (boot === before.boot && seq < before.seq);
        must(!back, `old news of ${name} changed what ${run.name} knows`);
      }
      for (const accuser of claim.accusers ?? []) {
        const accusation = `${accuser} of ${name} at ${incarnation}`;
        if (accusations.has(accusation)) continue;
        must(
          accuser === run.name && probeFailed,
          `${accusation}, as ${run.name} knows it, without a failed probe`,
        );
        accusations.add(accusation);
      }
      const since = before?.incarnation === incarnation ? before.suspectSince : undefined;
      const suspectSince = claim.state === "suspect" ? (since ?? world.now) : since;
      state.seen.set(name, { incarnation, weight, seq, boot, suspectSince });
    }

    for (; state.told < run.told.length; state.told += 1) {
      const told = run.told[state.told];
      if (told === undefined) break;
      const { event, who } = told;
      if (event.kind === "dead" && event.heardFrom === undefined) {
        const since = state.seen.get(who)?.suspectSince;
        must(
          since !== undefined && told.at - since >= suspicionRule.leastMs,
          `${run.name} declared ${who} dead ${since === undefined ? "unsuspected" : `after ${told.at - since} ms`}`,
        );
      }
      if (event.kind === "forgotten") {
        state.seen.delete(who);
        state.changes.delete(who);
      }
      if (
        event.kind === "suspected" ||
        event.kind === "dead" ||
        event.kind === "refuted" ||
        event.kind === "left"
      ) {
        const recent = (state.changes.get(who) ?? []).filter(
          (at: number) => told.at - at < dampingRule.windowMs,
        );
        recent.push(told.at);
        must(
          recent.length <= changesPerMinuteMost,
          `${run.name} changed its mind about ${who} ${recent.length} times in a minute`,
        );
        state.changes.set(who, recent);
      }
    }
  };
}

function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}
