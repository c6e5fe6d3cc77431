// Which prompt prefixes an engine has seen, by blocks, least recently used first out.
// vLLM keeps such blocks in otherwise free KV memory, so they are not counted as used.

import { tokensPerBlock } from "./scheduler.ts";

export interface PrefixCache {
  /** Tokens of the prompt that need no computing; from now on all of its whole blocks are known. */
  admit(prompt: string, promptTokens: number): number;
}

/** 4 characters a token, see countTokens. */
const charactersPerBlock = tokensPerBlock * 4;

export function createPrefixCache(blocksMax: number): PrefixCache {
  /** A block is known by the hash of everything up to its end; a Map remembers the order of insertion. */
  const known = new Map<number, true>();

  return {
    admit(prompt, promptTokens) {
      if (blocksMax === 0) return 0;
      let hash = 0;
      let cached = 0;
      let unbroken = true;
      for (let at = 0; at + charactersPerBlock <= prompt.length; at += charactersPerBlock) {
        hash = Bun.hash.xxHash32(prompt.slice(at, at + charactersPerBlock), hash);
        unbroken &&= known.delete(hash);
        if (unbroken) cached += tokensPerBlock;
        known.set(hash, true);
      }
      for (const oldest of known.keys()) {
        if (known.size <= blocksMax) break;
        known.delete(oldest);
      }
      // The last token is always computed: its logits are the answer.
      return Math.min(cached, promptTokens - 1);
    },
  };
}
