// JSON as bytes: numbers and texts as JavaScript writes them, in a buffer that grows and is used again.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createJsonBytes, pieceOf } from "../../src/http/json-bytes.ts";

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** A number and the separator that shows where it ends. */
const semicolon = pieceOf(";");

describe("number", () => {
  const json = createJsonBytes();
  const writes = (values: readonly number[]): string => {
    json.clear();
    for (const value of values) {
      json.number(value);
      json.put(semicolon);
    }
    return textOf(json.take(0));
  };
  const expected = (values: readonly number[]): string => values.map((value) => `${value};`).join("");

  test("writes every number at the edges of its digits as String does", () => {
    const powers = Array.from({ length: 23 }, (_, power) => 10 ** power);
    const edges = [...powers, 2 ** 31, 2 ** 32, 2 ** 53].flatMap((edge) => [edge - 1, edge, edge + 1]);
    const all = [...edges, ...edges.map((edge) => -edge), 0, -0, 0.5, 10_203, 100_000_001];
    expect(writes(all)).toBe(expected(all));
  });

  test("writes every number as String does", () => {
    const numbers = fc.oneof(
      fc.integer(),
      fc.maxSafeNat(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
    );
    fc.assert(fc.property(fc.array(numbers), (values) => expect(writes(values)).toBe(expected(values))));
  });
});

describe("share", () => {
  test("writes each of the ten thousand shares, and 0 and 1, as String does", () => {
    const json = createJsonBytes();
    const shares = Array.from({ length: 10_001 }, (_, rank) => rank / 10_000);
    for (const share of shares) {
      json.share(share);
      json.put(semicolon);
    }
    expect(textOf(json.take(0))).toBe(shares.map((share) => `${share};`).join(""));
  });

  test("rounds to four places", () => {
    const json = createJsonBytes();
    json.share(0.823_456);
    expect(textOf(json.take(0))).toBe("0.8235");
  });
});

describe("put and text", () => {
  test("write one after the other whatever is put, however much it is", () => {
    const parts = fc.array(
      fc.tuple(fc.string({ unit: "grapheme" }), fc.boolean(), fc.constantFrom(1, 20_000)),
    );
    fc.assert(
      fc.property(parts, (all) => {
        const json = createJsonBytes();
        for (const [part, prepared, times] of all) {
          if (prepared) json.put(pieceOf(part.repeat(times)));
          else json.text(part.repeat(times));
        }
        expect(textOf(json.take(0))).toBe(all.map(([part, , times]) => part.repeat(times)).join(""));
      }),
      { numRuns: 50 },
    );
  });
});

describe("take", () => {
  test("takes off what is new and leaves what was there, to be gone on with", () => {
    const json = createJsonBytes();
    json.text("[1,");
    const { length } = json;
    json.text("another's");
    expect(textOf(json.take(length))).toBe("another's");
    json.text("2]");
    expect(textOf(json.take(0))).toBe("[1,2]");
    expect(json.length).toBe(0);
  });

  test("leaves nothing of what was left behind once it is cleared", () => {
    const json = createJsonBytes();
    json.text("x".repeat(1_000_000));
    json.clear();
    json.text("y");
    expect(textOf(json.take(0))).toBe("y");
  });
});
