// An AWS that nobody here wrote: SageMaker is moto, S3 is versitygw. moto writes what comes of a job into an S3 of its own;
// what SageMaker does itself is done here: that is carried over, at once or when a test says so.

import type { S3Client } from "@aws-sdk/client-s3";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  NoSuchKey,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import type { ObjectPlace } from "../../src/jobs/objects.ts";
import { readS3Url } from "../../src/jobs/objects.ts";
import { testerS3 } from "./aws-tester.ts";
import type { Moto } from "./moto.ts";
import { startMoto } from "./moto.ts";
import type { S3Server } from "./versitygw.ts";
import { startVersitygw } from "./versitygw.ts";

export interface Emulators {
  /** What the AWS SDK reads. */
  readonly env: Readonly<Record<string, string>>;
  readonly results: Moto["results"];
  readonly s3: Pick<S3Server, "freeze" | "thaw">;
  /** The inference ids of what was handed over, in order. */
  readonly handedOver: readonly string[];
  /** From now on jobs take until `deliver`. */
  hold(): void;
  deliver(): Promise<void>;
  /** The one object of the bucket `bucket` whose key begins so and holds that; throws where it is not one. */
  textOf(beginning: string, part: string): Promise<string>;
  stop(): Promise<void>;
}

const prefix = "x-amzn-sagemaker-";

export async function startEmulators(endpoint: string): Promise<Emulators> {
  const [moto, s3] = await Promise.all([startMoto(endpoint), startVersitygw()]);
  const [from, to] = [testerS3(moto.url), testerS3(s3.url)];
  const handedOver: string[] = [];
  let held: ObjectPlace[] | undefined;

  const carry = async ({ bucket, key }: ObjectPlace): Promise<void> => {
    const bytes = await read(from, { bucket, key });
    if (bytes !== undefined) await to.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: bytes }));
  };

  const buckets = new Set<string>();
  const door = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      handedOver.push(request.headers.get(`${prefix}inference-id`) ?? "");
      const answer = await fetch(moto.url + pathname, {
        method: request.method,
        headers: request.headers,
        body: await request.bytes(),
      });
      const places = ["outputlocation", "failurelocation"].flatMap(
        (where) => readS3Url(answer.headers.get(prefix + where) ?? "") ?? [],
      );
      for (const { bucket } of places) {
        if (buckets.has(bucket)) continue;
        buckets.add(bucket);
        await to.send(new CreateBucketCommand({ Bucket: bucket }));
      }
      if (held === undefined) await Promise.all(places.map(carry));
      else held.push(...places);
      return new Response(await answer.bytes(), { status: answer.status, headers: answer.headers });
    },
  });

  return {
    env: {
      ...s3.env,
      // Of everything else nothing is there.
      AWS_ENDPOINT_URL: "http://127.0.0.1:1",
      AWS_ENDPOINT_URL_S3: s3.url,
      AWS_ENDPOINT_URL_SAGEMAKER: moto.url,
      AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME: door.url.origin,
    },
    results: moto.results,
    s3,
    handedOver,
    hold() {
      held ??= [];
    },
    async deliver() {
      const places = held ?? [];
      held = undefined;
      await Promise.all(places.map(carry));
    },
    async textOf(beginning, part) {
      const listed = await to.send(new ListObjectsV2Command({ Bucket: "bucket", Prefix: beginning }));
      const keys = (listed.Contents ?? []).flatMap(({ Key }) => Key ?? []);
      const [key, ...others] = keys.filter((each) => each.includes(part));
      if (key === undefined || others.length > 0) throw new Error(`of ${part} there are ${keys.join()}`);
      return Buffer.from((await read(to, { bucket: "bucket", key })) ?? []).toString("utf8");
    },
    async stop() {
      await door.stop(true);
      from.destroy();
      to.destroy();
      s3.thaw();
      await Promise.all([moto.stop(), s3.stop()]);
    },
  };
}

async function read(s3: S3Client, { bucket, key }: ObjectPlace): Promise<Uint8Array | undefined> {
  try {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return await Body?.transformToByteArray();
  } catch (error) {
    if (error instanceof NoSuchKey) return undefined;
    throw error;
  }
}
