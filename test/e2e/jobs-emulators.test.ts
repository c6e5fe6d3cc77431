// Jobs of the compiled binary at a SageMaker and an S3 that nobody here wrote.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { freePorts } from "../../playground/dev/ports.ts";
import { messages, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import type { Emulators } from "../support/emulators.ts";
import { startEmulators } from "../support/emulators.ts";
import { needsTool } from "../support/needs-tool.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import type { Tierline } from "../support/tierline.ts";
import { startTierline } from "../support/tierline.ts";

setDefaultTimeout(40_000);

const ends = cleanup();

const bronze = `[tier.bronze]
runner = "sagemaker"
endpoint = "story-bronze"
region = "us-east-1"
output = "s3://bucket/results"
input = "s3://bucket/inputs"
manifests = "s3://bucket/manifests"
models = ["story-70b"]
`;

const answerOf = (content: string): string =>
  JSON.stringify({
    id: "cmpl-1",
    object: "chat.completion",
    model: "story-70b",
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
  });

interface Told {
  readonly status: number;
  readonly job: Readonly<Record<string, unknown>>;
}

const told = async (response: Response): Promise<Told> => {
  const job: Record<string, unknown> = JSON.parse(await response.text());
  return { status: response.status, job };
};

const post = (url: string, request: object, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${url}/v1/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ request }),
  });

const order = async (url: string, request: object = { messages }, headers = {}): Promise<string> => {
  const { status, job } = await told(await post(url, request, headers));
  expect(status).toBe(202);
  return String(job["id"]);
};

const get = async (url: string, id: string, waitSeconds = 0): Promise<Told> =>
  told(await fetch(`${url}/v1/jobs/${id}?wait=${waitSeconds}`));

const both = [needsTool("moto_server"), needsTool("versitygw")];

describe.skipIf(both.includes(false))("with moto and versitygw", () => {
  let aws: Emulators;
  beforeAll(async () => {
    aws = await startEmulators("story-bronze");
  });
  afterAll(() => aws.stop());

  /** In a folder that outlives its crash. */
  const openPlace = (): string => {
    const dir = mkdtempSync(join(tmpdir(), "tierline-jobs-"));
    ends({ stop: () => rmSync(dir, { recursive: true, force: true }) });
    return dir;
  };
  const start = async (dir: string): Promise<Tierline> =>
    ends(await startTierline({ config: bronze, env: aws.env, dir }));

  test("an ordered job comes to SageMaker's own answer, and S3 has its request, its manifest and its end", async () => {
    await aws.results({ data: answerOf("Well met.") });
    const { url } = await start(openPlace());
    const id = await order(url);
    const ulid = id.slice(id.lastIndexOf("_") + 1);
    const { status, job } = await get(url, id, 30);
    expect(status).toBe(200);
    expect(job).toMatchObject({ status: "succeeded", result: JSON.parse(answerOf("Well met.")) });
    expect(JSON.parse(await aws.textOf("inputs/", ulid))).toEqual({
      model: "story-70b",
      messages,
      stream: false,
    });
    const manifest = await aws.textOf("manifests/jobs/", ulid);
    expect(JSON.parse(manifest)).toMatchObject({ id, state: "done" });
    expect(aws.handedOver.filter((each) => each.startsWith(ulid))).toEqual([`${ulid}-1`]);
  });

  test("a job that fails there is failed, in the model's own words", async () => {
    await aws.results({ data: "the container ran out of memory", is_failure: true });
    const { url } = await start(openPlace());
    const { job } = await get(url, await order(url), 30);
    expect(job).toMatchObject({
      status: "failed",
      error: { code: "upstream_failed", message: expect.stringContaining("ran out of memory") },
    });
  });

  test("one idempotency key is one job, before its end and after, and never another request's", async () => {
    aws.hold();
    await aws.results({ data: answerOf("Once.") });
    const { url } = await start(openPlace());
    const key = { "idempotency-key": crypto.randomUUID() };
    const id = await order(url, { messages }, key);
    expect(await order(url, { messages }, key)).toBe(id);
    const other = await post(url, { messages, temperature: 1 }, key);
    expect([other.status, (await openAiErrorOf(other)).code]).toEqual([422, "idempotency_mismatch"]);
    await aws.deliver();
    expect((await get(url, id, 30)).job).toMatchObject({ status: "succeeded" });
    const again = await told(await post(url, { messages }, key));
    expect(again).toMatchObject({ status: 200, job: { id, status: "succeeded" } });
  });

  test("a router that is killed while SageMaker works shows the result when it is back, once handed over", async () => {
    aws.hold();
    await aws.results({ data: answerOf("After all.") });
    const dir = openPlace();
    const first = await start(dir);
    const id = await order(first.url);
    const ulid = id.slice(id.lastIndexOf("_") + 1);
    const runs = async () => (await get(first.url, id)).job["status"] === "running";
    await until("SageMaker has it", runs, 15_000);
    first.signal("SIGKILL");
    await first.exited;
    await aws.deliver();
    const second = await start(dir);
    const { job } = await get(second.url, id, 30);
    expect(job).toMatchObject({ status: "succeeded", result: JSON.parse(answerOf("After all.")) });
    expect(aws.handedOver.filter((each) => each.startsWith(ulid))).toEqual([`${ulid}-1`]);
  });

  test("an S3 that says nothing has new jobs refused, and the ones that were accepted wait for it", async () => {
    aws.hold();
    await aws.results({ data: answerOf("Patience.") });
    const { url } = await start(openPlace());
    const id = await order(url);
    aws.s3.freeze();
    const refused = await post(url, { messages });
    aws.s3.thaw();
    expect(Number(refused.headers.get("retry-after-ms"))).toBeGreaterThan(0);
    expect([refused.status, (await openAiErrorOf(refused)).code]).toEqual([503, "job_store_unavailable"]);
    await aws.deliver();
    expect((await get(url, id, 30)).job).toMatchObject({ status: "succeeded" });
  });

  test("one host is lost with its disk and one stands still: the third finishes their jobs, and all three say so", async () => {
    const dirs = { "story-1": openPlace(), "story-2": openPlace(), "story-3": openPlace() };
    const open = openFleet(dirs, aws.env);
    const [lost, still, heir] = await Promise.all([open("story-1"), open("story-2"), open("story-3")]);
    const alive = () => heir.metric("tierline_members", { state: "alive" });
    await until("they know each other", async () => (await alive()) === 3, 15_000);

    aws.hold();
    // One for each, in whatever order they come there; and one for the job that is cancelled, if it comes so far.
    const answers = Array.from({ length: 9 }, (_, n) => answerOf(`Inherited ${n}.`));
    await aws.results(...answers.map((data) => ({ data })));
    const key = { "idempotency-key": crypto.randomUUID() };
    const orders = answers.slice(1).map((_, n) => order((n % 2 ? lost : still).url, { messages, seed: n }));
    const ids = await Promise.all([order(lost.url, { messages }, key), ...orders]);
    const [cancelled = "", ...wanted] = ids;
    for (const id of ids) expect((await get(heir.url, id)).job).toMatchObject({ id });
    const cancelling = await told(
      await fetch(`${heir.url}/v1/jobs/${cancelled}/cancel`, { method: "POST", body: "" }),
    );
    expect(cancelling).toMatchObject({ status: 200, job: { status: "cancelled" } });

    lost.signal("SIGKILL");
    await lost.exited;
    rmSync(dirs["story-1"], { recursive: true });
    still.signal("SIGSTOP");
    await aws.deliver();
    const statuses = async ({ url }: Tierline) =>
      Promise.all(ids.map(async (id) => (await get(url, id)).job["status"]));
    const ended = ["cancelled", ...wanted.map(() => "succeeded")];
    const isDone = async (host: Tierline) => Bun.deepEquals(await statuses(host), ended);
    await until("the third has finished them", () => isDone(heir), 90_000).catch(async (error: Error) => {
      throw new Error(`${error.message}. They are ${await statuses(heir)}`);
    });
    expect(await heir.metric("tierline_jobs_adopted_total")).toBe(wanted.length);
    const results = await Promise.all(wanted.map(async (id) => (await get(heir.url, id)).job["result"]));
    const texts = new Set(results.map((result) => JSON.stringify(result)));
    expect([...texts].filter((text) => answers.includes(text))).toHaveLength(wanted.length);

    still.signal("SIGCONT");
    mkdirSync(dirs["story-1"]);
    const back = await open("story-1");
    await until("they know each other again", async () => (await alive()) === 3, 20_000);
    for (const host of [still, back]) {
      await until("it says so too", () => isDone(host), 20_000);
      const shown = await Promise.all(wanted.map(async (id) => (await get(host.url, id)).job["result"]));
      expect(shown).toEqual(results);
      const repeated = await told(await post(host.url, { messages }, key));
      expect(repeated).toMatchObject({ status: 200, job: { id: cancelled, status: "cancelled" } });
    }
    const lostThere = () => still.metric("tierline_jobs_lost_total");
    await until("the one that stood still has given them up", async () => (await lostThere()) === 4);
  }, 180_000);
});

/** Hosts of one fleet by their names, each in its folder. */
function openFleet<Name extends string>(dirs: Readonly<Record<Name, string>>, env: Emulators["env"]) {
  const given = new Set<number>();
  const ports = new Map(Object.keys(dirs).map((name) => [name, freePorts(given)]));
  const secretFile = join(mkdtempSync(join(tmpdir(), "tierline-secret-")), "gossip.key");
  writeFileSync(secretFile, "0123456789abcdef0123456789abcdef\n");
  ends({ stop: () => rmSync(dirname(secretFile), { recursive: true }) });
  const config = `[cluster]
fleet = "test-fleet"
advertise = "127.0.0.1"
secret_file = ${JSON.stringify(secretFile)}
seeds = ${JSON.stringify([...ports.values()].map(({ gossip }) => `127.0.0.1:${gossip}`))}
${bronze}`;
  return async (name: Name): Promise<Tierline> => {
    const at = ports.get(name);
    if (at === undefined) throw new Error(`no such host: ${name}`);
    const listen = `public = "127.0.0.1:${at.public}"
admin = "127.0.0.1:${at.admin}"
gossip = "127.0.0.1:${at.gossip}"`;
    const host = await startTierline({ name, config, env, dir: dirs[name], listen });
    ends({
      async stop() {
        host.signal("SIGCONT");
        await host.stop();
      },
    });
    return host;
  };
}
