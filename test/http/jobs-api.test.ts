// The jobs of a host on its admin listener.

import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import { createAdminApp } from "../../src/http/admin.ts";
import type { JobsHealth } from "../../src/http/door.ts";
import { createOperatorDesk } from "../../src/jobs/operator-desk.ts";
import { cleanup } from "../support/cleanup.ts";
import type { DeskOptions } from "../support/desk-scene.ts";
import { answer, deskScene } from "../support/desk-scene.ts";
import { npcDoor } from "../support/npc-door.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const ends = cleanup();

const health: JobsHealth = {
  runner: "sagemaker",
  byStatus: { queued: 3, running: 1, succeeded: 9, failed: 0, expired: 0, cancelled: 0 },
  oldestSeconds: 12,
  storeTrouble: undefined,
  endpoint: { status: "InService", instances: 0 },
};

function host(options: DeskOptions = {}) {
  const clock = virtualClock();
  const callers = ends(deskScene(clock, options));
  const base = npcDoor(() => undefined, {}, clock);
  const { random } = base;
  const operator = createOperatorDesk({ store: callers.store, desk: callers.desk, random });
  const app = createAdminApp({ ...base, desk: callers.desk, lane: { operator, health: () => health } });
  return {
    ...callers,
    door: base,
    ask: askerOf(app),
    /** Of a job that was just accepted, when the lane has had time for it. */
    async placed(change: Parameters<typeof callers.order>[0] = {}): Promise<string> {
      const ordered = await callers.order(change);
      await clock.advance(1000);
      if (ordered.kind !== "accepted") throw new Error(`not accepted: ${ordered.kind}`);
      return ordered.job.id;
    },
  };
}

const askerOf =
  (app: ReturnType<typeof createAdminApp>) =>
  async (method: "GET" | "POST", path: string, type = "application/json") => {
    const headers = { host: "127.0.0.1", ...(method === "POST" && { "content-type": type }) };
    const response = await app.fetch(new Request(`http://127.0.0.1${path}`, { method, headers }));
    const text = await response.text();
    const body: unknown = JSON.parse(text);
    return { status: response.status, type: response.headers.get("content-type"), text, body };
  };

describe("GET /api/jobs", () => {
  test("lists the jobs of all callers, the newest first, with what the lane knows of each", async () => {
    const { ask, placed } = host();
    const lobbys = await placed();
    const arenas = await placed({ caller: "arena" });
    const { status, body } = await ask("GET", "/api/jobs");
    expect(status).toBe(200);
    expect(body).toMatchObject({ data: [{ id: arenas, owner: "arena" }, { id: lobbys }], has_more: false });
    expect(body).toMatchObject({
      data: [
        {
          object: "job",
          status: "running",
          state: "submitted",
          attempt: 1,
          recoveries: 0,
          inference_id: null,
          output_key: `jobs/${arenas}.out`,
          took_ms: null,
        },
        {},
      ],
    });
  });

  test("takes a status, an owner, a limit and where to go on", async () => {
    const { ask, placed } = host();
    const first = await placed();
    const second = await placed();
    const nobodys = await placed({ caller: undefined });
    await ask("POST", `/api/jobs/${first}/cancel`);
    const idsOf = async (query: string) => {
      const { body } = await ask("GET", `/api/jobs?${query}`);
      return { ids: JSON.stringify(body).match(/job_gold-1_\w+(?=","object)/g) ?? [], body };
    };
    expect((await idsOf("status=cancelled")).ids).toEqual([first]);
    expect((await idsOf("owner=lobby")).ids).toEqual([second, first]);
    expect((await idsOf("owner=")).ids).toEqual([nobodys]);
    expect(await idsOf("limit=1")).toMatchObject({ ids: [nobodys], body: { has_more: true } });
    expect((await idsOf(`after=${nobodys}&limit=1`)).ids).toEqual([second]);
  });

  test.each([
    ["status=done", "`status` must be one of queued, running, succeeded, failed, expired, cancelled."],
    ["limit=101", "`limit` must be a whole number from 1 to 100."],
    ["after=x", "`after` must be the id of a job."],
  ])("refuses %p and says what it takes", async (query, detail) => {
    const { status, type, body } = await host().ask("GET", `/api/jobs?${query}`);
    expect([status, type]).toEqual([400, "application/problem+json"]);
    expect(body).toMatchObject({ title: "Invalid request", detail });
  });
});

describe("GET /api/jobs/ID", () => {
  test("shows any caller's job, with the engine's own answer byte for byte", async () => {
    const { ask, placed, runner } = host();
    runner.onSubmit = () => ({ kind: "done", result: answer });
    const id = await placed({ caller: "arena" });
    const { status, type, text, body } = await ask("GET", `/api/jobs/${id}`);
    expect([status, type]).toEqual([200, "application/json"]);
    expect(body).toMatchObject({ id, owner: "arena", state: "done", status: "succeeded", took_ms: 0 });
    expect(text).toEndWith(`"result":${answer}}`);
  });

  test("is 404 for what is not here, and names the host whose it is", async () => {
    const { ask } = host();
    const ulid = "01JD0CV3QX8N4Z7B2M6R9T5KWE";
    expect(await ask("GET", `/api/jobs/job_gold-1_${ulid}`)).toMatchObject({
      status: 404,
      type: "application/problem+json",
    });
    const { body } = await ask("GET", `/api/jobs/job_gold-2_${ulid}`);
    expect(body).toMatchObject({ status: 404, detail: expect.stringContaining("the host gold-2:") });
  });

  test("sends nobody to this host for a job that it named and has no more: S3 may know of it", async () => {
    const { desk } = host();
    const id = "job_gold-1_01JD0CV3QX8N4Z7B2M6R9T5KWE";
    const lost = () => ({ kind: "elsewhere", id, member: "gold-1" }) as const;
    const operator = createOperatorDesk({
      store: undefined,
      desk: { ...desk, get: lost },
      random: seededRandom(1),
    });
    const door = npcDoor(() => undefined);
    const ask = askerOf(createAdminApp({ ...door, lane: { operator, health: () => health } }));
    expect((await ask("GET", `/api/jobs/${id}`)).body).toMatchObject({
      status: 404,
      detail: `This host does not have it any more; GET /v1/jobs/${id} finds it in S3.`,
    });
  });
});

describe("POST /api/jobs/ID/cancel", () => {
  test("cancels any caller's job once; afterwards it is 409", async () => {
    const { ask, placed } = host();
    const id = await placed({ caller: "arena" });
    expect(await ask("POST", `/api/jobs/${id}/cancel`)).toMatchObject({
      status: 200,
      body: { id, status: "cancelled" },
    });
    expect(await ask("POST", `/api/jobs/${id}/cancel`)).toMatchObject({
      status: 409,
      type: "application/problem+json",
      body: { title: "Job has ended" },
    });
  });

  test("is not for a page in a browser: another content type is 415, and nothing is cancelled", async () => {
    const { ask, placed, store } = host();
    const id = await placed();
    expect(await ask("POST", `/api/jobs/${id}/cancel`, "text/plain")).toMatchObject({ status: 415 });
    expect(store.counts().cancelled).toBe(0);
  });
});

describe("POST /api/jobs/ID/retry", () => {
  test("orders the work anew and answers 202 with the new job and the old one's id", async () => {
    const { ask, placed } = host();
    const id = await placed({ caller: "arena" });
    await ask("POST", `/api/jobs/${id}/cancel`);
    const { status, body } = await ask("POST", `/api/jobs/${id}/retry`);
    expect(status).toBe(202);
    expect(body).toMatchObject({ owner: "arena", status: "queued", retry_of: id });
    expect(body).not.toMatchObject({ id });
  });

  test("is 409 where the work is under way or done", async () => {
    const { ask, placed } = host();
    const id = await placed();
    expect(await ask("POST", `/api/jobs/${id}/retry`)).toMatchObject({
      status: 409,
      body: { title: "Nothing to do anew", detail: "The job has not ended; cancel it first." },
    });
  });

  test("is 503 while the router drains, which takes no new work", async () => {
    const { ask, placed, door, store } = host();
    const id = await placed();
    await ask("POST", `/api/jobs/${id}/cancel`);
    door.lifecycle.enter("draining");
    expect(await ask("POST", `/api/jobs/${id}/retry`)).toMatchObject({ status: 503 });
    expect(store.counts().accepted).toBe(0);
  });
});

describe("GET /api/fleet", () => {
  test("says how the lane stands, and nothing of one that is not there", async () => {
    expect((await host().ask("GET", "/api/fleet")).body).toMatchObject({
      jobs: {
        runner: "sagemaker",
        queued: 3,
        running: 1,
        oldest_seconds: 12,
        store: "ok",
        endpoint: { status: "InService", instances: 0 },
      },
    });
    const ask = askerOf(createAdminApp(npcDoor(() => undefined)));
    expect((await ask("GET", "/api/fleet")).body).not.toHaveProperty("jobs");
  });
});

test.each(["/api/jobs", "/api/jobs/job_x"])(
  "without an async lane %s is 404, and says what is missing",
  async (path) => {
    const ask = askerOf(createAdminApp(npcDoor(() => undefined)));
    expect(await ask("GET", path)).toMatchObject({
      status: 404,
      type: "application/problem+json",
      body: { detail: expect.stringContaining("[tier.bronze]") },
    });
  },
);
