// One input made of another: a few small changes, as blind as they are many.

import type { Dice } from "./dice.ts";

/** Longer inputs find nothing that shorter ones do not, and take their time. */
export const inputBytesMost = 16_384;

const oddBytes = [0, 1, 9, 10, 13, 32, 34, 44, 58, 91, 92, 93, 123, 125, 127, 128, 255] as const;

/** `other` lends pieces of itself. */
export function mutated(
  input: Uint8Array,
  other: Uint8Array,
  words: readonly [string, ...string[]],
  dice: Dice,
): Uint8Array {
  let bytes = Buffer.from(input);
  const changes = 1 + dice.int(dice.pick([1, 2, 8]));
  for (let change = 0; change < changes; change += 1) {
    const at = dice.int(bytes.length + 1);
    const to = Math.min(bytes.length, at + 1 + dice.int(dice.pick([1, 4, 64])));
    const [before, here, after] = [bytes.subarray(0, at), bytes.subarray(at, to), bytes.subarray(to)];
    switch (dice.int(8)) {
      case 0:
        bytes = Buffer.from(bytes);
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << dice.int(8));
        break;
      case 1:
        bytes = Buffer.concat([before, Buffer.of(dice.pick(oddBytes)), after]);
        break;
      case 2:
        bytes = Buffer.concat([before, after]);
        break;
      case 3:
        bytes = Buffer.concat([before, here, here, here, after]);
        break;
      case 4:
        bytes = Buffer.from(before);
        break;
      case 5: {
        const from = dice.int(other.length + 1);
        bytes = Buffer.concat([before, other.subarray(from, from + 1 + dice.int(64)), after]);
        break;
      }
      case 6:
        bytes = Buffer.concat([before, Buffer.from(dice.pick(words)), bytes.subarray(at)]);
        break;
      default:
        bytes = Buffer.concat([before, Buffer.from(dice.pick(words)), after]);
    }
  }
  return Uint8Array.from(bytes.subarray(0, inputBytesMost));
}
