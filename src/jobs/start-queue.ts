// Whose turn it is to be handed over: who had a turn before, then the oldest. Of those that were being handed over when the
// program crashed at most one is under way at a time, so that the one at fault is found out and not all of them poisoned.

export interface Waiting {
  readonly suspect: boolean;
  /** It was its turn once already. */
  readonly hadTurn: boolean;
}

export interface StartQueue<W extends Waiting> {
  add(waiting: W): void;
  /** It may be somewhere else. */
  remove(waiting: W): void;
  /** Takes it out. `suspectUnderWay`: no other suspect now. */
  next(suspectUnderWay: boolean): W | undefined;
  size(): number;
}

/** As long as there are unfinished jobs, which the store bounds. */
export function createStartQueue<W extends Waiting>(): StartQueue<W> {
  const suspects = new Set<W>();
  const before = new Set<W>();
  // Added in the order of acceptance, at the start as well, and a Set keeps it.
  const fresh = new Set<W>();
  const lineOf = (waiting: W) => (waiting.suspect ? suspects : waiting.hadTurn ? before : fresh);

  return {
    add(waiting) {
      lineOf(waiting).add(waiting);
    },
    remove(waiting) {
      suspects.delete(waiting);
      before.delete(waiting);
      fresh.delete(waiting);
    },
    next(suspectUnderWay) {
      for (const line of suspectUnderWay ? [before, fresh] : [suspects, before, fresh]) {
        for (const first of line) {
          line.delete(first);
          return first;
        }
      }
      return undefined;
    },
    size: () => suspects.size + before.size + fresh.size,
  };
}
