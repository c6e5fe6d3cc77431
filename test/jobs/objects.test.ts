// One suite over every object store at hand: the one in memory that other tests build on, the stand-in for AWS, and one
// that nobody here wrote.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startAws } from "../../playground/aws.ts";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { openAws } from "../../src/jobs/aws.ts";
import type { Objects, PutCondition } from "../../src/jobs/objects.ts";
import { below, readS3Url, s3Url } from "../../src/jobs/objects.ts";
import { awsVariables } from "../support/aws-variables.ts";
import { memoryObjects } from "../support/memory-objects.ts";
import { needsTool } from "../support/needs-tool.ts";
import { startVersitygw } from "../support/versitygw.ts";

awsVariables({});
const { signal } = new AbortController();

interface Opened {
  readonly objects: Objects;
  stop(): Promise<void> | void;
}

interface Running {
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

async function overSdk(server: Running): Promise<Opened> {
  Object.assign(process.env, server.env);
  const aws = openAws("us-east-1", process.env, systemClock, seededRandom(1));
  // The SDK reads its variables with its first call.
  await aws.objects.get({ bucket: "bucket", key: "nothing" }, 1, signal);
  return {
    objects: aws.objects,
    async stop() {
      aws.close();
      await server.stop();
    },
  };
}

const stores: readonly { readonly name: string; readonly isHere: boolean; open(): Promise<Opened> }[] = [
  {
    name: "the store in memory",
    isHere: true,
    open: async () => ({ objects: memoryObjects(), stop() {} }),
  },
  { name: "the stand-in for AWS", isHere: true, open: () => overSdk(startAws()) },
  {
    name: "versitygw",
    isHere: needsTool("versitygw"),
    open: async () => overSdk(await startVersitygw()),
  },
];

const at = (key: string) => ({ bucket: "bucket", key });
const bytes = (text: string) => Buffer.from(text);

for (const { name, isHere, open } of stores) {
  describe.skipIf(!isHere)(`of ${name}`, () => {
    let opened: Opened;
    let objects: Objects;
    beforeAll(async () => {
      opened = await open();
      objects = opened.objects;
    });
    afterAll(() => opened.stop());

    const etagOf = async (key: string): Promise<string> => {
      const found = await objects.get(at(key), 100, signal);
      if (found.kind !== "found") throw new Error(found.kind);
      return found.etag;
    };

    test("a key that is not there is missing, and one that was put comes back as it was", async () => {
      expect(await objects.get(at("a/none"), 100, signal)).toEqual({ kind: "missing" });
      const put = await objects.put(at("a/b (c)_é.json"), bytes('{"a":1}'), "always", signal);
      expect(put).toEqual({ kind: "stored" });
      expect(await objects.get(at("a/b (c)_é.json"), 100, signal)).toMatchObject({
        kind: "found",
        bytes: new Uint8Array(bytes('{"a":1}')),
      });
    });

    test("a cheap look says missing only of what is not there", async () => {
      await objects.put(at("there"), bytes("1"), "always", signal);
      const [missing, there] = [at("cheap/none"), at("there")];
      const looks = Array.from({ length: 4 }, () => objects.isSurelyMissing(missing, signal));
      expect(await Promise.all(looks)).toContain(true);
      for (let times = 0; times < 4; times += 1)
        expect(await objects.isSurelyMissing(there, signal)).toBe(false);
    });

    test("a longer object than asked for is not read", async () => {
      await objects.put(at("long"), Buffer.alloc(101), "always", signal);
      expect(await objects.get(at("long"), 100, signal)).toEqual({ kind: "too-large", bytes: 101 });
    });

    test("a key that must be absent is put once", async () => {
      expect((await objects.put(at("once"), bytes("1"), "absent", signal)).kind).toBe("stored");
      expect(await objects.put(at("once"), bytes("2"), "absent", signal)).toEqual({ kind: "overtaken" });
    });

    test("a version is replaced once, and none is replaced that is not there", async () => {
      await objects.put(at("version"), bytes("1"), "always", signal);
      const etag = await etagOf("version");
      expect((await objects.put(at("version"), bytes("2"), { etag }, signal)).kind).toBe("stored");
      expect(await objects.put(at("version"), bytes("3"), { etag }, signal)).toEqual({ kind: "overtaken" });
      expect(await objects.put(at("no-version"), bytes("3"), { etag }, signal)).toEqual({
        kind: "overtaken",
      });
      expect(await objects.get(at("version"), 100, signal)).toMatchObject({
        bytes: new Uint8Array(bytes("2")),
      });
    });

    test("of eight who put an absent key at one time one does, and so of eight who replace a version", async () => {
      // No two write the same: S3's etag is a hash of the bytes, and tells no version from another with the same ones.
      const race = (condition: PutCondition, round: string) =>
        Promise.all(
          Array.from({ length: 8 }, (_, who) =>
            objects.put(at("race"), bytes(`${round} ${who}`), condition, signal),
          ),
        );
      const first = (await race("absent", "first")).filter(({ kind }) => kind === "stored");
      expect(first).toHaveLength(1);
      expect(
        (await race({ etag: await etagOf("race") }, "then")).filter(({ kind }) => kind === "stored"),
      ).toHaveLength(1);
    });

    test("a list has the keys of a prefix in order, from the one after another on", async () => {
      for (const key of ["list/c", "list/a", "list/b", "listing"])
        await objects.put(at(key), bytes("x"), "always", signal);
      const all = await objects.list(at("list/"), undefined, signal);
      expect(all).toEqual({ kind: "listed", keys: ["list/a", "list/b", "list/c"], isCut: false });
      const rest = await objects.list(at("list/"), "list/aa", signal);
      expect(rest).toMatchObject({ keys: ["list/b", "list/c"] });
      expect(await objects.list(at("list/none/"), undefined, signal)).toMatchObject({ keys: [] });
    });
  });
}

const urls: readonly (readonly [text: string, place: ReturnType<typeof readS3Url>])[] = [
  ["s3://bucket/results", { bucket: "bucket", key: "results" }],
  ["s3://bucket/results/", { bucket: "bucket", key: "results" }],
  ["s3://bucket/a/b c", { bucket: "bucket", key: "a/b c" }],
  ["s3://bucket", { bucket: "bucket", key: "" }],
  ["s3://my.bucket-1/", { bucket: "my.bucket-1", key: "" }],
  ["s3://Bucket/a", undefined],
  ["s3:///a", undefined],
  ["https://bucket/a", undefined],
  ["bucket/a", undefined],
];

for (const [text, place] of urls) {
  test(`${text} is ${place === undefined ? "no place" : "a place"} in S3`, () => {
    expect(readS3Url(text)).toEqual(place);
  });
}

test("below an empty prefix there is no slash at the front", () => {
  expect(s3Url(below({ bucket: "bucket", key: "" }, "jobs", "a"))).toBe("s3://bucket/jobs/a");
  expect(s3Url(below({ bucket: "bucket", key: "x/y" }, "jobs"))).toBe("s3://bucket/x/y/jobs");
});
