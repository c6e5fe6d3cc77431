// The hash against its published vectors and against another implementation of the same.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { hash32, mix32 } from "../../src/base/hash32.ts";

/** Two characters of one byte each are one UTF-16 code unit: "te" is 0x6574. */
const packed = (bytes: string): string => Buffer.from(bytes, "latin1").toString("utf16le");

describe("hash32", () => {
  const published: readonly (readonly [bytes: string, hash: number])[] = [
    ["", 0],
    ["test", 0xba6bd213],
    ["The quick brown fox jumps over the lazy dog.", 0xd5c48bfc],
  ];
  for (const [bytes, hash] of published) {
    test(`of ${JSON.stringify(bytes)} is MurmurHash3's ${hash.toString(16)}`, () => {
      expect(hash32(packed(bytes))).toBe(hash);
    });
  }

  test("is MurmurHash3 of the text's UTF-16 for any text, lone surrogates included", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)) }), (text) => {
        expect(hash32(text)).toBe(Bun.hash.murmur32v3(Buffer.from(text, "utf16le")));
      }),
    );
  });
});

describe("mix32", () => {
  test("is MurmurHash3 of the two words", () => {
    const word = fc.nat(0xffff_ffff);
    fc.assert(
      fc.property(word, word, (a, b) => {
        const bytes = Buffer.alloc(8);
        bytes.writeUInt32LE(a, 0);
        bytes.writeUInt32LE(b, 4);
        expect(mix32(a, b)).toBe(Bun.hash.murmur32v3(bytes));
      }),
    );
  });

  test("spreads neighbours evenly: each of 64 drawers gets its share of 64,000 seeds, within a fifth", () => {
    const drawers = new Uint32Array(64);
    for (let seed = 0; seed < 64_000; seed += 1) {
      const drawer = Math.floor((mix32(seed, 7) / 2 ** 32) * 64);
      drawers[drawer] = (drawers[drawer] ?? 0) + 1;
    }
    expect(Math.min(...drawers)).toBeGreaterThan(800);
    expect(Math.max(...drawers)).toBeLessThan(1200);
  });
});
