// The fleet, as far as jobs care: who is there, and who no more.

/** `left`: it said goodbye. */
export interface KnownMember {
  readonly name: string;
  readonly state: "alive" | "suspect" | "dead" | "left";
}

/** A suspect may yet refute it. */
export const isPresent = ({ state }: KnownMember): boolean => state === "alive" || state === "suspect";
