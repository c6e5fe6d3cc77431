// What a fuzzer needs of a parser: inputs that come near to what it reads, and what must hold whatever comes.

import type { Dice } from "./dice.ts";

export interface Target {
  /** Its inputs are kept in `corpus/<name>.jsonl`. */
  readonly name: string;
  /** An input by the grammar of what is read, mostly right. */
  generate(dice: Dice): Uint8Array;
  /** What mutations put in. */
  readonly words: readonly [string, ...string[]];
  /**
   * Throws where something is wrong. Answers in a word or two how it went: an input that went as none before it is kept
   * and mutated on.
   */
  check(input: Uint8Array, dice: Dice): string;
}

export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
export const latin1Of = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
