// What was saved comes back whole, or is known not to be.

import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import type { SnapshotRead } from "../../src/host/snapshot-file.ts";
import { readSnapshot, snapshotBytesMost, writeSnapshot } from "../../src/host/snapshot-file.ts";
import { cleanup } from "../support/cleanup.ts";
import { statePlace } from "../support/state-place.ts";

const ends = cleanup();
const never = new AbortController().signal;

function place() {
  const { dir, state } = ends(statePlace());
  const path = join(dir, "intents.cache");
  return {
    path,
    write: (payload: Uint8Array, savedAtMs = 5) =>
      writeSnapshot(state, "intents", { payload, savedAtMs }, never),
    read: (cache: "intents" | "results" = "intents"): Promise<SnapshotRead> =>
      readSnapshot(state, cache, async () => {}),
    /** Saves `payload`, changes the file, reads it. */
    async changed(change: (file: Buffer) => Uint8Array): Promise<SnapshotRead> {
      await this.write(Buffer.from("payload"));
      writeFileSync(path, change(readFileSync(path)));
      return this.read();
    },
  };
}

describe("a snapshot", () => {
  test("of any bytes comes back with the time of its saving", async () => {
    const { read, write } = place();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array(), fc.nat(), async (payload, savedAtMs) => {
        expect(await write(payload, savedAtMs)).toEqual({ ok: true });
        expect(await read()).toEqual({ ok: true, payload: Buffer.from(payload), savedAtMs });
      }),
      { numRuns: 30 },
    );
  });

  test("that nobody saved is missing", async () => {
    expect(await place().read()).toEqual({ ok: false, why: "missing" });
  });

  test("with any one bit turned over is not taken", async () => {
    const there = place();
    const { ok } = await there.changed((file) => file);
    expect(ok).toBe(true);
    const { length } = readFileSync(there.path);
    for (let bit = 0; bit < length * 8; bit += 1) {
      const { ok } = await there.changed((file) => {
        file.writeUInt8(file.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        return file;
      });
      expect([bit, ok]).toEqual([bit, false]);
    }
  });

  test.each([
    ["cut short", (file: Buffer) => file.subarray(0, -1)],
    ["cut within its head", (file: Buffer) => file.subarray(0, 31)],
    ["empty", () => Buffer.alloc(0)],
    ["longer than it says", (file: Buffer) => Buffer.concat([file, Buffer.from([0])])],
    ["somebody else's", () => Buffer.from('{"this":"is some other program\'s file"}')],
  ])("that is %s is damaged", async (_, change) => {
    expect(await place().changed(change)).toEqual({ ok: false, why: "damaged" });
  });

  test("of a later format is told from a damaged one", async () => {
    const later = await place().changed((file) => {
      file.writeUInt32LE(2, 8);
      return file;
    });
    expect(later).toEqual({ ok: false, why: "future-version" });
  });

  test("of one cache is not taken for another's", async () => {
    const { path, read, write } = place();
    await write(Buffer.from("payload"));
    writeFileSync(path.replace("intents", "results"), readFileSync(path));
    expect(await read("results")).toEqual({ ok: false, why: "damaged" });
  });

  test("beyond the bound is not read", async () => {
    const { read, write } = place();
    await write(new Uint8Array(snapshotBytesMost));
    expect(await read()).toMatchObject({ ok: true });
    await write(new Uint8Array(snapshotBytesMost + 1));
    expect(await read()).toEqual({ ok: false, why: "too-large" });
  });

  test("of arbitrary bytes is a value, never an exception", async () => {
    const { path, read } = place();
    const head = fc.constantFrom("", "TLNCACHE", "TLNCACHE\u0001\0\0\0\u0001\0\0\0");
    await fc.assert(
      fc.asyncProperty(head, fc.uint8Array({ maxLength: 100 }), async (start, rest) => {
        writeFileSync(path, Buffer.concat([Buffer.from(start), rest]));
        expect(await read()).toMatchObject({ ok: false });
      }),
      { numRuns: 200 },
    );
  });
});
