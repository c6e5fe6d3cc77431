// Everything that a fuzz target decides by chance, out of one seed.

import { seededRandom } from "../../src/base/random.ts";

export interface Dice {
  /** A whole number from 0 to below `below`. */
  int(below: number): number;
  chance(share: number): boolean;
  pick<const T>(from: readonly [T, ...T[]]): T;
  /** As many as `most`, often few. */
  some<T>(most: number, make: (index: number) => T): T[];
  bytes(most: number): Uint8Array;
}

export function diceOf(seed: number): Dice {
  const random = seededRandom(seed);
  const int = (below: number): number => Math.floor(random() * below);
  const some = <T>(most: number, make: (index: number) => T): T[] =>
    Array.from({ length: int(1 + int(most + 1)) }, (_, index) => make(index));
  return {
    int,
    chance: (share) => random() < share,
    pick: (from) => from[int(from.length)] ?? from[0],
    some,
    bytes: (most) => Uint8Array.from(some(most, () => int(256))),
  };
}

/** The same for the same bytes, so that a case is what it is wherever it is run. */
export const diceFor = (input: Uint8Array): Dice => diceOf(Bun.hash.crc32(input));

/** `whole` in pieces of any length. */
export function piecesOf(whole: Uint8Array, dice: Dice): Uint8Array[] {
  const most = dice.pick([1, 3, 16, 200, 5000]);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < whole.length; ) {
    const end = Math.min(whole.length, at + 1 + dice.int(most));
    // A copy each: whoever reads may write in it.
    pieces.push(whole.slice(at, end));
    at = end;
  }
  return pieces;
}
