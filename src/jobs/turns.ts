// Whose turn it is with the runner, and how many may have theirs at once. What a turn is for is lane.ts's.

import type { BackoffRule } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Gate } from "./gate.ts";
import { createGate } from "./gate.ts";
import type { LaneEntry } from "./lane-entry.ts";
import type { Rests } from "./rests.ts";
import type { Again, JobRunner } from "./runner.ts";
import { createStartQueue } from "./start-queue.ts";

export interface TurnsParts {
  readonly runner: JobRunner;
  /** A turn is the lane's work like any other. */
  readonly rests: Rests;
  readonly clock: Clock;
  readonly random: Random;
  readonly submitsMost: number;
  readonly looksMost: number;
  /** How fast a runner that refuses is asked again. */
  readonly rule: BackoffRule;
  /** Its turn has come; each makes at most one `call`, or writes what is to be written without one. */
  readonly begin: (entry: LaneEntry) => void;
  readonly look: (entry: LaneEntry) => void;
  /** A call threw, which a runner must not. */
  readonly broke: (entry: LaneEntry, error: unknown) => void;
}

interface Outcome {
  readonly kind: string;
}

export interface Call<T extends Outcome> {
  /** `write`: an end is written down with others, and the runner is asked nothing. Counts among the looks. */
  readonly what: "submit" | "look" | "write";
  readonly entry: LaneEntry;
  readonly ask: (signal: AbortSignal, began: () => void) => Promise<T>;
  /** Has a turn of its own soon after `ask` has first said so, unless the call has come back by then. */
  readonly began?: () => void;
  readonly cameBack: (outcome: T | Again) => void;
}

export interface Turns {
  /** Takes its place in the line of its stage. */
  line(entry: LaneEntry): void;
  /** Gives its place up. */
  remove(entry: LaneEntry): void;
  /** Gives turns to whom it can, as soon as the loop has had its rest. */
  next(): void;
  /** Nobody is handed over for a while. */
  shut(): void;
  call<T extends Outcome>(call: Call<T>): void;
  /** The runner, or where results are, has refused the last that was asked of it. */
  isRefused(): boolean;
  /** No more turns. Resolves when all calls have come back. */
  stop(): Promise<unknown>;
}

/** A busy runner is asked again so often. */
const busyLeastMs = 50;
const busyMostMs = 5000;

/**
 * For each line, and for what has come back. Most of that is that a result is not there yet and costs next to nothing; what
 * is written takes the time of a sync, and is the last of its line in this turn.
 */
const turnMs = 1;

const nothing = () => {};

const isFree = ({ stage }: LaneEntry): boolean => stage === "last" || stage === "close" || stage === "lost";

const isAgain = (outcome: Outcome): outcome is Again => outcome.kind === "again";

export function createTurns(parts: TurnsParts): Turns {
  const { runner, rests, clock, random, rule, begin, look, broke } = parts;
  const starts = createStartQueue<LaneEntry>();
  const looks = new Set<LaneEntry>();
  /** They do not wait for a runner that refuses: their ttl is over, or others are asked. */
  const freeLooks = new Set<LaneEntry>();
  const gates = {
    submit: createGate(parts.submitsMost, rule, clock, random),
    look: createGate(parts.looksMost, rule, clock, random),
  };
  const underWay = { submit: 0, look: 0, write: 0 };
  const calls = new Set<Promise<void>>();
  /** At most two per call: begun, and come back. */
  const finished: (() => void)[] = [];
  let suspects = 0;
  let stopped = false;
  let stopWake = nothing;
  let wakeAt = Number.POSITIVE_INFINITY;

  /** The soonest wish holds; none is before the rest is over. */
  function wakeIn(delayMs: number): void {
    const at = clock.now() + delayMs;
    if (stopped || wakeAt <= at) return;
    stopWake();
    wakeAt = at;
    const lineUp = (): void => {
      stopWake = rests.line(turn);
    };
    if (delayMs > 0) stopWake = clock.after(delayMs, lineUp);
    else lineUp();
  }

  function giveLooks(line: Set<LaneEntry>, width: number): void {
    const startedAt = clock.now();
    for (const entry of line) {
      if (underWay.look + underWay.write >= width) return;
      if (clock.now() - startedAt >= turnMs) {
        wakeIn(0);
        return;
      }
      line.delete(entry);
      look(entry);
    }
  }

  /** What has come back, as much as fits, and one hand-over, so that neither keeps the other waiting. */
  function turn(): void {
    wakeAt = Number.POSITIVE_INFINITY;
    giveLooks(freeLooks, parts.looksMost);
    giveLooks(looks, gates.look.width());
    const startedAt = clock.now();
    // What has come back makes room for others, and may have opened a gate.
    if (finished.length > 0) wakeIn(0);
    do finished.shift()?.();
    while (finished.length > 0 && clock.now() - startedAt < turnMs);
    const waitMs = startNext();
    if (looks.size > 0 && gates.look.shutForMs() > 0) wakeIn(gates.look.shutForMs());
    if (waitMs !== undefined) wakeIn(waitMs);
  }

  /** Answers when to come again; undefined: when a call comes back or somebody lines up. */
  function startNext(): number | undefined {
    if (starts.size() === 0) return undefined;
    if (gates.submit.shutForMs() > 0) return gates.submit.shutForMs();
    if (underWay.submit >= gates.submit.width()) return undefined;
    const busyMs = runner.busyMs();
    if (busyMs !== undefined) return Math.min(busyMostMs, Math.max(busyLeastMs, busyMs));
    const entry = starts.next(suspects > 0);
    if (entry === undefined) return undefined;
    begin(entry);
    return 0;
  }

  /** A runner never rejects. One that does must not stop the others' jobs. */
  async function safely<T>(entry: LaneEntry, ask: () => Promise<T>): Promise<T | Again> {
    try {
      return await ask();
    } catch (error) {
      broke(entry, error);
      return { kind: "again", about: "job", afterMs: rule.capMs, why: "asking about it broke" };
    }
  }

  function remove(entry: LaneEntry): void {
    starts.remove(entry);
    looks.delete(entry);
    freeLooks.delete(entry);
  }

  function finishAll(): void {
    for (const finish of finished.splice(0)) finish();
  }

  return {
    line(entry) {
      remove(entry);
      if (entry.stage === "start") starts.add(entry);
      else if (isFree(entry)) freeLooks.add(entry);
      else looks.add(entry);
    },
    remove,
    next: () => wakeIn(0),
    shut: () => gates.submit.refused(0),
    call({ what, entry, ask, began, cameBack }) {
      const cut = new AbortController();
      const isSuspect = what === "submit" && entry.suspect;
      entry.cut = cut;
      underWay[what] += 1;
      if (isSuspect) suspects += 1;
      let stands: "asked" | "began" | "over" = "asked";
      const sayBegan = (): void => {
        if (stands !== "asked" || began === undefined) return;
        stands = "began";
        finished.push(() => {
          if (stands === "began") began();
        });
        wakeIn(0);
      };
      const call = safely(entry, () => ask(cut.signal, sayBegan)).then((outcome) => {
        stands = "over";
        calls.delete(call);
        finished.push(() => {
          underWay[what] -= 1;
          if (isSuspect) suspects -= 1;
          entry.cut = undefined;
          if (what !== "write") settleGate(gates[what], outcome, cut.signal.aborted);
          cameBack(outcome);
        });
        if (stopped) finishAll();
        else wakeIn(0);
      });
      calls.add(call);
    },
    isRefused: () => gates.submit.isRefused() || gates.look.isRefused(),
    stop() {
      stopped = true;
      stopWake();
      finishAll();
      return Promise.all(calls);
    },
  };
}

/** Cut short by us, or of one job's own fault, says nothing about the runner. */
function settleGate(gate: Gate, outcome: Outcome | Again, wasCut: boolean): void {
  if (!isAgain(outcome) || outcome.about === "room") gate.taken();
  else if (!wasCut && outcome.about === "runner") gate.refused(outcome.afterMs);
}
