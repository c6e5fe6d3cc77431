// 32-bit hashes: of a text, to tell two configurations apart; of two integers, to draw by a seed. Not for secrets,
// and not where a collision would give a wrong answer.
//
// MurmurHash3_x86_32 with seed 0 by Austin Appleby (public domain; github.com/aappleby/smhasher, MurmurHash3.cpp):
// a text is hashed as its UTF-16 code units, low byte first, so that nothing is encoded and nothing allocated.

const c1 = 0xcc9e2d51;
const c2 = 0x1b873593;

export function hash32(text: string): number {
  const pairs = text.length >>> 1;
  let hash = 0;
  for (let pair = 0; pair < pairs; pair += 1) {
    hash = blend(hash, text.charCodeAt(2 * pair) | (text.charCodeAt(2 * pair + 1) << 16));
  }
  if (text.length % 2 === 1) hash ^= scramble(text.charCodeAt(text.length - 1));
  return finish(hash ^ (2 * text.length));
}

/** The same hash of two 32-bit words. Fractions are cut off, and so is what lies above 32 bits. */
export const mix32 = (a: number, b: number): number => finish(blend(blend(0, a), b) ^ 8);

function scramble(word: number): number {
  const mixed = Math.imul(word, c1);
  return Math.imul((mixed << 15) | (mixed >>> 17), c2);
}

function blend(hash: number, word: number): number {
  const mixed = hash ^ scramble(word);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
