import { expect, test } from "bun:test";
import type { AwsOptions } from "../../playground/aws.ts";
import { startAws } from "../../playground/aws.ts";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { cleanup } from "../support/cleanup.ts";

const stopped = cleanup();
const prefix = "x-amzn-sagemaker-";
const chat = JSON.stringify({ messages: [{ role: "user", content: "hello" }] });

function scene(options: Partial<AwsOptions> = {}) {
  const aws = stopped(startAws({ workMs: 1, scaleUpMs: 50, ...options }));
  return {
    aws,
    invoke: (headers: Record<string, string> = {}, body = chat, name = "story-bronze") =>
      fetch(`${aws.url}/endpoints/${name}/async-invocations`, {
        method: "POST",
        headers: Object.fromEntries(Object.entries(headers).map(([key, value]) => [prefix + key, value])),
        body,
      }),
    object: (path: string, init?: RequestInit) => fetch(`${aws.url}/bucket/${path}`, init),
    control: (path: string, body: unknown) =>
      fetch(aws.controlUrl + path, { method: "POST", body: JSON.stringify(body) }),
  };
}

const jsonOf = async (answer: Promise<Response>) => JSON.parse(await (await answer).text());

async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 3000; !holds() && performance.now() < end; ) await Bun.sleep(2);
  expect(holds()).toBe(true);
}

test("the stand-in for AWS answers an invocation with 202 and both places, and writes the answer where it said", async () => {
  const { invoke, object, aws } = scene();
  const answer = await invoke({ s3outputpathextension: "a/b", filename: "c.out", "inference-id": "c-1" });
  expect(answer.status).toBe(202);
  expect(answer.headers.get(`${prefix}outputlocation`)).toBe("s3://bucket/results/a/b/c.out");
  expect(answer.headers.get(`${prefix}failurelocation`)).toBe("s3://bucket/failures/c-1-error.out");
  expect(await answer.json()).toEqual({ InferenceId: "c-1" });
  await until(() => aws.objects.get("bucket", "results/a/b/c.out") !== undefined);
  const written = await jsonOf(object("results/a/b/c.out"));
  expect(written.choices[0].message.content).toBe("You said: hello");
});

const refusals: readonly (readonly [what: string, headers: Record<string, string>, body?: string])[] = [
  ["neither a body nor an input", {}, ""],
  ["both a body and an input", { inputlocation: "s3://bucket/a" }],
  ["a body that is too long", {}, "x".repeat(128_001)],
  ["a time in the queue below a minute", { requestttlseconds: "59" }],
  ["a time of work above an hour", { invocationtimeoutseconds: "3601" }],
  ["a file name with two dots", { filename: "a.b.c" }],
  ["a path with signs that S3 output paths do not take", { s3outputpathextension: "a b" }],
  ["an inference id that is too long", { "inference-id": "x".repeat(65) }],
];

for (const [what, headers, body] of refusals) {
  test(`the stand-in for AWS refuses an invocation with ${what}`, async () => {
    const answer = await scene().invoke(headers, body);
    expect([answer.status, answer.headers.get("x-amzn-errortype")]).toEqual([400, "ValidationError"]);
  });
}

test("the stand-in for AWS fails a job whose input is not there, and works on one whose input is", async () => {
  const { invoke, aws } = scene();
  aws.objects.put("bucket", "in.json", Buffer.from(chat));
  await invoke({ inputlocation: "s3://bucket/in.json", filename: "good.out" }, "");
  await invoke({ inputlocation: "s3://bucket/none.json", "inference-id": "bad" }, "");
  await until(() => aws.objects.keys("bucket").length === 3);
  expect(aws.objects.keys("bucket")).toEqual(["failures/bad-error.out", "in.json", "results/good.out"]);
});

test("the stand-in for AWS scales from zero when there is work, and says zero instances before", async () => {
  const { invoke, aws } = scene({ instances: 0 });
  const describe = () =>
    fetch(aws.url, {
      method: "POST",
      headers: { "x-amz-target": "SageMaker.DescribeEndpoint" },
      body: '{"EndpointName":"story-bronze"}',
    });
  expect((await jsonOf(describe())).ProductionVariants[0].CurrentInstanceCount).toBe(0);
  await invoke({ filename: "a.out" });
  expect(aws.objects.keys("bucket")).toEqual([]);
  await until(() => aws.objects.keys("bucket").length === 1);
  expect((await jsonOf(describe())).ProductionVariants[0].CurrentInstanceCount).toBe(1);
});

test("the stand-in for AWS lets an engine answer, and writes its errors as failures", async () => {
  const engine = stopped(await startSimulatedEngine({ msPerToken: 0 }));
  const { invoke, aws } = scene({ engine: engine.url });
  await invoke(
    { filename: "good.out" },
    JSON.stringify({ model: "simulated", ...JSON.parse(chat), max_tokens: 4 }),
  );
  await invoke({ "inference-id": "bad" }, JSON.stringify({ model: "nobody", ...JSON.parse(chat) }));
  await until(() => aws.objects.keys("bucket").length === 2);
  expect(aws.objects.keys("bucket")).toEqual(["failures/bad-error.out", "results/good.out"]);
});

test("the stand-in for S3 keeps its conditions, its pages and its errors", async () => {
  const { object, aws } = scene();
  const put = (path: string, headers: Record<string, string>) =>
    object(path, { method: "PUT", body: "1", headers });
  const first = await put("a", { "if-none-match": "*" });
  const etag = first.headers.get("etag") ?? "";
  expect([first.status, (await put("a", { "if-none-match": "*" })).status]).toEqual([200, 412]);
  expect([
    (await put("a", { "if-match": etag })).status,
    (await put("a", { "if-match": '"0"' })).status,
  ]).toEqual([200, 412]);
  expect((await put("none", { "if-match": etag })).status).toBe(404);
  expect((await object("a", { method: "HEAD" })).headers.get("content-length")).toBe("1");
  expect(await (await object("none")).text()).toContain("<Code>NoSuchKey</Code>");
  for (const key of ["b", "c", "d"]) aws.objects.put("bucket", key, Buffer.from("2"));
  const page = await (await object("?list-type=2&max-keys=2&start-after=a")).text();
  expect([...page.matchAll(/<Key>(.)<\/Key>/g)].map(([, key]) => key)).toEqual(["b", "c"]);
  expect(page).toContain("<IsTruncated>true</IsTruncated>");
  aws.allowList(false);
  expect([(await object("none")).status, (await object("?list-type=2")).status]).toEqual([403, 403]);
});

test("the stand-in for AWS is broken and mended over its control listener, also while it hangs", async () => {
  const { invoke, control, aws } = scene();
  expect((await control("/control", { fault: { kind: "nonsense" } })).status).toBe(400);
  await control("/control", { faults: [{ kind: "throttle", times: 1 }, { kind: "hang" }] });
  expect((await invoke()).headers.get("x-amzn-errortype")).toBe("ThrottlingException");
  const hanging = invoke();
  expect(await Promise.race([hanging, Bun.sleep(20)])).toBeUndefined();
  await fetch(`${aws.controlUrl}/control`, { method: "DELETE" });
  expect((await hanging).status).toBe(202);
  await control("/control/instances", { count: 0 });
  await control("/control/list-bucket", { allowed: false });
  expect((await fetch(`${aws.url}/bucket/none`)).status).toBe(403);
  const { calls } = await jsonOf(fetch(`${aws.controlUrl}/control/calls`));
  expect(calls).toEqual(["invoke story-bronze", "invoke story-bronze", "get none"]);
  const { invocations } = await jsonOf(fetch(`${aws.controlUrl}/control/invocations`));
  expect(invocations).toHaveLength(1);
});

test("the stand-in for AWS gives credentials, and takes them back", async () => {
  const { aws, control, invoke } = scene();
  const metadata = aws.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] ?? "";
  const token = await fetch(`${metadata}/latest/api/token`, {
    method: "PUT",
    headers: { "x-aws-ec2-metadata-token-ttl-seconds": "60" },
  });
  const headers = { "x-aws-ec2-metadata-token": await token.text() };
  const page = `${metadata}/latest/meta-data/iam/security-credentials/`;
  const keyNow = async (): Promise<string> => {
    const role = await (await fetch(page, { headers })).text();
    return (await jsonOf(fetch(page + role, { headers }))).AccessKeyId;
  };
  const old = await keyNow();
  await control("/control/credentials/expire", {});
  const statuses = [old, await keyNow()].map(
    async (key) =>
      (
        await fetch(`${aws.url}/bucket/a`, {
          headers: { authorization: `AWS4-HMAC-SHA256 Credential=${key}/20260101/us-east-1/s3/aws4_request` },
        })
      ).status,
  );
  expect(await Promise.all(statuses)).toEqual([400, 404]);
  expect((await invoke()).status).toBe(202);
});
