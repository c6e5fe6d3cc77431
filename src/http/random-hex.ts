// Hex digits that nobody can guess, for the ids of requests and traces.

/** Drawn so many at a time: each draw is a call into the runtime. */
const drawnBytes = 4096;

const drawn = Buffer.alloc(drawnBytes);
let digits = "";
let taken = 0;

export function randomHex(length: number): string {
  if (taken + length > digits.length) {
    digits = crypto.getRandomValues(drawn).toString("hex");
    taken = 0;
  }
  taken += length;
  return digits.slice(taken - length, taken);
}
