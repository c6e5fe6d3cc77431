// JSON that is written as bytes: it says what JSON.stringify would have said, whatever is written, in whatever order.

import { createJsonBytes, pieceOf } from "../../../src/http/json-bytes.ts";
import { diceFor } from "../dice.ts";
import type { Target } from "../target.ts";
import { bytesOf, must, textOf } from "../target.ts";

const json = createJsonBytes();

export const jsonBytes: Target = {
  name: "json-bytes",
  generate: (dice) => dice.bytes(200),
  words: ["0000", "éé", "\0\0\0\0", "💥", "zzzzzzzzzzzz"],
  check(input) {
    const dice = diceFor(input);
    // Now and then more than the buffer has room for.
    const text = textOf(input).repeat(dice.chance(0.002) ? 2_000 : 1);
    let expected = "";
    json.clear();
    for (let step = 0; step < 12; step += 1) {
      const part = text
        .slice(dice.int(text.length + 1))
        .slice(0, dice.int(text.length > 16_384 ? 300_000 : 40));
      const number = dice.pick([
        dice.int(10),
        dice.int(10_001),
        dice.int(1e9),
        2 ** 31 - 1,
        2 ** 31,
        2 ** 53,
        -dice.int(1e6),
        dice.int(1e6) / 1024,
      ]);
      const share = dice.pick([0, 1, dice.int(10_001) / 10_000, dice.int(1e9) / 1e9]);
      switch (dice.int(4)) {
        case 0:
          json.text(part);
          expected += part.toWellFormed();
          break;
        case 1:
          json.put(pieceOf(part));
          expected += part.toWellFormed();
          break;
        case 2:
          json.number(number);
          expected += String(number);
          break;
        default:
          json.share(share);
          expected += String(Math.round(share * 10_000) / 10_000);
      }
    }
    const bytes = json.take(0);
    must(Buffer.from(bytes).equals(Buffer.from(bytesOf(expected))), `another text: ${textOf(bytes)}`);
    return String(Math.min(20, expected.length >> 3));
  },
};
