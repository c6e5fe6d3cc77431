// Whether the router takes requests, and how many it is still answering.

import type { Instant } from "../base/clock.ts";

export type Phase = "starting" | "ready" | "draining";

export interface Lifecycle {
  readonly phase: Phase;
  /** Requests whose answer is not complete; intents only while they wait for an engine. */
  readonly active: number;
  /** Of those, while it drains, the ones that began before: what came since is sent to peers and may never cease. */
  readonly remaining: number;
  /** The process has been told to end: a drain that cannot be taken back. */
  readonly ending: boolean;
  /** What was left has been cut: nothing is taken any more, for peers neither. */
  readonly over: boolean;
  enter(phase: Phase): void;
  end(): void;
  /** Calls `listener` once, when a drain begins, now where one is under way; the returned function forgets it. */
  onDrain(listener: () => void): () => void;
  /** The same, when the process has been told to end. */
  onEnding(listener: () => void): () => void;
  /** When the last one came that a load balancer had sent here. */
  readonly lastArrivalAt: Instant;
  /** A request begins; the returned function ends it, once. `arrivedAt`: it is of those that go elsewhere when told to. */
  begin(cut: () => void, arrivedAt?: Instant): () => void;
  /** Resolves when everything has ended that is active now. */
  settled(): Promise<void>;
  /** Resolves when nothing is active. */
  idle(): Promise<void>;
  /** Ends everything that is still active, each with an honest error, and takes nothing after. Answers how many there were. */
  cutAll(): number;
}

/** For what ends by its own deadline, soon, and with an answer. */
export const nothingToCut = (): void => undefined;

interface Waiting {
  /** Of those that run. */
  readonly until: Set<() => void>;
  readonly resolve: () => void;
}

export function createLifecycle(): Lifecycle {
  const running = new Set<() => void>();
  let phase: Phase = "starting";
  let ending = false;
  let over = false;
  let lastArrivalAt = Number.NEGATIVE_INFINITY;
  let waiting: Waiting[] = [];
  /** Those that ran when the drain began. */
  let staying = new Set<() => void>();
  const drainListeners = createListeners();
  const endListeners = createListeners();

  const whenEmpty = (until: Set<() => void>): Promise<void> =>
    until.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push({ until, resolve }));

  const lifecycle: Lifecycle = {
    get phase() {
      return phase;
    },
    get ending() {
      return ending;
    },
    get over() {
      return over;
    },
    get active() {
      return running.size;
    },
    get remaining() {
      return phase === "draining" ? staying.size : running.size;
    },
    enter(next) {
      const begins = next === "draining" && phase !== next;
      phase = next;
      if (!begins) return;
      staying = new Set(running);
      drainListeners.tell();
    },
    end() {
      lifecycle.enter("draining");
      ending = true;
      endListeners.tell();
    },
    onDrain: (listener) => drainListeners.add(listener, phase === "draining"),
    onEnding: (listener) => endListeners.add(listener, ending),
    get lastArrivalAt() {
      return lastArrivalAt;
    },
    begin(cut, arrivedAt = lastArrivalAt) {
      lastArrivalAt = arrivedAt;
      // A function of its own for each request, since two may share what cuts them.
      const entry = (): void => cut();
      running.add(entry);
      return () => {
        running.delete(entry);
        staying.delete(entry);
        if (waiting.length === 0) return;
        waiting = waiting.filter(({ until, resolve }) => {
          until.delete(entry);
          if (until.size === 0) resolve();
          return until.size > 0;
        });
      };
    },
    settled: () => whenEmpty(new Set(running)),
    idle: () => whenEmpty(running),
    cutAll() {
      over = true;
      const all = [...running];
      for (const cut of all) cut();
      return all.length;
    },
  };
  return lifecycle;
}

/** Each is called once. */
function createListeners() {
  const all = new Set<() => void>();
  return {
    add(listener: () => void, isNow: boolean): () => void {
      // A function of its own for each, since two may share a listener.
      const entry = (): void => listener();
      if (isNow) entry();
      else all.add(entry);
      return () => void all.delete(entry);
    },
    tell(): void {
      const told = [...all];
      all.clear();
      for (const listener of told) listener();
    },
  };
}
