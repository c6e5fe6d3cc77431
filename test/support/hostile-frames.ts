// What a broken or malicious client may send as a frame: noise, frames cut short or gone on for too long, right frames
// with a few bytes changed, and items about archetypes and situations that do not exist.

import fc from "fast-check";
import type { Archetypes } from "../../src/intents/archetype.ts";
import type { ClientAsk } from "./frame-client.ts";
import { encodeAsk } from "./frame-client.ts";

const u8 = fc.nat(0xff);
const u16 = fc.oneof(fc.nat(8), fc.nat(0xffff));
const u32 = fc.oneof(fc.nat(8), fc.nat(0xffff_ffff));
const u64 = fc.oneof(
  fc.bigInt({ min: 0n, max: 500n }),
  fc.bigInt({ min: 2n ** 53n - 8n, max: 2n ** 53n + 8n }),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);

/** Right in form, of any content. */
export const anyAsk: fc.Arbitrary<ClientAsk> = fc.record({
  situation: u64,
  npc: u32,
  archetype: u16,
  deadlineMs: u8,
  flags: u8,
});

export function hostileFrame({ epoch }: Archetypes): fc.Arbitrary<Uint8Array> {
  const asks = fc.array(anyAsk, { maxLength: 20 });
  const right = fc.tuple(u32, asks).map(([requestId, some]) => encodeAsk(requestId, epoch, some));
  const edits = fc.array(fc.tuple(fc.nat(64), u8), { minLength: 1, maxLength: 4 });
  return fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    right,
    fc.tuple(right, edits).map(([frame, changes]) => {
      for (const [at, byte] of changes) if (at < frame.length) frame[at] = byte;
      return frame;
    }),
    fc.tuple(right, fc.nat(40)).map(([frame, length]) => frame.subarray(0, length)),
    fc
      .tuple(right, fc.uint8Array({ minLength: 1, maxLength: 40 }))
      .map(([frame, more]) => Buffer.concat([frame, more])),
    fc.tuple(right, u16).map(([frame, count]) => {
      frame.writeUInt16LE(count, 6);
      return frame;
    }),
    // Somewhere inside a larger buffer, as a socket hands it over: nothing outside may be read.
    fc.tuple(right, fc.nat(9)).map(([frame, before]) => {
      const around = Buffer.alloc(before + frame.length + 64, 0xff);
      frame.copy(around, before);
      return around.subarray(before, before + frame.length);
    }),
  );
}
