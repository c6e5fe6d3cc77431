// A claim: what one router says about one member. It travels as plain data and is never changed, only replaced.

/** Of two claims about one life of a member, the later in this order wins. */
export const memberStates = ["alive", "suspect", "dead", "left"] as const;
export type MemberState = (typeof memberStates)[number];

/** Fields that we do not know are kept and passed on, so that a newer version can speak through us. */
export interface Claim {
  readonly name: string;
  /** Which run of the program this is; of two runs of one name the greater began later. */
  readonly boot: string;
  /** Where its gossip listener is reached. */
  readonly address: string;
  /** Raised only by the member itself. */
  readonly incarnation: number;
  readonly state: MemberState;
  /** The version of `meta`, raised by the member with each change. */
  readonly seq: number;
  /** What the member says of itself; nobody here looks inside. Absent where the receiver has this `seq` already. */
  readonly meta?: unknown;
  /** Who found it unreachable, at most `accusersMost`. */
  readonly accusers?: readonly string[];
  /** What the first of them saw, for the log. */
  readonly why?: string;
}

/** The first accuser and the confirmations that shorten the suspicion; more of them change nothing. */
export const accusersMost = 3;

/** How much a claim weighs against another of the same incarnation; an accusation grows with its accusers. */
export function weightOf(claim: Claim): number {
  if (claim.state === "alive") return 0;
  if (claim.state === "suspect") return 1 + Math.min(claim.accusers?.length ?? 0, accusersMost);
  return claim.state === "dead" ? accusersMost + 2 : accusersMost + 3;
}
