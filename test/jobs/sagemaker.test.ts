// The runner, the real SDK and the stand-in with its faults.

import { afterAll, afterEach, expect, test } from "bun:test";
import type { AwsFault } from "../../playground/aws/faults.ts";
import type { Aws } from "../../src/jobs/aws.ts";
import { jobTraceparent, ulidOf } from "../../src/jobs/job-id.ts";
import { createSageMakerRunner, sageMakerRule } from "../../src/jobs/sagemaker.ts";
import { jobToDo, lookUntilEnd, submittedJob, textOf } from "../support/job-to-do.ts";
import { sageMakerScene, scenePlaces } from "../support/sagemaker-scene.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const { runner, runnerWith, hidden, standIn, stop } = sageMakerScene({ scaleUpMs: 30 });
const { signal } = new AbortController();

afterEach(() => {
  standIn.fault();
  standIn.allowList(true);
  standIn.scale(1);
});
afterAll(stop);

async function submitted(job = jobToDo(runner)) {
  const answer = await runner.submit(job, signal);
  if (answer.kind !== "submitted") throw new Error(JSON.stringify(answer));
  return submittedJob(job, answer);
}

/** What SageMaker was told of a job. */
const toldOf = (id: string) =>
  standIn.invocations.filter(({ inferenceId }) => inferenceId.startsWith(ulidOf(id)));

test("a job's place is the day, the host and the ULID below the output path, known before the call and used by it", async () => {
  const job = jobToDo(runner);
  const day = new Date(job.acceptedAtMs).toISOString().slice(0, 10).replaceAll("-", "");
  const place = `s3://bucket/results/jobs/${day}/gold-1/${ulidOf(job.id)}.out`;
  expect(runner.outputKey(job)).toBe(place);
  expect(await submitted(job)).toMatchObject({ outputKey: place, inferenceId: `${ulidOf(job.id)}-1` });
  expect(toldOf(job.id)).toMatchObject([{ outputLocation: place }]);
});

test("a host with a name that S3 paths do not take still has a place of its own", () => {
  const ulid = "01JZZZZZZZ0123456789ABCDEF";
  expect(runner.outputKey({ id: `job_gold/1 é_${ulid}`, acceptedAtMs: 0 })).toBe(
    `s3://bucket/results/jobs/19700101/gold_1__/${ulid}.out`,
  );
});

test("a job is sent without streaming, with its trace and the attempt as its span", async () => {
  const request = Buffer.from(
    '{"stream":true,"stream_options":{},"messages":[],"seed":12345678901234567890}',
  );
  const { id } = await submitted(jobToDo(runner, "", { request, attempt: 3 }));
  const [told] = toldOf(id);
  expect(told?.body).toBe('{"stream":false,"messages":[],"seed":12345678901234567890}');
  expect(told?.customAttributes).toMatch(/^traceparent=00-[0-9a-f]{32}-0000000000000003-01,tier=bronze$/);
  expect(told?.customAttributes).toContain(jobTraceparent({ id, attempt: 3 }));
});

const times: readonly (readonly [leftMs: number, queueSeconds: number, invocationSeconds: number])[] = [
  [3_600_000, 3600, 3600],
  [86_400_000, 21_600, 3600],
  [600_000, 600, 600],
  [5_000, 60, 5],
  [-1, 60, 1],
];

for (const [leftMs, queueSeconds, invocationSeconds] of times) {
  test(`a job with ${leftMs} ms left may be queued for ${queueSeconds} s and worked on for ${invocationSeconds} s`, async () => {
    const clock = virtualClock();
    const calls: unknown[] = [];
    const scripted: Aws = {
      objects: { isSurelyMissing: never, get: never, put: never, list: never },
      describeEndpoint: never,
      close() {},
      async invokeAsync(call) {
        calls.push(call);
        return {
          kind: "taken",
          inferenceId: undefined,
          outputLocation: undefined,
          failureLocation: undefined,
        };
      },
    };
    const timed = createSageMakerRunner(scenePlaces, scripted, clock, () => {});
    const job = jobToDo(timed, "", { leftMs });
    expect(await timed.submit(job, signal)).toEqual({
      kind: "submitted",
      inferenceId: `${ulidOf(job.id)}-1`,
    });
    expect(calls).toMatchObject([
      { requestTtlSeconds: queueSeconds, invocationTimeoutSeconds: invocationSeconds },
    ]);
  });
}

const never = async (): Promise<never> => {
  throw new Error("nobody was to ask for that");
};

/** So long that `{"stream":false,` and the rest make it `bytes` long. */
const requestOf = (bytes: number): Uint8Array => {
  const frame = '{"stream":false,"messages":[],"pad":""}'.length;
  return Buffer.from(`{"messages":[],"pad":"${"x".repeat(bytes - frame)}"}`);
};

test("a body of 128,000 bytes is sent along, and one byte more goes by way of S3", async () => {
  const { inlineBytesMost } = sageMakerRule;
  const inline = await submitted(jobToDo(runner, "", { request: requestOf(inlineBytesMost) }));
  expect(toldOf(inline.id)).toMatchObject([{ inputLocation: undefined }]);
  const long = await submitted(jobToDo(runner, "", { request: requestOf(inlineBytesMost + 1) }));
  const [told] = toldOf(long.id);
  expect(told?.inputLocation).toMatch(`/gold-1/${ulidOf(long.id)}.json`);
  expect(told?.body).toHaveLength(inlineBytesMost + 1);
  expect((await lookUntilEnd(runner, long)).kind).toBe("done");
});

test("a body that is too long to be sent along fails where there is no place for inputs, and says which line is missing", async () => {
  const alone = runnerWith({ input: undefined });
  const job = jobToDo(alone, "", { request: requestOf(sageMakerRule.inlineBytesMost + 1) });
  expect(await alone.submit(job, signal)).toMatchObject({
    kind: "failed",
    error: { code: "request_too_large", message: expect.stringContaining("tier.bronze.input") },
  });
});

test("an input that is there already is named and not put again", async () => {
  const adopting = runnerWith({ inputIsThere: true });
  const puts = standIn.calls.filter((call) => call.startsWith("put")).length;
  const job = jobToDo(adopting);
  expect((await adopting.submit(job, signal)).kind).toBe("submitted");
  expect(toldOf(job.id)).toMatchObject([{ inputLocation: expect.stringContaining(ulidOf(job.id)) }]);
  expect(standIn.calls.filter((call) => call.startsWith("put"))).toHaveLength(puts);
});

test("an input that S3 refuses is that job's trouble and no other's, unlike an S3 that is down", async () => {
  const long = () => jobToDo(runner, "", { request: requestOf(sageMakerRule.inlineBytesMost + 1) });
  standIn.fault({ kind: "status", status: 400, code: "EntityTooLarge", on: "put" });
  expect(await runner.submit(long(), signal)).toMatchObject({ kind: "again", about: "job" });
  standIn.fault({ kind: "status", status: 503, on: "put" });
  const down = await runner.submit(long(), signal);
  expect(down).toMatchObject({ kind: "again", why: expect.stringContaining("input") });
  expect(down).toMatchObject({ about: "runner" });
});

const refusals: readonly (readonly [fault: AwsFault, answer: object])[] = [
  [{ kind: "throttle" }, { kind: "again", afterMs: 1000, why: expect.stringContaining("throttled") }],
  [
    { kind: "status", status: 500 },
    { kind: "again", afterMs: 1000 },
  ],
  [
    { kind: "status", status: 503 },
    { kind: "again", afterMs: 1000 },
  ],
  [{ kind: "reset" }, { kind: "again", afterMs: 1000, why: expect.stringContaining("network") }],
  [
    { kind: "status", status: 403 },
    { kind: "again", afterMs: 30_000, why: expect.stringContaining("denied") },
  ],
  [
    { kind: "status", status: 400, code: "ExpiredTokenException" },
    { kind: "again", afterMs: 1000, why: expect.stringContaining("credentials") },
  ],
  [
    { kind: "status", status: 400 },
    {
      kind: "failed",
      error: { code: "upstream_failed", message: expect.stringContaining("ValidationError") },
    },
  ],
];

for (const [fault, answer] of refusals) {
  test(`${JSON.stringify(fault)} at a hand-over is ${JSON.stringify(answer)}`, async () => {
    standIn.fault(fault);
    expect(await runner.submit(jobToDo(runner), signal)).toMatchObject(answer);
  });
}

test("an endpoint that is gone for a while costs no job its life", async () => {
  const elsewhere = runnerWith({ endpoint: "not-yet" });
  const answer = await elsewhere.submit(jobToDo(elsewhere), signal);
  expect(answer).toMatchObject({ kind: "again", why: expect.stringContaining("not found") });
});

for (const kind of ["accept-then-reset", "accept-then-500"] as const) {
  test(`after ${kind} the result is found without handing over again`, async () => {
    standIn.fault({ kind });
    const job = jobToDo(runner, "lost answer");
    expect((await runner.submit(job, signal)).kind).toBe("again");
    const ended = await lookUntilEnd(runner, job);
    expect(ended.kind).toBe("done");
    expect(toldOf(job.id)).toHaveLength(1);
  });
}

test("a job whose output never comes stays absent, and handed over again it comes to the place of the first time", async () => {
  standIn.fault({ kind: "lost-output" });
  const job = await submitted();
  await Bun.sleep(20);
  expect(await runner.look(job, signal)).toEqual({ kind: "absent" });
  standIn.fault();
  const second = await submitted({ ...job, attempt: 2 });
  expect(second.outputKey).toBe(job.outputKey);
  expect(second.inferenceId).toBe(`${ulidOf(job.id)}-2`);
  expect((await lookUntilEnd(runner, second)).kind).toBe("done");
});

test("an output that comes late is found when it comes", async () => {
  standIn.fault({ kind: "late-output", delayMs: 50 });
  const job = await submitted();
  expect(await runner.look(job, signal)).toEqual({ kind: "absent" });
  expect((await lookUntilEnd(runner, job)).kind).toBe("done");
});

test("a job that was delivered twice has one result", async () => {
  standIn.fault({ kind: "duplicate" });
  const job = await submitted(jobToDo(runner, "twice"));
  const first = await lookUntilEnd(runner, job);
  await Bun.sleep(20);
  expect(await runner.look(job, signal)).toEqual(first);
});

test("a failure object ends a job with its words, and needs the place that the hand-over brought back", async () => {
  standIn.fault({ kind: "failure", message: "CUDA out of\n memory" });
  const job = await submitted();
  expect(await lookUntilEnd(runner, job)).toEqual({
    kind: "failed",
    error: { code: "upstream_failed", message: "The model failed on SageMaker: CUDA out of memory" },
  });
  const { failureLocation: _lost, ...without } = job;
  expect(await runner.look(without, signal)).toEqual({ kind: "absent" });
});

test("with no machine there the hand-over works as ever, and the result comes when there is one", async () => {
  standIn.scale(0);
  const job = await submitted();
  expect(await runner.look(job, signal)).toEqual({ kind: "absent" });
  expect((await lookUntilEnd(runner, job)).kind).toBe("done");
});

test("a role that may not list sees a missing result as absent, finds it when it is there, and is told what is missing", async () => {
  standIn.allowList(false);
  standIn.scale(0);
  const job = await submitted();
  expect(await runner.look(job, signal)).toEqual({ kind: "absent" });
  expect(hidden.at(-1)).toContain("403");
  standIn.scale(1);
  expect((await lookUntilEnd(runner, job)).kind).toBe("done");
  const told = hidden.length;
  expect((await runner.look(job, signal)).kind).toBe("done");
  expect(hidden).toHaveLength(told);
});

test("a look that S3 refuses is made again later", async () => {
  const job = jobToDo(runner);
  standIn.fault({ kind: "status", status: 503, on: "get" });
  expect(await runner.look(job, signal)).toMatchObject({ kind: "again", afterMs: 1000 });
});

test("an answer of TGI comes out in OpenAI's shape, and one in no known shape as a failure that shows it", async () => {
  standIn.fault({ kind: "answer", body: '[{"generated_text":"Once upon a time"}]' });
  const ended = await lookUntilEnd(runner, await submitted());
  expect(ended.kind === "done" && textOf(ended.result)).toBe("Once upon a time");
  standIn.fault({ kind: "answer", body: '{"prediction":"?"}' });
  expect(await lookUntilEnd(runner, await submitted())).toMatchObject({
    kind: "failed",
    error: { message: expect.stringContaining('{"prediction":"?"}') },
  });
});

test("an answer that is longer than can be kept fails and says how long it is", async () => {
  const job = await submitted();
  await lookUntilEnd(runner, job);
  const long = sageMakerRule.resultBytesMost + 1;
  standIn.objects.put("bucket", job.outputKey.slice("s3://bucket/".length), Buffer.alloc(long));
  expect(await runner.look(job, signal)).toMatchObject({
    kind: "failed",
    error: { message: expect.stringContaining(String(long)) },
  });
});

test("where the endpoint writes elsewhere than the configuration says, its own word counts", async () => {
  const elsewhere = runnerWith({ output: { bucket: "bucket", key: "not/here" } });
  const job = await submitted(jobToDo(elsewhere));
  expect(job.outputKey).toStartWith("s3://bucket/results/jobs/");
  expect((await lookUntilEnd(elsewhere, job)).kind).toBe("done");
});

test("the endpoint is described once in half a minute, and again after trouble", async () => {
  const clock = virtualClock();
  let asked = 0;
  const status = { kind: "described", status: "InService", instances: 0 } as const;
  const trouble = { kind: "trouble", trouble: "throttled", why: "" } as const;
  const scripted: Aws = {
    objects: { isSurelyMissing: never, get: never, put: never, list: never },
    invokeAsync: never,
    close() {},
    async describeEndpoint() {
      asked += 1;
      return asked === 1 ? trouble : { ...status, outputPath: undefined, failurePath: undefined };
    },
  };
  const described = createSageMakerRunner(scenePlaces, scripted, clock, () => {});
  expect(await described.endpointStatus(signal)).toEqual(trouble);
  expect(await described.endpointStatus(signal)).toMatchObject(status);
  await clock.advance(sageMakerRule.statusKeptMs - 1);
  expect(await described.endpointStatus(signal)).toMatchObject(status);
  expect(asked).toBe(2);
  await clock.advance(1);
  await described.endpointStatus(signal);
  expect(asked).toBe(3);
});
