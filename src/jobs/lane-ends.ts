// How a job leaves: ended, cancelled, or to another host. Where others may have it they are asked before an end is written
// down, for what is written down is seen.

import type { Clock } from "../base/clock.ts";
import type { Job } from "./job.ts";
import { isEnd } from "./job.ts";
import type { LaneEntry } from "./lane-entry.ts";
import { stageOf } from "./lane-entry.ts";
import type { Flow } from "./lane-flow.ts";
import type { Again } from "./runner.ts";
import type { AnyEnding, Found, JobStore, Moved } from "./store.ts";
import type { Crowded, Together } from "./together.ts";
import type { Trouble } from "./trouble.ts";
import type { Turns } from "./turns.ts";

/** What became of an end at those who must know it before us. */
export type Closing =
  /** What stands there, and may have been seen: ours, or an end of before (a crash came between, or a cancel was first). */
  | { readonly kind: "closed"; readonly end: AnyEnding }
  /** Another host has the job: its row is forgotten, and nothing is shown. */
  | { readonly kind: "lost"; readonly member: string }
  | (Again & { readonly about: "job" });

/** Nothing has changed, and the job goes on. */
interface NotNow {
  readonly kind: "not-now";
  readonly why: string;
}

export type Cancelled =
  | Moved
  /** Another host has it; it is forgotten here. */
  | { readonly kind: "lost"; readonly member: string }
  | NotNow
  /** It has ended, as others know, and that is still to be written down here. */
  | { readonly kind: "not-yet"; readonly why: string };

export type EndsEvent =
  /** Another host has it now. */
  | { readonly kind: "lost"; readonly id: string; readonly member: string }
  | { readonly kind: "trouble"; readonly trouble: Trouble }
  /** What must not throw threw. */
  | { readonly kind: "broke"; readonly id: string; readonly error: unknown };

export type CloseJob = (job: Job, end: AnyEnding, signal: AbortSignal) => Promise<Closing>;

export interface EndsParts {
  readonly flow: Flow;
  readonly store: JobStore;
  readonly together: Together;
  readonly turns: Turns;
  readonly outlives: boolean;
  readonly clock: Clock;
  /** Undefined: nobody else can have the job. */
  readonly closing: CloseJob | undefined;
  readonly tell: (event: EndsEvent) => void;
  /** From then on the store may be closed. */
  readonly stopped: AbortSignal;
}

export interface Ends {
  end(entry: LaneEntry, job: Job, to: AnyEnding): void;
  /** Called on its turn, in stage close or lost. */
  leave(entry: LaneEntry): void;
  /** Whether it is forgotten; else it will be, where there is an entry. Never rejects. */
  lose(id: string, member: string): Promise<boolean>;
  cancel(id: string): Promise<Cancelled>;
}

/** Where too much waits for the disk. */
const crowdedAgainMs = 100;

const nothing = (): void => undefined;

/** Results that wait until they may be written down. More are let go: they are looked for, or done, once more. */
const heldBytesMost = 64 * 1024 * 1024;

export function createEnds(parts: EndsParts): Ends {
  const { flow, store, together, turns, outlives, clock, closing, tell, stopped } = parts;

  function end(entry: LaneEntry, job: Job, to: AnyEnding): void {
    if (closing === undefined) {
      writeDown(entry, job, to);
      return;
    }
    entry.stage = "close";
    flow.hold(entry, to);
    flow.soon(entry);
  }

  function close(entry: LaneEntry, to: AnyEnding, ask: CloseJob): void {
    const job = flow.rowOf(entry, store.get);
    if (job === undefined) return;
    turns.call<Closing>({
      what: "look",
      entry,
      ask: (signal) => ask(job, to, signal),
      cameBack: (closed) => {
        if (!entry.gone && !stopped.aborted) closedAs(entry, job, closed);
      },
    });
  }

  function closedAs(entry: LaneEntry, job: Job, closed: Closing | Again): void {
    if (closed.kind === "lost") void lose(job.id, closed.member);
    else if (closed.kind === "again") {
      if (entry.end?.to === "done" && flow.heldBytes() > heldBytesMost) letGo(entry, job);
      flow.refused(entry, closed);
    } else writeDown(entry, job, closed.end);
  }

  /** What came together expires together: a sync each, with its rest, would take minutes for ten thousand. */
  function writeDown(entry: LaneEntry, job: Job, to: AnyEnding): void {
    if (to.to !== "expired") {
      flow.follow(entry, write(job, to));
      return;
    }
    turns.call<Moved | Crowded>({
      what: "write",
      entry,
      ask: () => together.write(0, () => write(job, to), nothing),
      cameBack(outcome) {
        if (entry.gone || stopped.aborted) return;
        if (outcome.kind === "again") flow.refused(entry, outcome);
        else if (outcome.kind === "crowded") flow.later(entry, crowdedAgainMs);
        else flow.follow(entry, outcome);
      },
    });
  }

  const write = ({ id, fence }: Job, end: AnyEnding): Moved =>
    end.to === "cancelled" ? store.cancel(id, end.endedAtMs) : store.move(id, fence, end);

  function letGo(entry: LaneEntry, job: Job): void {
    flow.hold(entry, undefined);
    entry.stage = clock.now() < entry.expiresAt ? stageOf(job, outlives) : "last";
  }

  /** With whatever else is to be written down now: a host that was away may have lost all its jobs. */
  async function forget(id: string, member: string): Promise<Found<unknown> | Crowded | undefined> {
    try {
      return await together.write(
        0,
        () => store.forget(id),
        (gone) => {
          const entry = flow.entries.get(id);
          if (gone.kind === "unavailable") return;
          if (entry !== undefined) flow.drop(entry);
          if (gone.value !== "forgotten") return;
          tell({ kind: "lost", id, member });
          flow.wake(id);
        },
      );
    } catch (error) {
      tell({ kind: "broke", id, error });
      return undefined;
    }
  }

  async function lose(id: string, member: string): Promise<boolean> {
    const gone = await forget(id, member);
    if (gone?.kind === "found") return true;
    const trouble = gone?.kind === "unavailable" ? gone.trouble : undefined;
    const entry = flow.entries.get(id);
    if (entry !== undefined) flow.leaveLost(entry, member, trouble);
    else if (trouble !== undefined) tell({ kind: "trouble", trouble });
    return false;
  }

  /** Whoever may not throw and does must not take the job out of the world. */
  async function askToCancel(job: Job, ask: CloseJob): Promise<Closing> {
    try {
      return await ask(job, { to: "cancelled", endedAtMs: clock.wallMs() }, stopped);
    } catch (error) {
      tell({ kind: "broke", id: job.id, error });
      const why = "Asking S3 who has the job broke; the log has the reason.";
      return { kind: "again", about: "job", afterMs: 0, why };
    }
  }

  /** Written with whatever else callers want written down now. */
  async function written(change: () => Moved): Promise<Moved | NotNow> {
    const outcome = await together.write(0, change, (moved) => {
      if (moved.kind === "moved") flow.ended(moved.job);
    });
    if (outcome.kind !== "crowded") return outcome;
    return { kind: "not-now", why: "More arrives than the disk of this host takes at once." };
  }

  /** Out of the flow while others are asked, so that it does not end otherwise meanwhile. */
  async function cancelEverywhere(job: Job, ask: CloseJob): Promise<Cancelled> {
    const entry = flow.entries.get(job.id);
    if (entry?.stage === "close" || entry?.stage === "lost")
      return { kind: "not-now", why: "The job is coming to its end just now." };
    if (entry !== undefined) flow.drop(entry);
    const closed = await askToCancel(job, ask);
    if (stopped.aborted)
      return { kind: closed.kind === "closed" ? "not-yet" : "not-now", why: "This router is stopping." };
    if (closed.kind === "closed") return await endAs(job, closed.end);
    if (closed.kind === "again") {
      goOn(job);
      return { kind: "not-now", why: closed.why };
    }
    if (!(await lose(job.id, closed.member))) goOn(job);
    return closed;
  }

  /** Its row may have changed meanwhile; whoever has its turn looks. Undefined: somebody else sees to it. */
  function goOn(job: Job): LaneEntry | undefined {
    if (flow.entries.has(job.id)) return undefined;
    flow.enter(job, false);
    return flow.entries.get(job.id);
  }

  /** Others know it as ended so. */
  async function endAs(job: Job, to: AnyEnding): Promise<Cancelled> {
    const ended = await written(() => write(job, to));
    if (ended.kind === "moved")
      return ended.job.state === "cancelled" ? ended : { kind: "refused", job: ended.job };
    // Another cancel was written down first.
    if (ended.kind === "refused" && (ended.job === undefined || isEnd(ended.job.state))) return ended;
    const entry = goOn(job);
    if (entry !== undefined) end(entry, job, to);
    if (ended.kind === "refused") return ended;
    return { kind: "not-yet", why: ended.kind === "unavailable" ? ended.trouble.message : ended.why };
  }

  return {
    end,
    leave(entry) {
      if (entry.end !== undefined && closing !== undefined) close(entry, entry.end, closing);
      else if (entry.lostTo !== undefined) void lose(entry.id, entry.lostTo);
    },
    lose,
    async cancel(id) {
      if (closing === undefined) return written(() => store.cancel(id, clock.wallMs()));
      const found = store.get(id);
      if (found.kind === "unavailable") return found;
      const job = found.value;
      if (job === undefined || isEnd(job.state)) return { kind: "refused", job };
      return cancelEverywhere(job, closing);
    },
  };
}
