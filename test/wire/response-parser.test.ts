import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import type { WireLimits } from "../../src/wire/limits.ts";
import { defaultWireLimits } from "../../src/wire/limits.ts";
import { ResponseParser } from "../../src/wire/response-parser.ts";
import { fineAnswers, refusedAnswers } from "./answers.ts";

interface Reading {
  readonly status?: number;
  readonly headers?: readonly (readonly [string, string])[];
  readonly delimited?: string;
  readonly body: string;
  /** Undefined while more bytes are expected. */
  readonly ended: "reusable" | "not reusable" | undefined;
  readonly refused?: string;
}

/** Reads an answer that arrives in the given pieces, then, where asked, a FIN. */
function read(
  pieces: readonly Uint8Array[],
  { method = "GET", fin = false, limits = {} as Partial<WireLimits> } = {},
): Reading {
  const reading: { -readonly [Key in keyof Reading]: Reading[Key] } = { body: "", ended: undefined };
  const parser = new ResponseParser(
    method,
    { ...defaultWireLimits, ...limits },
    {
      head(head) {
        expect(reading.status).toBeUndefined();
        reading.status = head.status;
        reading.headers = head.headers.entries;
        reading.delimited = head.delimited;
      },
      body(chunk) {
        expect(chunk.length).toBeGreaterThan(0);
        reading.body += Buffer.from(chunk).toString("latin1");
      },
      end(reusable) {
        expect(reading.ended).toBeUndefined();
        reading.ended = reusable ? "reusable" : "not reusable";
      },
    },
  );
  for (const piece of pieces) {
    const refusal = parser.push(Buffer.from(piece));
    if (refusal === undefined) continue;
    reading.refused = refusal.refused;
    return reading;
  }
  if (fin && reading.ended === undefined) parser.finish();
  return reading;
}

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");

function splitAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const pieces: Buffer[] = [];
  let from = 0;
  for (const place of [...places, bytes.length]) {
    if (place > from) pieces.push(bytes.subarray(from, place));
    from = place;
  }
  return pieces;
}

const bytewise = (bytes: Buffer): Buffer[] => Array.from(bytes, (byte) => Buffer.of(byte));

describe("ResponseParser reads", () => {
  for (const { title, answer, method, fin, ...expected } of fineAnswers) {
    test(`${title}, whole and byte by byte`, () => {
      const how = { method: method ?? "GET", fin: fin ?? false };
      const whole = read([latin1(answer)], how);
      expect(whole).toMatchObject({ ...expected });
      expect(whole.refused).toBeUndefined();
      if (expected.ended !== undefined && answer.endsWith("EXTRA")) return;
      expect(read(bytewise(latin1(answer)), how)).toEqual(whole);
    });
  }

  test("the same answer from any split of the same bytes", () => {
    const recordings = fineAnswers.filter(({ answer }) => !answer.endsWith("EXTRA"));
    fc.assert(
      fc.property(
        fc.constantFrom(...recordings),
        fc.array(fc.nat({ max: 20_000 }), { maxLength: 12 }),
        ({ answer, method, fin }, cuts) => {
          const how = { method: method ?? "GET", fin: fin ?? false };
          expect(read(splitAt(latin1(answer), cuts), how)).toEqual(read([latin1(answer)], how));
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test("any chunked body back from any chunking and any split", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 8 }),
        fc.array(fc.nat({ max: 4_000 }), { maxLength: 12 }),
        fc.boolean(),
        (chunks, cuts, capitals) => {
          const size = (length: number): string =>
            capitals ? length.toString(16).toUpperCase() : `00${length.toString(16)};name="value"`;
          const parts = chunks.flatMap((chunk) => [
            latin1(`${size(chunk.length)}\r\n`),
            chunk,
            latin1("\r\n"),
          ]);
          const answer = Buffer.concat([
            latin1("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
            ...parts,
            latin1("0\r\nx-checksum: 1\r\n\r\n"),
          ]);
          const reading = read(splitAt(answer, cuts));
          expect(reading.body).toBe(Buffer.concat(chunks).toString("latin1"));
          expect(reading.ended).toBe("reusable");
        },
      ),
      { numRuns: 500 },
    );
  });

  test("the chunks of one arrival as one piece of body", () => {
    const bodies: string[] = [];
    const parser = new ResponseParser("GET", defaultWireLimits, {
      head() {},
      body: (chunk) => bodies.push(Buffer.from(chunk).toString()),
      end() {},
    });
    parser.push(latin1("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n1\r\nf"));
    parser.push(latin1("\r\n2\r\ngh\r\n0\r\n\r\n"));
    expect(bodies).toEqual(["abcdef", "gh"]);
  });
});

describe("ResponseParser does not take for an end", () => {
  const unfinished = [
    ["a short body", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfour"],
    ["a chunk cut short", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfour"],
    ["a missing last chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfour\r\n"],
    ["a last chunk without its empty line", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"],
    ["half the last line end", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r"],
    ["a cut trailer", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-sum: 1\r\n"],
    ["a header section without its empty line", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n"],
    ["an interim answer", "HTTP/1.1 103 Early Hints\r\n\r\n"],
    ["nothing", ""],
  ] as const;
  for (const [title, answer] of unfinished) {
    test(`${title}, FIN or not`, () => {
      expect(read([latin1(answer)]).ended).toBeUndefined();
      expect(read([latin1(answer)], { fin: true }).ended).toBeUndefined();
    });
  }

  test("any proper prefix of a delimited answer", () => {
    for (const { answer, method, fin } of fineAnswers) {
      if (fin === true || answer.endsWith("EXTRA")) continue;
      const bytes = latin1(answer);
      for (let length = 0; length < bytes.length; length += 1) {
        expect(
          read([bytes.subarray(0, length)], { method: method ?? "GET", fin: true }).ended,
        ).toBeUndefined();
      }
    }
  });
});

describe("ResponseParser refuses", () => {
  for (const { title, answer, refused, limits } of refusedAnswers) {
    test(`${title}, whole and byte by byte`, () => {
      const how = { limits: limits ?? {} };
      const whole = read([latin1(answer)], how);
      expect(whole.refused).toBe(refused ?? "malformed");
      expect(whole.ended).toBeUndefined();
      expect(read(bytewise(latin1(answer)), how).refused).toBe(refused ?? "malformed");
    });
  }

  test("without ever throwing, whatever the bytes", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .tuple(
          fc.constantFrom(...fineAnswers.map(({ answer }) => latin1(answer))),
          fc.array(fc.tuple(fc.nat({ max: 5_000 }), fc.nat({ max: 255 })), { maxLength: 4 }),
        )
        .map(([answer, edits]) => {
          const edited = Buffer.from(answer);
          for (const [place, byte] of edits) edited[place % edited.length] = byte;
          return edited;
        }),
    );
    fc.assert(
      fc.property(bytes, fc.array(fc.nat({ max: 5_000 }), { maxLength: 5 }), (answer, cuts) => {
        const whole = read([answer]);
        const split = read(splitAt(Buffer.from(answer), cuts));
        // Where both accept the answer they must also understand the same.
        expect(split.refused === undefined).toBe(whole.refused === undefined);
        if (whole.refused === undefined && whole.ended !== "not reusable") expect(split).toEqual(whole);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("ResponseParser reads the recording", () => {
  const root = join(import.meta.dir, "../fixtures");
  for (const engine of ["vllm", "vllm-flags", "llamacpp"]) {
    const names = readdirSync(join(root, engine)).filter((name) => name.endsWith(".http"));
    test(`of every answer of ${engine}, to a clean end`, async () => {
      expect(names.length).toBeGreaterThan(30);
      for (const name of names) {
        const bytes = Buffer.from(await Bun.file(join(root, engine, name)).arrayBuffer());
        const reading = read([bytes]);
        expect({ name, refused: reading.refused, ended: reading.ended }).toEqual({
          name,
          refused: undefined,
          ended: "reusable",
        });
        expect(read(bytewise(bytes))).toEqual(reading);
      }
    });
  }
});
