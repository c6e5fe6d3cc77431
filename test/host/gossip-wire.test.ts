import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { seededRandom } from "../../src/base/random.ts";
import { decode, encode, gossipBounds } from "../../src/host/gossip-wire.ts";
import { startsZstd, zstdContentBytes } from "../../src/host/zstd-frame.ts";

const { bodyBytes } = gossipBounds;
const bytesOf = (message: unknown): Uint8Array => encode(message) ?? new Uint8Array();
const jsonOf = (bytes: number): Buffer => Buffer.from(JSON.stringify("a".repeat(bytes - 2)));
const pack = (bytes: Uint8Array): Buffer => Buffer.from(Bun.zstdCompressSync(bytes, { level: 1 }));
/** What a frame of 256 bytes up to 64 KB says of itself. */
const says = (frame: Buffer, bytes: number): Buffer => {
  const forged = Buffer.from(frame);
  forged.writeUInt16LE(bytes - 256, 5);
  return forged;
};

describe("a gossip message", () => {
  test("comes out as it went in, whatever it is", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(60), (value, times) => {
        const message = Array.from({ length: times }, () => value);
        const body = encode(message);
        if (body !== undefined)
          expect(decode(body)).toEqual({ message: JSON.parse(JSON.stringify(message)) });
      }),
      { numRuns: 200 },
    );
  });

  test("travels as JSON below 1 KB and as a zstd frame from there on", () => {
    expect(bytesOf("a".repeat(1021))).toEqual(jsonOf(1023));
    expect(startsZstd(bytesOf("a".repeat(1022)))).toBe(true);
  });

  test("of 500 hosts takes a quarter of its JSON at most", () => {
    const digest = Array.from({ length: 500 }, (_, at) => [
      `gold-${at}`,
      1_767_225_600_000 + at * 977,
      0,
      at * 7919,
    ]);
    expect(bytesOf(digest).length).toBeLessThan(JSON.stringify(digest).length / 4);
  });

  test("of which nothing repeats is packed and read all the same", () => {
    const random = seededRandom(1);
    const message = Array.from({ length: 3300 }, () => random());
    const body = bytesOf(message);
    expect([startsZstd(body), decode(body)]).toEqual([true, { message }]);
  });

  test("of 64 KB of JSON is the longest", () => {
    expect(decode(bytesOf("a".repeat(bodyBytes - 2)))).toEqual({ message: "a".repeat(bodyBytes - 2) });
    expect(encode("a".repeat(bodyBytes - 1))).toBeUndefined();
    // Three bytes each, so that it is not the characters that count.
    expect(encode("…".repeat(bodyBytes / 2))).toBeUndefined();
  });
});

describe("a body is refused", () => {
  const whole = pack(jsonOf(2000));
  const bodies: readonly [string, Uint8Array][] = [
    ["a frame of more than a message may have, honestly declared", pack(jsonOf(bodyBytes + 1))],
    ["a frame of more than it says", says(whole, 300)],
    ["a frame of less than it says", says(whole, 2001)],
    ["a frame that says nothing of its size", Buffer.from("28b52ffd00580100007b", "hex")],
    ["a frame that is cut", whole.subarray(0, -1)],
    ["a frame with a second frame behind it", Buffer.concat([whole, whole])],
    ["a frame of garbage", Buffer.from("28b52ffd2003190000ffffff", "hex")],
    ["a frame in which there is no JSON", pack(Buffer.from("{".repeat(2000)))],
    ["a frame in which there is no UTF-8", pack(Buffer.alloc(2000, 0xff))],
    ["a frame that is packed twice", pack(whole)],
    ["gzip", Bun.gzipSync(Uint8Array.from(jsonOf(2000)))],
    ["empty", new Uint8Array()],
  ];
  for (const [title, body] of bodies) {
    test(`that is ${title}`, () => {
      expect(decode(body)).toBeUndefined();
    });
  }

  test("before anything is unpacked: 1 GB in 33 KB, in whichever disguise, takes no 256 MB", () => {
    const bomb = pack(new Uint8Array(2 ** 30));
    expect(bomb.length).toBeLessThan(bodyBytes);
    const blocks = bomb.subarray(10);
    const disguises = [
      bomb,
      Buffer.concat([Buffer.from("28b52ffd60003f", "hex"), blocks]),
      Buffer.concat([pack(jsonOf(300)), bomb]),
      Buffer.concat([Buffer.from("28b52ffd0058", "hex"), blocks]),
    ];
    Bun.gc(true);
    const before = process.memoryUsage().rss;
    for (const each of disguises) expect(decode(each)).toBeUndefined();
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * 2 ** 20);
    // The second is the one that only the decoder can see through: it says 16 KB and is one whole frame.
    expect(zstdContentBytes(disguises[1] ?? bomb)).toBe(0x3f00 + 256);
  });

  test("or read, but never throws, whatever it is", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, packed) => {
        decode(packed ? Buffer.concat([Buffer.from("28b52ffd", "hex"), bytes]) : bytes);
        decode(pack(bytes));
      }),
      { numRuns: 500 },
    );
  });

  test("or read, when any byte of a good frame is another", () => {
    const good = bytesOf({ names: Array.from({ length: 100 }, (_, at) => `gold-${at}`) });
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const bytes = Uint8Array.from(good);
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        decode(bytes);
      }),
      { numRuns: 1000 },
    );
  });
});
