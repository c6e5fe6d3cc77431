// What to do about a claim that bears our own name: nothing, speak up, or give way to another run of the name.
// A run is another start of the program: a ghost of ours that rumour still knows, or a clone that lives.

import type { Claim } from "./claim.ts";
import { weightOf } from "./claim.ts";

/** Other runs that are told apart. One that is forgotten for it is only outranked once more. */
const runsMost = 8;

export type OwnNameAnswer =
  | "nothing"
  /** Raise our incarnation above the claim's. */
  | "outrank"
  /** The same, and it was a suspicion or worse about ourselves. */
  | "refute"
  /** The same, and another host lives under our name; it is the one that must give way. */
  | "contest"
  /** Another host lives under our name and began later: fall silent. */
  | "yield";

export interface OwnName {
  /** `own` is what we claim. */
  hear(heard: Claim, own: Claim): OwnNameAnswer;
}

export function createOwnName(): OwnName {
  /** Other runs, and the incarnation with which we first outranked each. */
  const outranked = new Map<string, number>();

  return {
    hear(heard, own) {
      if (heard.incarnation < own.incarnation) return "nothing";
      if (heard.boot === own.boot) {
        if (weightOf(heard) > weightOf(own)) return "refute";
        return heard.incarnation > own.incarnation ? "outrank" : "nothing";
      }
      const gone = heard.state === "dead" || heard.state === "left";
      const before = outranked.get(heard.boot);
      // A ghost is silent once outranked; only one that lives answers by outranking us.
      const lives = !gone && before !== undefined && heard.incarnation > before;
      if (lives && heard.boot > own.boot) return "yield";
      if (before === undefined) {
        const oldest = outranked.keys().next().value;
        if (outranked.size >= runsMost && oldest !== undefined) outranked.delete(oldest);
        outranked.set(heard.boot, heard.incarnation + 1);
      }
      return lives ? "contest" : "outrank";
    },
  };
}
