// Whose turn it is: everybody once, in an order that is shuffled anew each time round.
// Round robin bounds how long a member can go unvisited; the shuffle keeps routers from visiting in step.

import type { Random } from "../base/random.ts";

export interface TurnOrder {
  /** The next of `names()` that `wanted` accepts; undefined where it accepts none of them. */
  next(wanted: (name: string) => boolean): string | undefined;
  /** A new one takes its turn in this round, or everybody else's would come first: in a large fleet over a minute. */
  add(name: string): void;
}

export function createTurnOrder(names: () => readonly string[], random: Random): TurnOrder {
  let round: string[] = [];
  return {
    next(wanted) {
      // Twice: what is left of this round, and one whole round more.
      for (let rounds = 0; rounds < 2; rounds += 1) {
        for (let name = round.pop(); name !== undefined; name = round.pop()) {
          if (wanted(name)) return name;
        }
        round = shuffled(names(), random);
      }
      return undefined;
    },
    add(name) {
      // Before the first round there is none to take part in.
      if (round.length === 0 || round.includes(name)) return;
      round.splice(Math.floor(random() * (round.length + 1)), 0, name);
    },
  };
}

/** A new array; Fisher-Yates. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const deck = [...items];
  for (let last = deck.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    const [a, b] = [deck[last], deck[other]];
    if (a === undefined || b === undefined) continue;
    deck[last] = b;
    deck[other] = a;
  }
  return deck;
}
