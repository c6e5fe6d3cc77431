// AWS in a thread of its own: the same answers as without, a cut that comes back at once, another thread after a death.

import { expect, test } from "bun:test";
import { startAws } from "../playground/aws.ts";
import { linkAws } from "../src/aws-link.ts";
import { systemClock } from "../src/base/clock.ts";
import type { Aws } from "../src/jobs/aws.ts";
import { openAws } from "../src/jobs/aws.ts";
import type { AwsPortEvents, ToAws } from "../src/jobs/aws-thread.ts";
import { answerForAws, awsInThread } from "../src/jobs/aws-thread.ts";
import { cleanup } from "./support/cleanup.ts";

const ends = cleanup();
const never = new AbortController().signal;
const place = { bucket: "bucket", key: "results/a" };
const call = {
  endpoint: "story-bronze",
  input: { body: Buffer.from('{"messages":[]}') },
  inferenceId: "1",
  customAttributes: "tier=bronze",
  outputPath: "jobs/1",
  filename: "1.out",
  requestTtlSeconds: 60,
  invocationTimeoutSeconds: 60,
};

const env = { AWS_EC2_METADATA_DISABLED: "false" };

/** The SDK reads its variables itself. */
async function withVariables<T>(
  variables: Readonly<Record<string, string>>,
  act: () => Promise<T>,
): Promise<T> {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  try {
    return await act();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

/** Of these looks one in ten says no by chance, and the thread has dice of its own. */
async function isMissing(objects: Aws["objects"]): Promise<boolean> {
  for (let tries = 0; tries < 20; tries += 1) if (await objects.isSurelyMissing(place, never)) return true;
  return false;
}

/** Every kind of call, one after the other. */
async function everything({ objects, invokeAsync, describeEndpoint }: Aws) {
  return [
    await objects.get(place, 100, never),
    await isMissing(objects),
    await objects.put(place, Buffer.from("one"), "absent", never),
    await objects.put(place, Buffer.from("two"), "absent", never),
    await objects.put(place, Buffer.from("two"), { etag: '"wrong"' }, never),
    await objects.get(place, 100, never),
    await objects.get(place, 2, never),
    await objects.list({ bucket: "bucket", key: "results/" }, undefined, never),
    await invokeAsync(call, never),
    await describeEndpoint("story-bronze", never),
    await objects.get(place, 100, AbortSignal.abort()),
  ];
}

test("a thread gives the answers that are given without one", async () => {
  const told = [];
  for (const threaded of [true, false]) {
    const stand = ends(startAws());
    const variables = { ...env, ...stand.env };
    told.push(
      await withVariables(variables, async () => {
        const aws = threaded
          ? linkAws({ region: "us-east-1", env: variables })
          : openAws("us-east-1", variables, systemClock, () => 0.99);
        const all = await everything(aws);
        aws.close();
        return all;
      }),
    );
  }
  expect(told[0]?.map((each) => (typeof each === "object" ? each.kind : each))).toEqual([
    "missing",
    true,
    "stored",
    "overtaken",
    "overtaken",
    "found",
    "too-large",
    "listed",
    "taken",
    "described",
    "trouble",
  ]);
  expect(told[0]).toEqual(told[1] ?? []);
});

test("a call that hangs is cut at once, and the next is answered", async () => {
  const stand = ends(startAws());
  const variables = { ...env, ...stand.env };
  const aws = linkAws({ region: "us-east-1", env: variables });
  await aws.objects.put(place, Buffer.from("one"), "always", never);
  stand.fault({ kind: "hang", on: "get" });
  const cut = new AbortController();
  const hanging = aws.objects.get(place, 100, cut.signal);
  await Bun.sleep(50);
  const at = performance.now();
  cut.abort();
  expect(await hanging).toMatchObject({ kind: "trouble", trouble: "cut" });
  expect(performance.now() - at).toBeLessThan(50);
  stand.fault();
  expect(await aws.objects.get(place, 100, never)).toMatchObject({ kind: "found" });
  aws.close();
});

/** Threads that answer when a test says so. */
function scripted() {
  const threads: { readonly asked: ToAws[]; readonly events: AwsPortEvents; ended: boolean }[] = [];
  const aws = awsInThread((events) => {
    const thread = { asked: [] as ToAws[], events, ended: false };
    threads.push(thread);
    return {
      post: (message) => void thread.asked.push(message),
      end() {
        thread.ended = true;
      },
    };
  });
  return { aws, threads };
}

test("a thread that dies fails what it was asked, and the next call has another", async () => {
  const { aws, threads } = scripted();
  const first = aws.describeEndpoint("a", never);
  const second = aws.objects.isSurelyMissing(place, never);
  threads[0]?.events.died("it was time");
  expect(await first).toEqual({ kind: "trouble", trouble: "server", why: "it was time" });
  expect(await second).toBe(false);
  const third = aws.objects.get(place, 100, never);
  expect(threads.length).toBe(2);
  threads[1]?.events.told({ n: threads[1]?.asked[0]?.n ?? 0, kind: "get", answer: { kind: "missing" } });
  expect(await third).toEqual({ kind: "missing" });
  aws.close();
  expect(threads.map(({ ended }) => ended)).toEqual([false, true]);
});

test("a death that is told twice fails nothing that the next thread was asked", async () => {
  const { aws, threads } = scripted();
  const first = aws.describeEndpoint("a", never);
  threads[0]?.events.died("it was time");
  expect(await first).toMatchObject({ why: "it was time" });
  const second = aws.objects.get(place, 100, never);
  threads[0]?.events.died("it was time");
  threads[1]?.events.told({ n: threads[1]?.asked[0]?.n ?? 0, kind: "get", answer: { kind: "missing" } });
  expect(await second).toEqual({ kind: "missing" });
});

test("what waits when it is closed fails, and what comes later begins no other thread", async () => {
  const { aws, threads } = scripted();
  const waiting = aws.describeEndpoint("a", never);
  aws.close();
  for (const told of [await waiting, await aws.objects.get(place, 100, never)])
    expect(told).toMatchObject({ kind: "trouble", why: expect.stringContaining("stops") });
  expect(threads.map(({ ended }) => ended)).toEqual([true]);
});

test("a bug in the thread is a bug here, for that call alone", async () => {
  const broken: Aws = {
    objects: {
      isSurelyMissing: () => Promise.resolve(true),
      get: () => Promise.reject(new TypeError("no such thing")),
      put: () => Promise.resolve({ kind: "overtaken" }),
      list: () => Promise.resolve({ kind: "listed", keys: [], isCut: false }),
    },
    invokeAsync: () => Promise.resolve({ kind: "trouble", trouble: "denied", why: "no" }),
    describeEndpoint: () => Promise.resolve({ kind: "trouble", trouble: "denied", why: "no" }),
    close() {},
  };
  const aws = awsInThread(({ told }) => {
    const answer = answerForAws(broken, told);
    return { post: (message) => queueMicrotask(() => answer(message)), end() {} };
  });
  const failing = aws.objects.get(place, 100, never);
  expect(await aws.objects.isSurelyMissing(place, never)).toBe(true);
  expect(failing).rejects.toThrow("no such thing");
  await failing.catch(() => {});
});
