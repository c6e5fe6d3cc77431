import { describe, expect, test } from "bun:test";
import { readGossipKeys } from "../../src/host/gossip-keys.ts";

const first = "0123456789abcdef";
const second = "fedcba9876543210";

describe("the file with the secret of the fleet", () => {
  const good: readonly [string, text: string, keys: readonly string[]][] = [
    ["one line", `${first}\n`, [first]],
    ["two lines, in their order", `${second}\n${first}\n`, [second, first]],
    [
      "blank lines, spaces around and line ends of another system",
      `\r\n ${first} \r\n\r\n${second}`,
      [first, second],
    ],
    ["a line that starts with #", `# the new one\n${second}\n#${first}x\n${first}\n`, [second, first]],
    ["sixteen bytes that are fewer characters", "ääääääää", ["ääääääää"]],
  ];
  for (const [title, text, keys] of good) {
    test(`may hold ${title}`, () => {
      const reading = readGossipKeys(text);
      expect(reading.ok && reading.keys.map((key) => new TextDecoder().decode(key))).toEqual([...keys]);
    });
  }

  const bad: readonly [string, text: string, why: string][] = [
    ["nothing", " \n\n", "holds no secret"],
    ["what the unit hands over where there is no file", "#", "holds no secret"],
    ["a short secret", `${first}\n\nshort-secret\n`, "line 3 is shorter than 16 bytes"],
    ["three secrets", `${first}\n${second}\n${first}x`, "holds 3 lines, and a fleet has one secret or two"],
    ["one secret twice", `${first}\n${first}\n`, "holds the same secret twice"],
  ];
  for (const [title, text, why] of bad) {
    test(`is refused with ${title}, in words that hold no secret`, () => {
      const reading = readGossipKeys(text);
      expect(reading).toMatchObject({ ok: false, why });
      expect(JSON.stringify(reading)).not.toMatch(/0123456789|fedcba|short-secret/);
    });
  }
});
