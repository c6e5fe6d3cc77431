import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { startsZstd, zstdContentBytes } from "../../src/host/zstd-frame.ts";

const pack = (bytes: Uint8Array): Buffer => Buffer.from(Bun.zstdCompressSync(bytes, { level: 1 }));
const magic = [0x28, 0xb5, 0x2f, 0xfd];

describe("a zstd frame", () => {
  test("says how much is in it, of any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(400), (bytes, times) => {
        const content = Buffer.concat(Array.from({ length: times }, () => bytes));
        const frame = pack(content);
        expect([startsZstd(frame), zstdContentBytes(frame)]).toEqual([true, content.length]);
      }),
      { numRuns: 200 },
    );
  });

  test("of several blocks ends where the last of them ends", () => {
    const content = new Uint8Array(300_000).map((_, at) => (at * at) % 251);
    expect(zstdContentBytes(pack(content))).toBe(content.length);
  });

  test("with a checksum ends behind it", () => {
    // One block as it is: "hello".
    const frame = Buffer.from("28b52ffd240529000068656c6c6f4dfe3333", "hex");
    expect(zstdContentBytes(frame)).toBe(5);
    expect(zstdContentBytes(frame.subarray(0, 14))).toBeUndefined();
  });

  const frame = pack(Buffer.from("who goes there? ".repeat(100)));
  const frames: readonly [string, Uint8Array][] = [
    ["nothing", new Uint8Array()],
    ["its first bytes alone", Buffer.from(magic)],
    ["one that does not say its size", Buffer.from([...magic, 0x00, 0x58, 0x01, 0x00, 0x00])],
    ["one that wants a window", Buffer.from([...magic, 0x40, 0x58, 0x00, 0x00, 0x01, 0x00, 0x00])],
    ["one that wants a dictionary", Buffer.from([...magic, 0x21, 0x07, 0x01, 0x01, 0x00, 0x00])],
    ["one with a reserved bit set", Buffer.from([...magic, 0x28, 0x00, 0x01, 0x00, 0x00])],
    ["one whose size takes eight bytes", Buffer.from([...magic, 0xe0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0])],
    ["one with a block of no known kind", Buffer.from([...magic, 0x20, 0x00, 0x07, 0x00, 0x00])],
    ["one whose last block is missing", Buffer.from([...magic, 0x20, 0x01, 0x08, 0x00, 0x00, 0x61])],
    ["one that is cut", frame.subarray(0, -1)],
    ["one with something behind it", Buffer.concat([frame, Buffer.from("x")])],
    ["two of them", Buffer.concat([frame, frame])],
    [
      "one that may be skipped and one more",
      Buffer.concat([Buffer.from("502a4d1801000000ff", "hex"), frame]),
    ],
  ];
  for (const [title, bytes] of frames) {
    test(`is not taken for whole where it is ${title}`, () => {
      expect(zstdContentBytes(bytes)).toBeUndefined();
    });
  }

  test("is read without fault, whatever it is, also out of the middle of a buffer", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (tail) => {
        const bytes = Buffer.from([1, 2, 3, ...magic, ...tail]).subarray(3);
        const size = zstdContentBytes(bytes);
        expect(size === undefined || (size >= 0 && size < 2 ** 32)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
