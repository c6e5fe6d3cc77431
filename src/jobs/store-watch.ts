// Whether the job file takes what is written to it: a store whose last troubles are remembered, for operators.

import type { Clock, Instant } from "../base/clock.ts";
import type { JobStore } from "./store.ts";
import type { Trouble } from "./trouble.ts";

export interface WatchedStore {
  readonly store: JobStore;
  /** The newest that nothing has disproved since; undefined: none. */
  trouble(): Trouble | undefined;
}

/** The lane tries again within a minute what the store has refused: what did not come back is over. */
const troubleLastsMs = 120_000;

export function watchStore(store: JobStore, clock: Pick<Clock, "now">): WatchedStore {
  // Apart, for a file that is nearly full still takes the ends of the jobs in it.
  const accepting = createMemory(clock);
  const changing = createMemory(clock);
  return {
    store: {
      ...store,
      together: (work) => accepting.after(store.together(work)),
      accept: (...args) => accepting.after(store.accept(...args)),
      adopt: (...args) => accepting.after(store.adopt(...args)),
      move: (...args) => changing.after(store.move(...args)),
      cancel: (...args) => changing.after(store.cancel(...args)),
    },
    trouble: () => accepting.trouble() ?? changing.trouble(),
  };
}

type Told = { readonly kind: string } | { readonly kind: "unavailable"; readonly trouble: Trouble };

function createMemory({ now }: Pick<Clock, "now">) {
  let last: { readonly trouble: Trouble; readonly at: Instant } | undefined;
  return {
    after<T extends Told>(told: T): T {
      if ("trouble" in told) last = { trouble: told.trouble, at: now() };
      // The other answers were read, not written.
      else if (told.kind === "stored" || told.kind === "moved") last = undefined;
      return told;
    },
    trouble: () => (last !== undefined && now() - last.at < troubleLastsMs ? last.trouble : undefined),
  };
}
