// Whether the router takes requests, and how many it is still answering.

export type Phase = "starting" | "ready" | "draining";

export interface Lifecycle {
  readonly phase: Phase;
  /** Requests whose answer is not complete; intents only while they wait for an engine. */
  readonly active: number;
  /** The process has been told to end: a drain that cannot be taken back. */
  readonly ending: boolean;
  enter(phase: Phase): void;
  end(): void;
  /** A request begins; the returned function ends it, once. */
  begin(cut: () => void): () => void;
  /** Resolves when nothing is active. */
  idle(): Promise<void>;
  /** Ends everything that is still active, each with an honest error. Answers how many there were. */
  cutAll(): number;
}

/** For what ends by its own deadline, soon, and with an answer. */
export const nothingToCut = (): void => undefined;

export function createLifecycle(): Lifecycle {
  const running = new Set<() => void>();
  let phase: Phase = "starting";
  let ending = false;
  let waiting: (() => void)[] = [];

  return {
    get phase() {
      return phase;
    },
    get ending() {
      return ending;
    },
    get active() {
      return running.size;
    },
    enter(next) {
      phase = next;
    },
    end() {
      phase = "draining";
      ending = true;
    },
    begin(cut) {
      // A function of its own for each request, since two may share what cuts them.
      const entry = (): void => cut();
      running.add(entry);
      return () => {
        running.delete(entry);
        if (running.size > 0) return;
        for (const resolve of waiting) resolve();
        waiting = [];
      };
    },
    idle: () => (running.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    cutAll() {
      const all = [...running];
      for (const cut of all) cut();
      return all.length;
    },
  };
}
