// What is remembered of the SageMaker endpoint, in virtual time.

import { expect, test } from "bun:test";
import type { EndpointAnswer } from "../../src/jobs/aws.ts";
import { watchEndpoint } from "../../src/jobs/endpoint-watch.ts";
import type { VirtualClock } from "../support/virtual-clock.ts";
import { virtualClock } from "../support/virtual-clock.ts";

type Described = Extract<EndpointAnswer, { kind: "described" }>;

const described = (instances: number, change: Partial<Described> = {}): EndpointAnswer => ({
  kind: "described",
  status: "InService",
  instances,
  outputPath: "s3://bucket/results/",
  failurePath: "s3://bucket/failures",
  ...change,
});

function watching(clock: VirtualClock, ask: (signal: AbortSignal) => Promise<EndpointAnswer>) {
  const warned: string[] = [];
  const output = { bucket: "bucket", key: "results" };
  return { warned, ...watchEndpoint({ ask, output, clock, warn: (what) => warned.push(what) }) };
}

test("the endpoint is asked at once and every minute, and what it said last is kept meanwhile", async () => {
  const clock = virtualClock();
  let instances = 0;
  const watch = watching(clock, async () => described(instances++));
  expect(watch.last()).toBeUndefined();
  await clock.settle();
  expect(watch.last()).toEqual({ status: "InService", instances: 0 });
  await clock.advance(59_000);
  expect(watch.last()).toMatchObject({ instances: 0 });
  await clock.advance(1000);
  expect(watch.last()).toMatchObject({ instances: 1 });
  watch.stop();
});

test("a status that AWS does not tell is unknown, with the reason, and asked for again", async () => {
  const clock = virtualClock();
  let answer: EndpointAnswer = { kind: "trouble", trouble: "denied", why: "not authorized" };
  const watch = watching(clock, async () => answer);
  await clock.settle();
  expect(watch.last()).toEqual({ status: "unknown", why: "not authorized" });
  answer = described(2);
  await clock.advance(60_000);
  expect(watch.last()).toEqual({ status: "InService", instances: 2 });
  watch.stop();
});

test("after the stop nobody is asked, and a call that is under way is cut", async () => {
  const clock = virtualClock();
  const signals: AbortSignal[] = [];
  const idle = watching(clock, async () => described(1));
  await clock.settle();
  idle.stop();
  expect(clock.pending()).toBe(0);
  const { promise, resolve } = Promise.withResolvers<EndpointAnswer>();
  const busy = watching(clock, (signal) => {
    signals.push(signal);
    return promise;
  });
  busy.stop();
  expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  resolve(described(1));
  await clock.settle();
  expect([busy.last(), clock.pending()]).toEqual([undefined, 0]);
});

const faults: readonly (readonly [title: string, change: Partial<Described>, warned: readonly string[]])[] = [
  ["that is as configured", {}, []],
  [
    "that writes elsewhere",
    { outputPath: "s3://bucket/other" },
    ["tier.bronze.output to s3://bucket/other."],
  ],
  ["that keeps no failures", { failurePath: undefined }, ["S3FailurePath"]],
  ["that takes no jobs", { outputPath: undefined, failurePath: undefined }, ["no output path"]],
];

test.each(faults.map((row) => row))(
  "of an endpoint %s the operator is told once",
  async (_, change, warned) => {
    const clock = virtualClock();
    const watch = watching(clock, async () => described(0, change));
    await clock.advance(180_000);
    expect(watch.warned).toEqual(warned.map((part) => expect.stringContaining(part)));
    watch.stop();
  },
);

test("an answer that breaks off is unknown too, and the endpoint is asked again", async () => {
  const clock = virtualClock();
  let breaks = true;
  const watch = watching(clock, () =>
    breaks ? Promise.reject(new Error("a bug")) : Promise.resolve(described(1)),
  );
  await clock.settle();
  expect(watch.last()).toEqual({ status: "unknown", why: "Error: a bug" });
  breaks = false;
  await clock.advance(60_000);
  expect(watch.last()).toMatchObject({ status: "InService" });
  watch.stop();
});
