// The one place that rolls dice. Everything else is handed a Random, so that a failing seed reproduces.

/** Uniform in [0, 1). */
export type Random = () => number;

export const systemRandom: Random = () => Math.random();

/** mulberry32: 32 bits of state, good enough for jitter and choice, never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
