// How long a suspect has to speak up. The formula beside the timer, not in it (memberlist's, with other figures).

export const suspicionRule = {
  /** A pause of 4 s must never kill, whoever measures it. */
  leastMs: 4000,
  /** Times log10 of the members: news needs that long to reach a large fleet and come back. */
  perLog10Ms: 3000,
  /** A suspect that one router alone accuses has this many times longer. */
  mostTimesLeast: 4,
  /** Further accusers that take the time down to the least. */
  confirmations: 2,
} as const;

export function suspicionLeastMs(members: number): number {
  return Math.max(suspicionRule.leastMs, suspicionRule.perLog10Ms * Math.log10(Math.max(1, members)));
}

/** From the first accusation to death, in a fleet of `members`, with so many accusers besides the first. */
export function suspicionMs(members: number, confirmations: number): number {
  const least = suspicionLeastMs(members);
  const needed = suspicionRule.confirmations;
  // Without the suspect and the first accuser nobody is left who could confirm.
  if (members - 2 < needed) return least;
  const most = suspicionRule.mostTimesLeast * least;
  const share = Math.log(confirmations + 1) / Math.log(needed + 1);
  return Math.max(least, most - share * (most - least));
}
