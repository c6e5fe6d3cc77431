// The real SDK against the stand-in.

import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import type { AwsFault } from "../../playground/aws/faults.ts";
import { startAws } from "../../playground/aws.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { AsyncCall } from "../../src/jobs/aws.ts";
import { awsRule, openAws } from "../../src/jobs/aws.ts";
import { awsVariables } from "../support/aws-variables.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const standIn = startAws();
awsVariables(standIn.env);
const clock = virtualClock();
let dice = 0.5;
const aws = openAws("us-east-1", process.env, clock, () => dice);
const { signal } = new AbortController();
const at = (key: string) => ({ bucket: "bucket", key });

beforeAll(() => aws.objects.get(at("nothing"), 1, signal));
afterEach(() => {
  standIn.fault();
  standIn.allowList(true);
});
afterAll(async () => {
  aws.close();
  await standIn.stop();
});

const call: AsyncCall = {
  endpoint: "story-bronze",
  input: { body: Buffer.from('{"messages":[{"role":"user","content":"hello"}]}') },
  inferenceId: "01JZZZZZZZ0123456789ABCDEF-1",
  customAttributes: "tier=bronze",
  outputPath: "jobs/20260101/gold-1",
  filename: "01JZZZZZZZ0123456789ABCDEF.out",
  requestTtlSeconds: 60,
  invocationTimeoutSeconds: 60,
};

test("the SDK gets its credentials from the instance metadata, once for all services", async () => {
  expect((await aws.invokeAsync(call, signal)).kind).toBe("taken");
  expect((await aws.describeEndpoint("story-bronze", signal)).kind).toBe("described");
  expect(standIn.metadata.requests.filter((each) => each.startsWith("PUT"))).toHaveLength(1);
});

test("an asynchronous invocation carries all that was said and brings back both places", async () => {
  expect(await aws.invokeAsync(call, signal)).toEqual({
    kind: "taken",
    inferenceId: call.inferenceId,
    outputLocation: "s3://bucket/results/jobs/20260101/gold-1/01JZZZZZZZ0123456789ABCDEF.out",
    failureLocation: `s3://bucket/failures/${call.inferenceId}-error.out`,
  });
  expect(standIn.invocations.at(-1)).toMatchObject({
    customAttributes: "tier=bronze",
    requestTtlSeconds: 60,
    invocationTimeoutSeconds: 60,
    inputLocation: undefined,
  });
});

const troubles: readonly (readonly [fault: AwsFault, trouble: string])[] = [
  [{ kind: "throttle" }, "throttled"],
  [{ kind: "status", status: 429 }, "throttled"],
  [{ kind: "status", status: 500 }, "server"],
  [{ kind: "status", status: 503 }, "server"],
  [{ kind: "status", status: 403 }, "denied"],
  [{ kind: "status", status: 400 }, "refused"],
  [{ kind: "status", status: 403, code: "SignatureDoesNotMatch" }, "credentials"],
  [{ kind: "reset" }, "network"],
  [{ kind: "accept-then-reset" }, "network"],
  [{ kind: "accept-then-500" }, "server"],
];

for (const [fault, trouble] of troubles) {
  test(`${JSON.stringify(fault)} at a hand-over is ${trouble}, and the SDK asks once`, async () => {
    standIn.fault(fault);
    const before = standIn.calls.length;
    expect(await aws.invokeAsync(call, signal)).toMatchObject({ kind: "trouble", trouble });
    expect(standIn.calls.slice(before)).toEqual(["invoke story-bronze"]);
  });
}

test("S3 that throttles is throttled, and one that fails once is asked again by the SDK", async () => {
  standIn.fault({ kind: "status", status: 500, on: "get", times: 1 });
  expect(await aws.objects.get(at("nothing"), 1, signal)).toEqual({ kind: "missing" });
  standIn.fault({ kind: "throttle", on: "get" });
  expect(await aws.objects.get(at("nothing"), 1, signal)).toMatchObject({ trouble: "throttled" });
});

test("a key that is not there is missing, and hidden where the role may not list the bucket", async () => {
  expect(await aws.objects.get(at("nothing"), 1, signal)).toEqual({ kind: "missing" });
  standIn.allowList(false);
  expect(await aws.objects.get(at("nothing"), 1, signal)).toMatchObject({ kind: "hidden" });
});

const looks: readonly (readonly [what: string, fault: AwsFault])[] = [
  ["is throttled", { kind: "throttle", on: "get" }],
  ["fails", { kind: "status", status: 500, on: "get" }],
  ["is not allowed", { kind: "status", status: 403, on: "get" }],
  ["is called expired", { kind: "status", status: 400, code: "ExpiredToken", on: "get" }],
  ["is reset", { kind: "reset", on: "get" }],
];

for (const [what, fault] of looks) {
  test(`a cheap look that ${what} says nothing, and never that a key is missing`, async () => {
    standIn.fault(fault);
    expect(await aws.objects.isSurelyMissing(at("nothing"), signal)).toBe(false);
  });
}

test("a cheap look without the right to list, cut short or never answered says nothing", async () => {
  standIn.allowList(false);
  expect(await aws.objects.isSurelyMissing(at("nothing"), signal)).toBe(false);
  standIn.allowList(true);
  expect(await aws.objects.isSurelyMissing(at("nothing"), AbortSignal.abort())).toBe(false);
  standIn.fault({ kind: "hang", on: "get" });
  const unanswered = aws.objects.isSurelyMissing(at("nothing"), signal);
  await clock.advance(awsRule.lookMs);
  expect(await unanswered).toBe(false);
});

test("one of ten cheap looks, by the dice, is left to the SDK", async () => {
  for (const [thrown, said] of [
    [0.0999, false],
    [0.1, true],
    [0.9, true],
  ] as const) {
    dice = thrown;
    expect(await aws.objects.isSurelyMissing(at("nothing"), signal)).toBe(said);
  }
});

test("a bucket that is not there is a refusal and no missing key", async () => {
  const found = await aws.objects.get({ bucket: "elsewhere", key: "a" }, 1, signal);
  expect(found).toMatchObject({ kind: "trouble", trouble: "refused" });
});

test("what stands in for S3 is asked by path, also where its address is a name", async () => {
  const before = process.env["AWS_ENDPOINT_URL"];
  process.env["AWS_ENDPOINT_URL"] = standIn.url.replace("127.0.0.1", "localhost");
  const named = openAws("us-east-1", process.env, systemClock, () => dice);
  expect(await named.objects.get(at("nothing"), 1, signal)).toEqual({ kind: "missing" });
  named.close();
  process.env["AWS_ENDPOINT_URL"] = before;
});

test("an object longer than allowed is not read", async () => {
  standIn.objects.put("bucket", "long", Buffer.alloc(1000));
  expect(await aws.objects.get(at("long"), 999, signal)).toEqual({ kind: "too-large", bytes: 1000 });
  expect(await aws.objects.get(at("long"), 1000, signal)).toMatchObject({ kind: "found" });
});

test("a page that is no object of S3's is trouble, and no object", async () => {
  const { AWS_ENDPOINT_URL: before } = process.env;
  const page = "<html>Please log in.</html>";
  const headers = new Headers();
  const proxy = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(page, { headers }) });
  process.env["AWS_ENDPOINT_URL"] = proxy.url.origin;
  const other = openAws("us-east-1", process.env, clock, () => dice);
  expect(await other.objects.get(at("page"), 999, signal)).toMatchObject({
    kind: "trouble",
    trouble: "server",
    why: expect.stringContaining("not S3"),
  });
  headers.set("etag", '"1"');
  expect(await other.objects.get(at("page"), 999, signal)).toMatchObject({ kind: "found", etag: '"1"' });
  other.close();
  await proxy.stop(true);
  process.env["AWS_ENDPOINT_URL"] = before;
});

test("credentials that were withdrawn are renewed after the first refusal", async () => {
  await clock.advance(awsRule.renewMs);
  standIn.expireCredentials();
  expect(await aws.invokeAsync(call, signal)).toMatchObject({ trouble: "credentials" });
  expect((await aws.invokeAsync(call, signal)).kind).toBe("taken");
  expect(await aws.objects.get(at("nothing"), 1, signal)).toEqual({ kind: "missing" });
});

test("a call that is cut short comes back at once, with the time limit still far", async () => {
  standIn.fault({ kind: "hang" });
  const cut = new AbortController();
  const answer = aws.invokeAsync(call, cut.signal);
  cut.abort();
  expect(await answer).toMatchObject({ kind: "trouble", trouble: "cut" });
  expect(await aws.invokeAsync(call, cut.signal)).toMatchObject({ trouble: "cut" });
});

test("a call that nobody answers ends at its time limit", async () => {
  standIn.fault({ kind: "hang" });
  const answer = aws.invokeAsync(call, signal);
  await clock.advance(awsRule.submitMs - 1);
  const early = await Promise.race([answer, Bun.sleep(1)]);
  expect(early).toBeUndefined();
  await clock.advance(1);
  expect(await answer).toMatchObject({ kind: "trouble", trouble: "timeout" });
});

test("an object whose bytes end half-way is the network's trouble and no object", async () => {
  standIn.objects.put("bucket", "half", Buffer.alloc(100_000, "x"));
  standIn.fault({ kind: "truncate", on: "get" });
  const found = await aws.objects.get(at("half"), 1_000_000, signal);
  expect(found).toMatchObject({ kind: "trouble", trouble: "network" });
});

test("an object whose bytes were changed on the way is the network's trouble and no object", async () => {
  standIn.objects.put("bucket", "spoilt", Buffer.alloc(1000, "x"));
  standIn.fault({ kind: "spoil", on: "get" });
  expect(await aws.objects.get(at("spoilt"), 1000, signal)).toMatchObject({
    kind: "trouble",
    trouble: "network",
    why: expect.stringContaining("Checksum mismatch"),
  });
});

test("an endpoint with no machine is told as it is: in service, zero instances", async () => {
  standIn.scale(0);
  expect(await aws.describeEndpoint("story-bronze", signal)).toEqual({
    kind: "described",
    status: "InService",
    instances: 0,
    outputPath: "s3://bucket/results",
    failurePath: "s3://bucket/failures",
  });
  standIn.scale(1);
});

test("without a metadata service the trouble is called credentials, and a service that is gone is the network's", async () => {
  const gone = "http://127.0.0.1:9";
  const before = { ...process.env };
  process.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = gone;
  const nobody = openAws("us-east-1", process.env, systemClock, () => dice);
  expect(await nobody.invokeAsync(call, signal)).toMatchObject({ trouble: "credentials" });
  Object.assign(process.env, before, { AWS_ENDPOINT_URL: gone });
  const nowhere = openAws("us-east-1", process.env, systemClock, () => dice);
  expect(await nowhere.invokeAsync(call, signal)).toMatchObject({ trouble: "network" });
  Object.assign(process.env, before);
  nobody.close();
  nowhere.close();
});
