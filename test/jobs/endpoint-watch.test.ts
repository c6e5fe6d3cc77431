// What is remembered of the SageMaker endpoint, in virtual time.

import { expect, test } from "bun:test";
import type { EndpointAnswer } from "../../src/jobs/aws.ts";
import { watchEndpoint } from "../../src/jobs/endpoint-watch.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const described = (instances: number): EndpointAnswer => ({
  kind: "described",
  status: "InService",
  instances,
  outputPath: undefined,
  failurePath: undefined,
});

test("the endpoint is asked at once and every minute, and what it said last is kept meanwhile", async () => {
  const clock = virtualClock();
  let instances = 0;
  const watch = watchEndpoint(async () => described(instances++), clock);
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
  const watch = watchEndpoint(async () => answer, clock);
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
  const idle = watchEndpoint(async () => described(1), clock);
  await clock.settle();
  idle.stop();
  expect(clock.pending()).toBe(0);
  const { promise, resolve } = Promise.withResolvers<EndpointAnswer>();
  const busy = watchEndpoint((signal) => {
    signals.push(signal);
    return promise;
  }, clock);
  busy.stop();
  expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  resolve(described(1));
  await clock.settle();
  expect([busy.last(), clock.pending()]).toEqual([undefined, 0]);
});
