// Jobs over HTTP: in their own words at /v1/jobs, and in the place of an answer at the inference endpoints.

import { describe, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { createResultCache } from "../../src/dispatch/result-cache.ts";
import { createAuthenticate } from "../../src/http/auth.ts";
import { listen } from "../../src/http/listen.ts";
import { createPublicApp } from "../../src/http/public.ts";
import type { Submitted } from "../../src/jobs/runner.ts";
import { cleanup } from "../support/cleanup.ts";
import type { DeskOptions } from "../support/desk-scene.ts";
import { answer, deskScene } from "../support/desk-scene.ts";
import { localPolicy, localScene } from "../support/local-scene.ts";
import { npcDoor } from "../support/npc-door.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import type { ScriptedRunner } from "../support/scripted-runner.ts";

const ends = cleanup();
const chat = "/v1/chat/completions";
const messages = [{ role: "user", content: "A tale of a well." }];
const keys = [
  { name: "lobby", key: "a" },
  { name: "arena", key: "b" },
];

interface House extends DeskOptions {
  readonly withLane?: boolean;
  readonly keyed?: boolean;
}

function house({ withLane = true, keyed = false, ...parts }: House = {}) {
  const local = localScene(systemClock, { slots: 1, queueLimit: 0 });
  const lane = ends(deskScene(systemClock, parts));
  const settings = {
    policy: localPolicy,
    ...(keyed && { authenticate: createAuthenticate(keys) }),
  };
  const base = npcDoor(() => undefined, settings);
  const { dispatch } = createResultCache({
    dispatch: local.dispatch,
    fleet: local.fleet,
    settings: { enabled: true, maxEntries: 10, maxBytes: 1_000_000, ttlMs: 60_000 },
    clock: systemClock,
    random: base.random,
  });
  const { fleet } = local;
  const door = { ...base, fleet, dispatch, ...(withLane && { desk: lane.desk }) };
  const listener = listen(createPublicApp(door), { hostname: "127.0.0.1", port: 0 }, door.log);
  ends({ stop: () => listener.stop(true) });
  const ask = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    fetch(`${listener.url}${path}`, {
      method,
      headers,
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
  return {
    ...lane,
    local,
    door,
    url: listener.url,
    ask,
    post: (request: object = { messages }, more: object = {}, headers: Record<string, string> = {}) =>
      ask("POST", "/v1/jobs", { request, ...more }, headers),
    chat: (body: object, headers: Record<string, string> = {}) =>
      ask("POST", chat, { messages, ...body }, headers),
    /** The only slot is taken, and there is no waiting room. */
    fill: () => {
      local.reply = () => ({ hangs: true });
      ends({ stop: local.play().leave });
    },
    finishAtOnce: (ended: Submitted = { kind: "done", result: answer }) => {
      lane.runner.onSubmit = () => ended;
    },
  };
}

/** What a body says, whatever that is. */
const read = async (response: Response) => JSON.parse(await response.text());
/** A runner that goes on until it is told to stop. */
const endless: ScriptedRunner["onSubmit"] = (_, signal) =>
  new Promise((resolve) => {
    signal.addEventListener("abort", () =>
      resolve({ kind: "again", about: "runner", afterMs: 0, why: "cut" }),
    );
  });
const codeOf = async (response: Response): Promise<string> => {
  const { code } = await openAiErrorOf(response);
  return `${response.status} ${code}`;
};
const finished = (each: ReturnType<typeof house>, id: string): Promise<Response> =>
  each.ask("GET", `/v1/jobs/${id}?wait=5`);

describe("POST /v1/jobs", () => {
  test("answers 202 with the job and its place, before it is done", async () => {
    const { post, runner, door } = house();
    runner.onSubmit = endless;
    const response = await post();
    const body = await read(response);
    expect(response.status).toBe(202);
    expect(response.headers.get("location")).toBe(`/v1/jobs/${body.id}`);
    expect(response.headers.get("x-request-id")).toMatch(/^req_/);
    const now = Math.floor(systemClock.wallMs() / 1000);
    expect(body).toEqual({
      id: expect.stringMatching(/^job_gold-1_[0-9A-Z]{26}$/),
      object: "job",
      kind: "chat",
      model: "story-70b",
      status: "queued",
      created_at: expect.any(Number),
      expires_at: body.created_at + 3600,
    });
    expect(Math.abs(body.created_at - now)).toBeLessThan(5);
    expect(door.lifecycle.active).toBe(0);
  });

  const bad: readonly (readonly [what: string, body: unknown, told: string, param: string | null])[] = [
    ["no JSON", "{", "400 invalid_request", null],
    ["no object", "[]", "400 invalid_request", null],
    ["no request", {}, "400 invalid_request", "request"],
    ["a request that is none", { request: "hello" }, "400 invalid_request", "request"],
    ["an unknown kind", { request: {}, kind: "embedding" }, "400 invalid_request", "kind"],
    ["no time", { request: {}, ttl_seconds: 0 }, "400 invalid_request", "ttl_seconds"],
    ["too much time", { request: {}, ttl_seconds: 21_601 }, "400 invalid_request", "ttl_seconds"],
    ["a time that is none", { request: {}, ttl_seconds: "60" }, "400 invalid_request", "ttl_seconds"],
    ["a model that is none", { request: { model: 1 } }, "400 invalid_request", "request.model"],
    ["an unknown model", { request: { model: "other" } }, "404 model_not_found", "request.model"],
    ["too much", { request: { messages: "x".repeat(100_001) } }, "413 request_too_large", null],
    ["more than any request may have", { request: "x".repeat(4_000_001) }, "413 request_too_large", null],
  ];
  test.each(bad.map((row) => row))("refuses %s", async (_, body, told, param) => {
    const { ask, store } = house();
    const response = await ask("POST", "/v1/jobs", body);
    const error = await openAiErrorOf(response);
    expect([`${response.status} ${error.code}`, error.param]).toEqual([told, param]);
    expect(store.counts().accepted).toBe(0);
  });

  test("gives the same job for an Idempotency-Key: 202 while it is under way, 200 after its end, 422 for another body", async () => {
    const each = house();
    const key = { "idempotency-key": "k-1" };
    each.runner.onSubmit = () => ({ kind: "submitted" });
    const first = await read(await each.post({ messages }, {}, key));
    const again = await each.post({ messages }, {}, key);
    expect([again.status, (await read(again)).id]).toEqual([202, first.id]);
    each.runner.onLook = () => ({ kind: "done", result: answer });
    await finished(each, first.id);
    const after = await each.post({ messages }, {}, key);
    expect([after.status, (await read(after)).status]).toEqual([200, "succeeded"]);
    expect(await codeOf(await each.post({ messages: [] }, {}, key))).toBe("422 idempotency_mismatch");
    expect(await codeOf(await each.post({ messages }, {}, { "idempotency-key": "a b" }))).toBe(
      "400 invalid_request",
    );
  });

  test("hands the request on byte for byte, and of several the last, as every parser has it", async () => {
    const each = house();
    const request = '{ "model":"story-70b" , "seed":12345678901234567890, "note":"\\u00e9\\/é" }';
    const body = `{"request":{"a":1}, "request" :${request},"kind":"chat"}`;
    const { id } = await read(await each.ask("POST", "/v1/jobs", body));
    const toDo = each.store.toDo(id);
    const kept = toDo.kind === "found" ? toDo.value?.request : undefined;
    expect(Buffer.from(kept ?? []).toString()).toBe(request);
    const escaped = await each.ask("POST", "/v1/jobs", `{"re\\u0071uest":${request}}`);
    expect(escaped.status).toBe(202);
  });

  test("gives no result of a request that has a member twice: its engine may have read the other one", async () => {
    const each = house();
    each.finishAtOnce();
    const [asked, other] = [messages, [{ role: "user", content: "Somebody else?" }]].map((one) =>
      JSON.stringify(one),
    );
    const twice = `{"request":{"messages":${other},"messages":${asked}}}`;
    await finished(each, (await read(await each.ask("POST", "/v1/jobs", twice))).id);
    expect((await each.post({ messages })).status).toBe(202);
    expect((await each.ask("POST", "/v1/jobs", twice)).status).toBe(202);
  });

  test("gives the result of the same request that was done a moment ago, unless a new one is wanted", async () => {
    const each = house();
    each.finishAtOnce();
    const first = await read(await each.post());
    await finished(each, first.id);
    const again = await each.post();
    expect([again.status, again.headers.get("x-tierline-cache")]).toEqual([200, "hit"]);
    expect(await read(again)).toMatchObject({
      id: first.id,
      status: "succeeded",
      result: JSON.parse(answer.toString()),
    });
    const anew = await each.post({ messages }, {}, { "cache-control": "no-cache" });
    expect([anew.status, anew.headers.get("x-tierline-cache")]).toEqual([202, null]);
  });

  test("is closed while the host starts or drains; what is there can be asked for", async () => {
    const each = house();
    const { id } = await read(await each.post());
    each.door.lifecycle.enter("draining");
    expect(await codeOf(await each.post())).toBe("503 draining");
    expect((await each.ask("GET", `/v1/jobs/${id}`)).status).toBe(200);
    each.door.lifecycle.enter("starting");
    expect(await codeOf(await each.post())).toBe("503 starting");
  });

  test("says when to come back where all places are taken", async () => {
    const { post } = house({ limits: { queuedMost: 0, bytesMost: 1e8 } });
    const response = await post();
    expect(Number(response.headers.get("retry-after-ms"))).toBeGreaterThan(0);
    expect(response.headers.get("x-should-retry")).toBe("true");
    expect(await codeOf(response)).toBe("429 tier_overloaded");
  });
});

describe("GET /v1/jobs/{id}", () => {
  test("has the engine's own answer, byte for byte, or the reason why there is none", async () => {
    const each = house();
    each.finishAtOnce({ kind: "done", result: Buffer.from('{ "n" : 1.50 }\n') });
    const { id } = await read(await each.post());
    const text = await (await finished(each, id)).text();
    expect(text).toEndWith(',"result":{ "n" : 1.50 }}');
    expect(JSON.parse(text)).toMatchObject({ id, status: "succeeded", ended_at: expect.any(Number) });

    each.finishAtOnce({ kind: "failed", error: { code: "upstream_failed", message: "Too long." } });
    const failed = await read(await each.post({ messages: [] }));
    expect(await read(await finished(each, failed.id))).toMatchObject({
      status: "failed",
      error: { code: "upstream_failed", message: "Too long." },
    });
  });

  test("waits until the job has ended, or for as long as it is asked to", async () => {
    const each = house();
    let finish = (): void => undefined;
    each.runner.onSubmit = () =>
      new Promise((resolve) => {
        finish = () => resolve({ kind: "done", result: answer });
      });
    const { id } = await read(await each.post());
    const short = await read(await each.ask("GET", `/v1/jobs/${id}?wait=0.05`));
    expect(short.status).toBe("queued");
    const waiting = finished(each, id);
    while (each.door.lifecycle.active === 0) await Bun.sleep(1);
    finish();
    expect((await read(await waiting)).status).toBe("succeeded");
    expect(each.door.lifecycle.active).toBe(0);
    expect(await codeOf(await each.ask("GET", `/v1/jobs/${id}?wait=soon`))).toBe("400 invalid_request");
  });

  test("tells a waiting caller how things stand when the host leaves", async () => {
    const each = house();
    each.runner.onSubmit = endless;
    const { id } = await read(await each.post());
    const waiting = finished(each, id);
    while (each.door.lifecycle.active === 0) await Bun.sleep(1);
    each.door.lifecycle.cutAll();
    expect((await read(await waiting)).status).toBe("queued");
  });

  test("holds no drain up: who waits when it begins, or comes later, is told at once how things stand", async () => {
    const each = house();
    const { lifecycle } = each.door;
    each.runner.onSubmit = endless;
    const { id } = await read(await each.post());
    const wait = () => each.ask("GET", `/v1/jobs/${id}?wait=60`);
    const waiting = [wait(), wait(), wait()];
    while (lifecycle.active < 3) await Bun.sleep(1);
    lifecycle.enter("draining");
    await lifecycle.settled();
    for (const response of [...(await Promise.all(waiting)), await wait()])
      expect([response.status, (await read(response)).status]).toEqual([200, "queued"]);
    lifecycle.enter("ready");
    const later = finished(each, id);
    while (lifecycle.active === 0) await Bun.sleep(1);
    await each.ask("POST", `/v1/jobs/${id}/cancel`);
    expect((await read(await later)).status).toBe("cancelled");
  });

  test("is 404 for what is not there or another caller's, and in no fleet for what another host has named", async () => {
    const each = house({ keyed: true });
    const lobby = { authorization: "Bearer a" };
    const { id } = await read(await each.post({ messages }, {}, lobby));
    expect((await each.ask("GET", `/v1/jobs/${id}`, undefined, lobby)).status).toBe(200);
    const arena = { authorization: "Bearer b" };
    expect(await codeOf(await each.ask("GET", `/v1/jobs/${id}`, undefined, arena))).toBe("404 job_not_found");
    expect(await codeOf(await each.ask("POST", `/v1/jobs/${id}/cancel`, undefined, arena))).toBe(
      "404 job_not_found",
    );
    expect(await codeOf(await each.ask("GET", `/v1/jobs/${id}`))).toBe("401 invalid_api_key");
    expect(await codeOf(await each.ask("GET", "/v1/jobs/job_x", undefined, lobby))).toBe("404 job_not_found");
    const there = `/v1/jobs/job_gold-2_${"0".repeat(26)}`;
    expect(await codeOf(await each.ask("GET", there, undefined, lobby))).toBe("404 job_not_found");
  });
});

test("POST /v1/jobs/{id}/cancel cancels a job, once", async () => {
  const { post, ask, runner } = house();
  runner.onSubmit = endless;
  const { id } = await read(await post());
  const response = await ask("POST", `/v1/jobs/${id}/cancel`);
  expect([response.status, (await read(response)).status]).toEqual([200, "cancelled"]);
  const twice = await ask("POST", `/v1/jobs/${id}/cancel`);
  expect(twice.headers.get("x-should-retry")).toBe("false");
  expect(await codeOf(twice)).toBe("409 job_ended");
});

describe("GET /v1/jobs", () => {
  test("lists the caller's jobs, the newest first, in pages, without results", async () => {
    const { post, ask, runner } = house({ keyed: true });
    runner.onSubmit = () => ({ kind: "submitted" });
    const lobby = { authorization: "Bearer a" };
    const ids: string[] = [];
    for (let n = 0; n < 3; n += 1) ids.unshift((await read(await post({ messages, n }, {}, lobby))).id);
    await post({ messages }, {}, { authorization: "Bearer b" });
    const page = async (query: string) => read(await ask("GET", `/v1/jobs${query}`, undefined, lobby));
    const first = await page("?limit=2");
    expect(first).toMatchObject({ object: "list", has_more: true });
    expect(first.data.map(({ id }: { id: string }) => id)).toEqual(ids.slice(0, 2));
    const rest = await page(`?after=${ids[1]}`);
    expect([rest.data.map(({ id }: { id: string }) => id), rest.has_more]).toEqual([ids.slice(2), false]);
    expect((await page("?status=succeeded")).data).toEqual([]);
  });

  test("says plainly what its jobs survive", async () => {
    const { ask } = house();
    expect((await read(await ask("GET", "/v1/jobs"))).durable_on).toStartWith(
      "this host's disk: its jobs are lost with it",
    );
  });

  test.each(["status=done", "limit=0", "limit=101", "limit=x", "after=1"])("refuses %s", async (query) => {
    const { ask } = house();
    const response = await ask("GET", `/v1/jobs?${query}`);
    expect(response.status).toBe(400);
    expect((await openAiErrorOf(response)).param).toBe(query.slice(0, query.indexOf("=")));
  });
});

test.each([
  ["PUT", "/v1/jobs", "GET, HEAD, POST"],
  ["DELETE", "/v1/jobs/x", "GET, HEAD"],
  ["GET", "/v1/jobs/x/cancel", "POST"],
])("%s %s is not possible, and what is, is said", async (method, path, allowed) => {
  const { ask } = house();
  const response = await ask(method, path);
  expect(response.headers.get("allow")).toBe(allowed);
  expect(await codeOf(response)).toBe("405 method_not_allowed");
});

describe("a chat request", () => {
  const sla = { "x-tierline-sla": "async" };
  const prefer = { prefer: "respond-async" };

  test("of SLA async becomes a job, streamed or not, and its result is given again as one", async () => {
    const each = house();
    each.finishAtOnce();
    const response = await each.chat({ model: "story-70b", stream: true }, sla);
    const job = await read(response);
    expect(response.status).toBe(202);
    expect(response.headers.get("location")).toBe(`/v1/jobs/${job.id}`);
    expect(response.headers.get("x-tierline-because")).toBe("deferred");
    expect(response.headers.get("x-tierline-tier")).toBe("bronze");
    expect(response.headers.get("server-timing")).toContain("total;dur=");
    const metrics = await (await each.ask("GET", "/metrics")).text();
    expect(metrics).toContain(
      'tierline_requests_total{sla="async",tier="bronze",locality="none",outcome="ok"} 1',
    );
    expect(each.door.logged).toEqual([]);
    await finished(each, job.id);
    await each.chat({ model: "bronze" }).then(async (first) => finished(each, (await read(first)).id));
    const again = await each.chat({ model: "async" });
    expect([again.status, again.headers.get("x-tierline-cache")]).toEqual([200, "hit"]);
    expect(await read(again)).toMatchObject({ object: "job", status: "succeeded" });
    expect(each.local.wire.requests).toHaveLength(0);
  });

  test("of SLA async is a job, though the same request was answered at once a moment ago", async () => {
    const { chat: send } = house();
    const asked = { model: "story-70b", temperature: 0 };
    expect((await send(asked)).status).toBe(200);
    expect((await send(asked)).headers.get("x-tierline-cache")).toBe("hit");
    expect((await send(asked, sla)).status).toBe(202);
  });

  test("of SLA async heeds an Idempotency-Key", async () => {
    const { chat: send } = house();
    const key = { ...sla, "idempotency-key": "k" };
    const first = await read(await send({}, key));
    expect((await read(await send({}, key))).id).toBe(first.id);
    expect(await codeOf(await send({ n: 2 }, key))).toBe("422 idempotency_mismatch");
  });

  test("that prefers a job gets an answer as long as a tier can give one", async () => {
    const { chat: send } = house();
    const response = await send({}, prefer);
    expect([response.status, response.headers.get("preference-applied")]).toEqual([200, null]);
  });

  test("that prefers a job gets one where no tier can answer", async () => {
    const { chat: send, fill } = house();
    fill();
    const response = await send({ stream: true }, { prefer: "wait=10, Respond-Async" });
    expect([response.status, response.headers.get("preference-applied")]).toEqual([202, "respond-async"]);
    expect((await read(response)).status).toBe("queued");
  });

  test("that finds all full gets the lane's answer, where that usually comes in time", async () => {
    const each = house();
    each.fill();
    each.finishAtOnce();
    expect(await codeOf(await each.chat({}))).toBe("429 tier_overloaded");
    // Now it is known how long jobs take.
    await finished(each, (await read(await each.post())).id);
    const response = await each.chat({ temperature: 0.5 });
    expect(await response.text()).toBe(answer.toString());
    expect([response.status, response.headers.get("x-tierline-locality")]).toEqual([200, "cloud"]);
    expect(await codeOf(await each.chat({ stream: true }))).toBe("429 tier_overloaded");
  });

  test("that is too long for the lane and finds all full is told to come again, and too long only where no other will do", async () => {
    const each = house();
    each.fill();
    each.finishAtOnce();
    await finished(each, (await read(await each.post())).id);
    const long = { filling: "x".repeat(100_000) };
    for (const headers of [{}, prefer])
      expect(await codeOf(await each.chat(long, headers))).toBe("429 tier_overloaded");
    expect((await each.chat({}, prefer)).status).toBe(202);
    const onlyInLane = { ...long, model: "story-8b" };
    for (const asked of [
      each.chat(long, sla),
      each.chat({ ...long, model: "bronze" }),
      each.chat(onlyInLane, prefer),
    ])
      expect(await codeOf(await asked)).toBe("413 request_too_large");
  });

  test("that waits for the lane is told of its failure, or of the end of its time, and then nobody works for it", async () => {
    const each = house();
    each.fill();
    each.finishAtOnce();
    await finished(each, (await read(await each.post())).id);
    each.finishAtOnce({ kind: "failed", error: { code: "upstream_failed", message: "It is too long." } });
    const failed = await each.chat({});
    expect(failed.status).toBe(502);
    expect((await openAiErrorOf(failed)).message).toBe("It is too long.");
    each.runner.onSubmit = endless;
    const late = await each.chat({ n: 3 }, { "x-tierline-deadline-ms": "300" });
    expect(await codeOf(late)).toBe("504 deadline_exceeded");
    expect(each.store.counts()).toMatchObject({ accepted: 0, submitting: 0 });
  });

  test("whose caller leaves the lane takes its job along", async () => {
    const each = house();
    each.fill();
    each.finishAtOnce();
    await finished(each, (await read(await each.post())).id);
    each.runner.onSubmit = endless;
    const caller = new AbortController();
    const asked = fetch(`${each.url}${chat}`, {
      method: "POST",
      body: JSON.stringify({ messages, n: 4 }),
      signal: caller.signal,
    }).catch(() => "left");
    while (each.store.counts().submitting === 0) await Bun.sleep(1);
    caller.abort();
    expect(await asked).toBe("left");
    while (each.store.counts().cancelled === 0) await Bun.sleep(1);
    expect(each.door.lifecycle.active).toBe(0);
  });

  test("for a model that only the lane has goes there; one that it has not, does not", async () => {
    const { chat: send, fill } = house();
    expect((await send({ model: "story-8b" }, prefer)).status).toBe(202);
    expect(await codeOf(await send({ model: "other" }, prefer))).toBe("404 model_not_found");
    fill();
    expect((await send({ model: "story-70b" }, prefer)).status).toBe(202);
  });

  test("for embeddings has no lane", async () => {
    const { ask } = house();
    expect(await codeOf(await ask("POST", "/v1/embeddings", { input: "x" }, sla))).toBe("503 no_endpoint");
  });

  test("is not taken by the lane of a host that drains, whoever else is there", async () => {
    const { chat: send, door, local, store } = house();
    const load = local.endpoint.load(systemClock.now());
    const advert = {
      public: "http://127.0.0.1:9",
      zone: undefined,
      draining: false,
      upMs: 1,
      intents: undefined,
      engines: [{ name: "vllm", tier: "gold", models: ["m"], slots: 8, state: "ok", load }],
    } as const;
    const at = systemClock.now();
    local.fleet.setPeer({ name: "gold-2", boot: "1", state: "alive", advertAt: at, advert }, at);
    door.lifecycle.enter("draining");
    expect(await codeOf(await send({}, sla))).toBe("503 draining");
    expect(store.counts().accepted).toBe(0);
  });
});

test("without a lane an order is told what to do, there are no jobs, and SLA async is refused as before", async () => {
  const { ask, post, chat: send, fill } = house({ withLane: false });
  const refused = await openAiErrorOf(await post());
  expect(refused).toMatchObject({ code: "no_endpoint", message: expect.stringContaining("[tier.bronze]") });
  expect(await read(await ask("GET", "/v1/jobs"))).toEqual({ object: "list", data: [], has_more: false });
  const id = `job_gold-1_${"0".repeat(26)}`;
  expect(await codeOf(await ask("GET", `/v1/jobs/${id}`))).toBe("404 job_not_found");
  expect(await codeOf(await ask("POST", `/v1/jobs/${id}/cancel`))).toBe("404 job_not_found");
  expect(await codeOf(await send({}, { "x-tierline-sla": "async" }))).toBe("503 no_endpoint");
  fill();
  expect(await codeOf(await send({}, { prefer: "respond-async" }))).toBe("429 tier_overloaded");
});
