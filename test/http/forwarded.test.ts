// The receiving side of forwarding: who is let in, what is asked of the engine, and what the answer says to the sender.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { errorCodes } from "../../src/base/error-codes.ts";
import type { InferenceRequest } from "../../src/dispatch/inference-request.ts";
import { readLoadHint } from "../../src/fleet/load.ts";
import { refusedThere } from "../../src/host/forwarded.ts";
import { createAuthenticate } from "../../src/http/auth.ts";
import { readQuestion } from "../../src/http/forwarded.ts";
import { cleanup } from "../support/cleanup.ts";
import type { Reply } from "../support/fake-wire.ts";
import { chat, openForwarding, ours, whole } from "../support/forwarding.ts";

const ends = cleanup();
const open = (options: Parameters<typeof openForwarding>[0] = {}) => ends(openForwarding(options));

const authenticate = createAuthenticate([{ name: "lobby", key: "k" }]);
const body = { model: "m", messages: [] };
const hangs: Reply = { hangs: true };
const refusal = (response: Response) => response.headers.get("x-tierline-peer-refused");

describe("a forwarded request", () => {
  test("needs no key where callers do, and is answered by the endpoint of its claim with a load hint", async () => {
    const host = open({ authenticate });
    expect((await host.post(body)).status).toBe(401);
    const response = await host.post(body, host.claim());
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('{"id":"a"}');
    expect(response.headers.get("x-tierline-because")).toBe("local-only");
    expect(response.headers.get("x-tierline-endpoint")).toBe(ours);
    expect(readLoadHint(response.headers.get("x-tierline-load") ?? "")).toMatchObject({ waiting: 0 });
    expect(refusal(response)).toBeNull();
  });

  test("reaches the engine byte for byte where its model must be the one named", async () => {
    const host = open();
    await host.post('{ "model" : "n", "x":1 }', host.claim());
    expect(host.engine.requests[0]?.text).toBe('{ "model" : "n", "x":1 }');
  });

  test("takes whatever the engine serves where the claim says that any model will do", async () => {
    const host = open();
    await host.post({ model: "theirs", x: 1 }, host.claim({ model: "any" }));
    expect(host.engine.requests[0]?.text).toBe('{"model":"m","x":1}');
  });

  test("hands on neither the claim nor the class nor the time to the engine", async () => {
    const host = open();
    const headers = { "x-tierline-sla": "realtime", "x-tierline-deadline-ms": "900", "x-kept": "1" };
    await host.post(body, host.claim(), headers);
    const names = host.engine.requests[0]?.headers.map(([name]) => name) ?? [];
    expect(names).toContain("x-kept");
    expect(names.filter((name) => name.startsWith("x-tierline-"))).toEqual([]);
  });

  for (const [title, header, seen] of [
    ["the class of its header", { "x-tierline-sla": "realtime" }, { sla: "realtime" }],
    ["interactive, where there is none", {}, { sla: "interactive" }],
  ] as const) {
    test(`has ${title}, the claim's caller, one rung, and nothing that could be kept or queued for`, async () => {
      const seenHere: InferenceRequest[] = [];
      const host = open({
        dispatch: (request) => {
          seenHere.push(request);
          const journey = { tried: [], queuedMs: 0, engineMs: 0, because: "no-endpoint" as const };
          return Promise.resolve({
            kind: "refusal",
            code: "no_endpoint",
            message: "",
            retryAfterMs: 1,
            journey,
          });
        },
      });
      // Nothing of this is a forwarded request's: its first router has seen to it.
      const more = { ...header, "x-tierline-session": "a%20b", "x-tierline-deadline-ms": "700" };
      await host.post({ ...body, model: "silver", temperature: 0, user: "u" }, host.claim(), more);
      const [request] = seenHere;
      expect(request).toMatchObject({ ...seen, caller: "lobby", only: ours, model: "silver" });
      // But whose it is counts here as well.
      expect(request).toMatchObject({ ladder: [{ tier: "gold" }], session: "a b", spilled: false });
      if (request === undefined) throw new Error("nothing was dispatched");
      expect(request.deadline - request.receivedAt).toBeCloseTo(700);
      for (const absent of ["elsewhere", "reuse", "share", "question"]) {
        expect(request).not.toHaveProperty(absent);
      }
    });
  }

  test("is refused as over its share where its session is, while the endpoint takes others", async () => {
    const host = open({ slots: 4, reply: hangs });
    const session = (name: string) => ({ "x-tierline-session": name });
    const hold = (name: string) => host.post(body, host.claim(), session(name)).catch(() => undefined);
    const held = [hold("other"), hold("many"), hold("many")];
    while (host.endpoint.inflight < 3) await Bun.sleep(1);
    const refused = await host.post(body, host.claim(), session("many"));
    expect([refused.status, refused.headers.get("x-tierline-because")]).toEqual([429, "over-share"]);
    expect(refusedThere(429, { get: (name) => refused.headers.get(name) ?? undefined })).toBe("over-share");
    held.push(hold("few"));
    while (host.endpoint.inflight < 4) await Bun.sleep(1);
    await host.stop();
    await Promise.all(held);
  });

  test("that would rather be in another tier leaves a quarter to who is at home", async () => {
    const host = open({ slots: 4, reply: hangs });
    const spilled = { "x-tierline-spilled": "1" };
    const hold = (headers = {}) => host.post(body, host.claim(), headers).catch(() => undefined);
    const held = [hold(spilled), hold(spilled), hold(spilled)];
    while (host.endpoint.inflight < 3) await Bun.sleep(1);
    expect((await host.post(body, host.claim(), spilled)).headers.get("x-tierline-because")).toBe(
      "over-share",
    );
    held.push(hold());
    while (host.endpoint.inflight < 4) await Bun.sleep(1);
    await host.stop();
    await Promise.all(held);
  });

  test("is refused at once with 429 where there is no free slot, and waits for none", async () => {
    const host = open({ slots: 1, reply: hangs });
    const first = host.post(body, host.claim());
    while (host.endpoint.inflight === 0) await Bun.sleep(1);
    const second = await host.post(body, host.claim());
    expect(second.status).toBe(429);
    expect(refusal(second)).toBe("tier_overloaded");
    expect(Number(second.headers.get("retry-after-ms"))).toBeGreaterThan(0);
    expect(readLoadHint(second.headers.get("x-tierline-load") ?? "")).toMatchObject({ inflight: 1 });
    expect(host.endpoint.waiting).toBe(0);
    await host.stop();
    await first.catch(() => undefined);
  });

  test("is attempted once: an engine that fails is this router's 502, whoever else has room", async () => {
    const host = open({ reply: { failsWith: "refused" } });
    host.addPeer();
    const response = await host.post(body, host.claim());
    expect([response.status, refusal(response)]).toEqual([502, "upstream_failed"]);
    expect(response.headers.has("x-tierline-load")).toBe(true);
    expect([host.engine.requests.length, host.peerWire.requests.length]).toEqual([1, 0]);
  });

  test("gets the engine's own 4xx byte for byte, without a word of refusal", async () => {
    const host = open({ reply: whole('{"mine":1}', 404, { "x-tierline-peer-refused": "forged" }) });
    const response = await host.post(body, host.claim());
    expect([response.status, refusal(response)]).toEqual([404, null]);
    expect(await response.text()).toBe('{"mine":1}');
    expect(response.headers.has("x-tierline-load")).toBe(true);
  });

  for (const [title, endpoint] of [
    ["nobody's", "gold-1/gone"],
    ["a peer's", "silver-1/vllm"],
  ] as const) {
    test(`for an endpoint that is ${title} is refused with 503, and sent on to nobody`, async () => {
      const host = open();
      host.addPeer();
      const response = await host.post(body, host.claim({ endpoint }));
      expect([response.status, refusal(response)]).toEqual([503, "no_endpoint"]);
      expect(response.headers.has("x-tierline-load")).toBe(false);
      expect([host.engine.requests.length, host.peerWire.requests.length]).toEqual([0, 0]);
    });
  }

  test("for a model that the endpoint does not serve is refused with 503, not with 404", async () => {
    const host = open();
    const response = await host.post({ model: "unheard-of" }, host.claim());
    expect([response.status, refusal(response)]).toEqual([503, "no_endpoint"]);
  });

  for (const phase of ["draining", "starting"] as const) {
    test(`is refused with 503 while the host is ${phase}, whoever else is in the fleet`, async () => {
      const host = open();
      host.addPeer();
      host.door.lifecycle.enter(phase);
      const response = await host.post(body, host.claim());
      expect([response.status, refusal(response)]).toEqual([503, phase]);
      expect(response.headers.has("x-tierline-load")).toBe(true);
    });
  }

  for (const [title, sent, headers, code] of [
    ["is no JSON", "{", {}, "invalid_request"],
    ["is too large", "x".repeat(2100), {}, "request_too_large"],
    ["has no time", "{}", { "x-tierline-deadline-ms": "0" }, "invalid_request"],
    ["has a class that is none", "{}", { "x-tierline-sla": "soon" }, "invalid_request"],
  ] as const) {
    test(`that ${title} is this router's refusal, and says so`, async () => {
      const host = open({ bodyLimitBytes: 1000 });
      const response = await host.post(sent, host.claim(), headers);
      expect([response.status, refusal(response)]).toEqual([errorCodes[code].status, code]);
    });
  }

  test("may be longer than a caller's by the name of a model, which its first router has put in", async () => {
    const host = open({ bodyLimitBytes: 1000 });
    const long = { ...body, padding: "x".repeat(1000) };
    expect((await host.post(long)).status).toBe(413);
    expect((await host.post(long, host.claim())).status).toBe(200);
  });

  for (const [title, headers] of [
    ["", {}],
    [", asked for by way of a browser's origin", { origin: "http://localhost:3000" }],
  ] as const) {
    test(`that the router itself fails on is said to be no engine's failure${title}`, async () => {
      const host = open({ dispatch: () => Promise.reject(new Error("a bug")) });
      const response = await host.post(body, host.claim(), headers);
      expect([response.status, refusal(response)]).toEqual([500, "internal_error"]);
      expect(response.headers.has("x-tierline-load")).toBe(true);
      expect(host.door.lifecycle.active).toBe(0);
      expect((await host.post(body)).headers.has("x-tierline-peer-refused")).toBe(false);
    });
  }

  test("is counted apart, so that the requests of all hosts together are those of callers", async () => {
    const host = open();
    await host.post(body, host.claim());
    await host.post(body, host.claim({ endpoint: "gold-1/gone" }));
    const lines = host.door.registry.expose().split("\n");
    expect(lines.filter((line) => line.startsWith("tierline_forwarded_requests_total"))).toEqual([
      'tierline_forwarded_requests_total{tier="gold",body="request",outcome="ok"} 1',
      'tierline_forwarded_requests_total{tier="gold",body="request",outcome="no_endpoint"} 1',
    ]);
    expect(lines.filter((line) => /^tierline_(requests|shed)_total\{/.test(line))).toEqual([]);
  });
});

describe("a seal", () => {
  test("is good once: the same header again is 403, replayed, and counted", async () => {
    const host = open({ authenticate });
    const { header } = host.sender.seal(`POST ${chat}`, host.claim(), 0);
    const send = () => host.post(body, undefined, { "x-tierline-peer": header });
    expect((await send()).status).toBe(200);
    const again = await send();
    expect([again.status, refusal(again)]).toEqual([403, "replayed"]);
    expect(await again.json()).toMatchObject({ error: { code: "forbidden" } });
    expect(again.headers.get("x-request-id")).not.toBeNull();
    expect(host.refused).toEqual(["replayed"]);
    expect(host.engine.requests.length).toBe(1);
  });

  test("is good for its own path only", async () => {
    const host = open();
    const { header } = host.sender.seal("POST /v1/embeddings", host.claim(), 0);
    const response = await host.post(body, undefined, { "x-tierline-peer": header });
    expect([response.status, refusal(response)]).toEqual([403, "wrong-key"]);
  });

  test("stands for its claim as it was written", async () => {
    const host = open();
    const { header } = host.sender.seal(`POST ${chat}`, host.claim(), 0);
    const response = await host.post(body, undefined, {
      "x-tierline-peer": header.replace("caller=lobby", "caller=admin"),
    });
    expect([response.status, refusal(response)]).toEqual([403, "wrong-key"]);
  });

  test("that is bad is refused even beside a good key", async () => {
    const host = open({ authenticate });
    const response = await host.post(body, undefined, {
      "x-tierline-peer": "hop=1",
      authorization: "Bearer k",
    });
    expect([response.status, refusal(response)]).toEqual([403, "malformed"]);
  });

  test("with a stale stamp is 401, and the sender learns the time with which the next one is good", async () => {
    const host = open({ aheadMs: 3_600_000 });
    const claim = host.claim();
    const line = `POST ${chat}`;
    const { header, nonce } = host.sender.seal(line, claim, 0);
    const stale = await host.post(body, undefined, { "x-tierline-peer": header });
    expect([stale.status, refusal(stale)]).toEqual([401, "stale"]);
    const told = host.sender.openClock(line, claim, stale.headers.get("x-tierline-peer") ?? "", nonce);
    if ("refused" in told) throw new Error(told.refused);
    const again = host.sender.seal(line, claim, told.aheadMs).header;
    expect((await host.post(body, undefined, { "x-tierline-peer": again })).status).toBe(200);
    expect(host.refused).toEqual(["stale"]);
  });

  for (const [title, header] of [
    ["of 8 kB", `hop=1;${"x".repeat(8192)}`],
    ["of nothing", ""],
    ["of two that are joined", "hop=1;a;v=1;b, hop=1;a;v=1;b"],
    ["that is only a claim", `hop=1;tier=gold;endpoint=${ours};model=any;body=request`],
    ["of a hop more", `hop=2;tier=gold;endpoint=${ours};model=any;body=request;v=1;fleet=test`],
    ["of a tier that is none", `hop=1;tier=iron;endpoint=${ours};model=any;body=request;v=1;x`],
    [
      "of a caller that is no UTF-8",
      `hop=1;tier=gold;endpoint=${ours};model=any;body=request;caller=%ff;v=1;x`,
    ],
  ] as const) {
    test(`${title} is refused as malformed`, async () => {
      const host = open();
      const response = await host.post(body, undefined, { "x-tierline-peer": header });
      expect([response.status, refusal(response)]).toEqual([403, "malformed"]);
    });
  }

  test("means nothing to a router that is in no fleet: the caller is one like any other", async () => {
    const host = open({ isAlone: true, authenticate });
    expect((await host.post(body, host.claim())).status).toBe(401);
    const response = await host.post(body, host.claim(), { authorization: "Bearer k" });
    expect([response.status, response.headers.has("x-tierline-load")]).toEqual([200, false]);
  });

  test("opens the inference endpoints, and no other", async () => {
    const host = open({ authenticate });
    for (const [method, path] of [
      ["GET", "/v1/models"],
      ["POST", "/v1/npc/intents"],
      ["GET", chat],
    ] as const) {
      const { header } = host.sender.seal(`${method} ${path}`, host.claim(), 0);
      const response = await fetch(`${host.url}${path}`, { method, headers: { "x-tierline-peer": header } });
      expect([path, response.status]).toEqual([path, 401]);
    }
  });

  test("is opened once where a browser's origin stands beside it", async () => {
    const host = open();
    const response = await host.post(body, host.claim(), { origin: "http://localhost:3000" });
    expect(response.status).toBe(200);
    expect(host.refused).toEqual([]);
  });
});

describe("a forwarded question", () => {
  const question = { prompt: "What now?", options: 3, temperature: 0.5 };

  const top = [{ token: "A", logprob: -0.1 }];
  const logprobs = { content: [{ ...top[0], top_logprobs: top }] };
  const odds = whole(JSON.stringify({ choices: [{ message: { content: "A" }, logprobs }] }));

  test("that the engine answers without naming a letter is a failure, and the engine is doubted", async () => {
    const doubted: string[] = [];
    const host = open({ reply: whole('{"choices":[{"message":{"content":"hello"}}]}') });
    Object.assign(host.door, { misanswered: (engine: string) => doubted.push(engine) });
    const response = await host.post(question, host.claim({ body: "question", model: "any" }));
    expect([response.status, refusal(response)]).toEqual([502, "upstream_failed"]);
    expect(doubted).toEqual([ours]);
  });

  test("is asked in the words of the engine, with its own model", async () => {
    const host = open({ reply: odds });
    const response = await host.post(question, host.claim({ body: "question", model: "any" }));
    expect(response.status).toBe(200);
    expect(JSON.parse(host.engine.requests[0]?.text ?? "")).toMatchObject({
      model: "m",
      messages: [{ role: "user", content: "What now?" }],
      max_tokens: 1,
      temperature: 0.5,
      logprobs: true,
    });
  });

  test("is asked of the one model that it names, where only that will do", async () => {
    const host = open();
    await host.post({ ...question, model: "n" }, host.claim({ body: "question" }));
    expect(JSON.parse(host.engine.requests[0]?.text ?? "")).toMatchObject({ model: "n" });
  });

  test("holds no more of the slots than questions may", async () => {
    const host = open({ slots: 4, intentEngineShare: 0.25, reply: hangs });
    const claim = () => host.claim({ body: "question", model: "any" });
    const first = host.post(question, claim());
    while (host.endpoint.sharing === 0) await Bun.sleep(1);
    const second = await host.post(question, claim());
    expect([second.status, refusal(second)]).toEqual([429, "tier_overloaded"]);
    await host.stop();
    await first.catch(() => undefined);
  });

  test("is asked at the chat endpoint only", async () => {
    const host = open();
    const claim = host.claim({ body: "question", model: "any" });
    const { header } = host.sender.seal("POST /v1/embeddings", claim, 0);
    const response = await fetch(`${host.url}/v1/embeddings`, {
      method: "POST",
      headers: { "x-tierline-peer": header },
      body: JSON.stringify(question),
    });
    expect([response.status, refusal(response)]).toEqual([400, "invalid_request"]);
  });

  for (const [param, value] of [
    ["prompt", ""],
    ["prompt", 5],
    ["prompt", undefined],
    ["options", 0],
    ["options", 1e6],
    ["options", 21],
    ["options", 1.5],
    ["options", "3"],
    ["options", -1],
    ["temperature", -0.1],
    ["temperature", 2.1],
    ["temperature", null],
    ["model", 5],
  ] as const) {
    test(`with ${JSON.stringify(value) ?? "no"} for its ${param} is refused, and says which is wrong`, () => {
      const text = JSON.stringify({ ...question, [param]: value });
      expect(readQuestion(Buffer.from(text))).toMatchObject({ code: "invalid_request", param });
    });
  }

  test("is read or refused, whatever the bytes", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => new TextEncoder().encode(text)),
          fc
            .record({ prompt: fc.jsonValue(), options: fc.jsonValue(), temperature: fc.jsonValue() })
            .map((value) => new TextEncoder().encode(JSON.stringify(value))),
        ),
        (bytes) => {
          const read = readQuestion(bytes);
          expect("code" in read || read.question.options <= 20).toBe(true);
        },
      ),
    );
  });
});
