// Work on one thing goes one after the other; work on different things does not wait for each other.

/** Answers as `work` does. Bounded by those who ask: there are never more keys than they. */
export type InTurn = <Answer>(key: string, work: () => Promise<Answer>) => Promise<Answer>;

const nothing = (): void => undefined;

export function createInTurn(): InTurn {
  const last = new Map<string, Promise<void>>();

  return async (key, work) => {
    const before = last.get(key);
    const turn = before === undefined ? work() : before.then(work);
    const over = turn.then(nothing, nothing);
    last.set(key, over);
    try {
      return await turn;
    } finally {
      if (last.get(key) === over) last.delete(key);
    }
  };
}
