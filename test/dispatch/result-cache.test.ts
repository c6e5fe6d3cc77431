// Dispatch with a memory, over scripted engines in virtual time.

import { describe, expect, test } from "bun:test";
import type { CacheSettings } from "../../src/base/cache-control.ts";
import type { CacheRestore, RestoreRefusal } from "../../src/base/cache-restore.ts";
import { Departure } from "../../src/base/departure.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Answer, Dispatched } from "../../src/dispatch/dispatched.ts";
import type { InferenceRequest } from "../../src/dispatch/inference-request.ts";
import { createResultCache } from "../../src/dispatch/result-cache.ts";
import type { ReuseFacts } from "../../src/dispatch/reuse.ts";
import { reuseOf } from "../../src/dispatch/reuse.ts";
import { balancers } from "../../src/routing/balancers/balancers.ts";
import type { Reply } from "../support/fake-wire.ts";
import { inference } from "../support/inference.ts";
import type { Engine } from "./scene.ts";
import { hangs, json, scene, status } from "./scene.ts";

/** An answer that is one. */
const choices = '"choices":[{"finish_reason":"stop"}]';
const good = json(`{${choices}}`);
const numbered = (n: number): string => `{"n":${n},${choices}}`;

const question = { messages: [{ role: "user", content: "Who goes there?" }], temperature: 0 };

function remembering(
  replies: readonly Reply[],
  settings: Partial<CacheSettings> = {},
  tier: Engine["tier"] & string = "gold",
) {
  const stage = scene({ g: { replies, tier } });
  const { clock, dispatch } = stage;
  const open = () =>
    createResultCache({
      dispatch,
      fleet: stage.fleet,
      settings: { enabled: true, maxEntries: 10, maxBytes: 1_000_000, ttlMs: 60_000, ...settings },
      clock,
      random: seededRandom(1),
    });
  const cache = open();

  interface Asking extends Partial<InferenceRequest> {
    readonly parsed?: Readonly<Record<string, unknown>>;
    readonly cacheControl?: "no-cache" | "no-store";
    readonly leftMs?: number;
  }
  const ask = ({ parsed = question, cacheControl, leftMs = 2000, ...more }: Asking = {}, from = cache) => {
    const caller = new AbortController();
    const { sla = "realtime", stream = false } = more;
    const reuse = reuseOf({ sla, stream, body: bodyOf(parsed), cacheControl, parsed });
    const request = inference(clock.now(), { deadline: clock.now() + leftMs, ...more, reuse });
    const asked: { done?: Dispatched; leave(): void } = { leave: () => caller.abort() };
    void from.dispatch(request, caller.signal).then((done) => {
      asked.done = done;
    });
    return asked;
  };
  const asked = (): number => stage.wireOf("g").requests.length;
  return { ...stage, cache, open, ask, asked };
}

const bodyOf = (parsed: unknown): Uint8Array => Buffer.from(JSON.stringify(parsed));

/** What a caller sees of it, in a line. */
function told(done: Dispatched | undefined): string {
  if (done === undefined) return "pending";
  if (done.kind === "gone" || done.kind === "defer") return done.kind;
  if (done.kind === "refusal") return `${done.code} ${done.journey.because}`;
  return `${done.cache} ${done.status} ${done.journey.because} ${done.attempts}`;
}

function answerOf(done: Dispatched | undefined): Answer {
  if (done?.kind !== "answer") throw new Error(`no answer: ${told(done)}`);
  return done;
}

test("whoever joined a question that made room for others, as one too many of its session, asks for himself", async () => {
  const { clock, ask, endpointOf, expectPeace } = remembering([json(`{${choices}}`, 300)]);
  const many = Array.from({ length: 8 }, (_, seed) =>
    ask({ parsed: { ...question, seed }, session: "many", leftMs: 1500 + seed }),
  );
  await clock.settle();
  expect([endpointOf("g").inflight, endpointOf("g").waiting]).toEqual([4, 4]);
  const last = many.at(-1);
  const joined = ask({ parsed: { ...question, seed: 7 }, session: "few" });
  const same = ask({ parsed: { ...question, seed: 7 }, session: "many" });
  await clock.settle();
  const other = ask({ parsed: { ...question, seed: 100 }, session: "other" });
  await clock.advance(1);
  expect(told(last?.done)).toBe("tier_overloaded over-share");
  expect(told(same.done)).toBe("tier_overloaded over-share");
  await clock.advance(1500);
  expect(told(joined.done)).toBe("miss 200 local-full 1");
  expect(told(other.done)).toStartWith("miss 200");
  expectPeace();
});

describe("an answer that may be kept", () => {
  test("is given again as it was, with its age and who gave it, also when no engine is left", async () => {
    const { clock, ask, asked, fleet, expectPeace } = remembering([good]);
    const first = ask();
    await clock.advance(10);
    expect(told(first.done)).toBe("miss 200 local-first 1");
    fleet.reconfigure([]);
    await clock.advance(5000);
    const second = ask();
    await clock.settle();
    expect(told(second.done)).toBe("hit 200 cached 0");
    const { body, answeredBy, ageMs, headers } = answerOf(second.done);
    expect(body).toEqual(Buffer.from(`{${choices}}`));
    expect(answeredBy).toMatchObject({ name: "g", tier: "gold", locality: "local" });
    expect(ageMs).toBe(5000);
    expect(headers).toEqual(answerOf(first.done).headers);
    expect(asked()).toBe(1);
    expectPeace();
  });

  test("is asked for anew when its time is over", async () => {
    const { clock, ask, asked, cache } = remembering([good], { ttlMs: 1000 });
    ask();
    await clock.advance(1010);
    const later = ask();
    await clock.advance(10);
    expect(told(later.done)).toBe("miss 200 local-first 1");
    expect(asked()).toBe(2);
    expect(cache.control.stats()).toMatchObject({ hits: 0, misses: 2, expirations: 1, entries: 1 });
  });

  for (const [title, more] of [
    ["another body", { parsed: { ...question, seed: 2 } }],
    ["another user", { parsed: { ...question, user: "npc-7" } }],
    ["another caller's key", { caller: "lobby" }],
    ["another path", { path: "/v1/completions" }],
    ["another model", { model: "model-of-g" }],
    ["another order of tiers", { ladder: [] }],
  ] as const) {
    test(`is not the answer to ${title}`, async () => {
      const { clock, ask, cache } = remembering([good]);
      ask();
      await clock.advance(10);
      ask(more);
      await clock.advance(10);
      expect(cache.control.stats()).toMatchObject({ hits: 0, misses: 2 });
    });
  }

  for (const [title, more] of [
    ["the members in another order", { parsed: { temperature: -0, messages: question.messages } }],
    ["another name for the same model", { parsed: { ...question, model: "gold" }, modelName: "realtime" }],
    ["another SLA class whose ladder has the same tiers", { sla: "interactive" }],
  ] as const) {
    test(`is the answer to ${title}`, async () => {
      const { clock, ask, asked } = remembering([good]);
      ask();
      await clock.advance(10);
      const again = ask(more);
      await clock.advance(10);
      expect(told(again.done)).toBe("hit 200 cached 0");
      expect(asked()).toBe(1);
    });
  }

  test("async ones whatever their temperature; others only at 0, and never streamed", () => {
    const facts = { sla: "realtime", stream: false, cacheControl: undefined } as const;
    const of = (parsed: Readonly<Record<string, unknown>>, more: Partial<ReuseFacts> = {}) =>
      reuseOf({ ...facts, body: bodyOf(parsed), parsed, ...more });
    const at = (temperature: unknown) => of({ temperature });
    for (const warm of [undefined, null, "0", 0.1, false]) expect(at(warm)).toBeUndefined();
    expect(at(0)).toBeDefined();
    expect(of({ temperature: 1 }, { sla: "async" })).toBeDefined();
    expect(of({ temperature: 0 }, { stream: true })).toBeUndefined();
    expect(of({ temperature: 0, prompt: "x".repeat(2 ** 20) })).toBeUndefined();
  });

  test.each([
    ["a question", '{"temperature":0,"prompt":"a","prompt":"b"}'],
    ["a part of one", '{"temperature":0,"messages":[{"role":"user","content":"a","content":"b"}]}'],
    ["the temperature", '{"temperature":1,"temperature":0}'],
    ["the model", '{"temperature":0,"model":"a","model":"b"}'],
  ])("none whose body has %s twice: an engine may read the other of the two", (_, text) => {
    const facts = { sla: "realtime", stream: false, cacheControl: undefined } as const;
    expect(reuseOf({ ...facts, body: Buffer.from(text), parsed: JSON.parse(text) })).toBeUndefined();
  });

  test("no-cache is answered by the engine and kept for the next; no-store is neither", async () => {
    const { clock, ask, cache } = remembering([json(numbered(1)), json(numbered(2)), json(numbered(3))]);
    ask();
    await clock.advance(10);
    const fresh = ask({ cacheControl: "no-cache" });
    await clock.advance(10);
    expect(told(fresh.done)).toBe("miss 200 local-first 1");
    const private_ = ask({ cacheControl: "no-store" });
    await clock.advance(10);
    expect(told(private_.done)).toBe("off 200 local-first 1");
    const next = ask();
    await clock.settle();
    expect(answerOf(next.done).body).toEqual(Buffer.from(numbered(2)));
    expect(cache.control.stats()).toMatchObject({ hits: 1, misses: 2, entries: 1 });
  });

  for (const [title, reply, told_] of [
    ["a client error", status(400), "miss 400 local-first 1"],
    ["another success", status(201, `{${choices}}`), "miss 201 local-first 1"],
    ["a failure", status(500), "upstream_failed local-first"],
  ] as const) {
    test(`${title} is never kept`, async () => {
      const { clock, ask, cache } = remembering([reply]);
      const asked = ask();
      await clock.advance(10);
      expect(told(asked.done)).toBe(told_);
      expect(cache.control.stats().entries).toBe(0);
    });
  }

  for (const [title, text, more] of [
    ["an error", '{"error":{"message":"out of memory"}}'],
    ["an error beside an answer", `{"error":{"message":"half of it is missing"},${choices}}`],
    ["an error in the flat shape", '{"object":"error","message":"no"}'],
    ["nothing", "{}"],
    ["no choices", '{"choices":[]}'],
    ["choices that are no list", '{"choices":{"length":1}}'],
    ["embeddings where a chat was asked for", '{"data":[{"embedding":[1]}]}'],
    ["a chat where embeddings were asked for", `{${choices},"data":[]}`, { path: "/v1/embeddings" }],
    ["a list", `[{${choices}}]`],
    ["JSON that is none", `{${choices},}`],
    ["an abort", '{"choices":[{"finish_reason":"stop"},{"finish_reason":"abort"}]}'],
    ["an engine's trouble", '{"choices":[{"finish_reason":"error"}]}'],
    ["a time that is up", '{"choices":[{"finish_reason":"timeout"}]}', { path: "/v1/completions" }],
    ["a call that was given up", '{"choices":[{"finish_reason":"cancelled"}]}'],
  ] as const satisfies readonly (readonly [string, string, Partial<InferenceRequest>?])[]) {
    test(`a good status with ${title} is shared by those who wait, and not kept`, async () => {
      const { clock, ask, asked, cache } = remembering([json(text)]);
      const both = [ask(more), ask(more)];
      await clock.advance(10);
      expect(both.map(({ done }) => told(done))).toEqual(["miss 200 local-first 1", "join 200 joined 0"]);
      expect(cache.control.stats().entries).toBe(0);
      ask(more);
      expect(asked()).toBe(2);
    });
  }

  for (const [title, text, path] of [
    ["a chat", good, "/v1/chat/completions"],
    [
      "a completion that was cut by its length",
      '{"choices":[{"finish_reason":"length"}]}',
      "/v1/completions",
    ],
    ["embeddings", '{"data":[{"embedding":[0.5]}]}', "/v1/embeddings"],
    ["a chat with an error that is null", `{"error":null,${choices}}`, "/v1/chat/completions"],
    ["a chat that speaks of errors", '{"choices":[{"text":"{\\"error\\":1}"}]}', "/v1/completions"],
  ] as const) {
    test(`${title} is kept`, async () => {
      const { clock, ask, cache } = remembering([typeof text === "string" ? json(text) : text]);
      ask({ path });
      await clock.advance(10);
      expect(cache.control.stats().entries).toBe(1);
    });
  }

  for (const [headers, kept] of [
    [{ "content-type": "text/html" }, false],
    [{ "content-type": "application/jsonl" }, false],
    [{ "content-type": "Application/JSON ; charset=utf-8" }, true],
    [{ "content-encoding": "identity" }, true],
    [{ "content-encoding": "gzip" }, false],
    [{ "cache-control": "max-age=3, No-Store" }, false],
    [{ "cache-control": "private" }, false],
    [{ "cache-control": 'private="x-user"' }, false],
    [{ "cache-control": "no-cache" }, false],
    [{ "cache-control": "max-age=0" }, false],
    [{ "cache-control": "public,s-maxage=00" }, false],
    [{ "cache-control": "max-age=10, x-private" }, true],
    [{ vary: "*" }, false],
    [{ vary: "origin, *" }, false],
    [{ vary: "origin" }, true],
  ] as const) {
    test(`with ${JSON.stringify(headers)} an answer is ${kept ? "" : "not "}kept`, async () => {
      const { clock, ask, cache } = remembering([status(200, `{${choices}}`, headers)]);
      ask();
      await clock.advance(10);
      expect(cache.control.stats().entries).toBe(kept ? 1 : 0);
    });
  }

  test("keeps the headers that tell of the answer, and none of those that told of the call", async () => {
    const { clock, ask } = remembering([
      status(200, `{${choices}}`, {
        "content-language": "de",
        "retry-after": "9",
        "x-should-retry": "true",
        "x-ratelimit-remaining": "5",
        "x-user": "alice",
        "set-cookie": "sid=1",
      }),
    ]);
    const first = ask();
    await clock.advance(10);
    expect(answerOf(first.done).headers).toHaveLength(7);
    const second = ask();
    await clock.settle();
    expect(told(second.done)).toBe("hit 200 cached 0");
    expect(answerOf(second.done).headers).toEqual([
      ["content-type", "application/json"],
      ["content-language", "de"],
    ]);
  });

  test("switched off, every answer is the engine's and nothing is counted", async () => {
    const { clock, ask, asked, cache } = remembering([good], { enabled: false });
    for (let time = 0; time < 2; time += 1) {
      const one = ask();
      await clock.advance(10);
      expect(told(one.done)).toBe("off 200 local-first 1");
    }
    expect(asked()).toBe(2);
    expect(cache.control.stats()).toMatchObject({ hits: 0, misses: 0 });
  });
});

describe("an answer to who takes whatever model is served", () => {
  const served = (...models: string[]) => ({
    spec: { name: "g", tier: "gold", locality: "local", slots: 4, queueLimit: 4 } as const,
    identity: "g",
    models,
  });

  const usesOf = async (stage: ReturnType<typeof remembering>, ...steps: (() => void)[]) => {
    const uses: string[] = [];
    for (const step of steps) {
      step();
      const one = stage.ask();
      await stage.clock.advance(10);
      uses.push(told(one.done).split(" ")[0] ?? "");
    }
    return uses;
  };

  test("is given as long as one in its tier serves its model first, and not longer", async () => {
    const stage = remembering([good]);
    const serves =
      (...models: string[]) =>
      () =>
        stage.fleet.reconfigure([served(...models)]);
    const steps = [serves("m1"), serves("m1", "m2"), serves("m2", "m1"), serves("m2"), serves("m1")];
    expect(await usesOf(stage, ...steps)).toEqual(["miss", "hit", "miss", "hit", "miss"]);
    const beside = { ...served("m9"), spec: { ...served().spec, name: "h", slots: 0 } };
    const both = () => stage.fleet.reconfigure([beside, served("m1")]);
    expect(await usesOf(stage, both)).toEqual(["hit"]);
  });

  test("is not given once an engine at the same address lists another model", async () => {
    const stage = remembering([good]);
    stage.fleet.reconfigure([{ ...served(), models: undefined }]);
    const lists = (model: string) => () => stage.endpointOf("g").setModels([model]);
    expect(await usesOf(stage, lists("m1"), lists("m1"), lists("m2"))).toEqual(["miss", "hit", "miss"]);
  });

  test("is given while nobody in its tier has said yet what it serves, as after a restart", async () => {
    const stage = remembering([good]);
    stage.fleet.reconfigure([served("m1")]);
    await usesOf(stage, () => undefined);
    const snapshot = stage.cache.snapshot(1_000_000);

    const next = remembering([good]);
    next.fleet.reconfigure([{ ...served(), identity: "another life", models: undefined }]);
    const restore = next.cache.restore(snapshot, 0);
    expect(typeof restore === "string" || restore.step(9)).toBe(false);
    const lists = (model: string) => () => next.endpointOf("g").setModels([model]);
    expect(await usesOf(next, () => undefined, lists("m1"), lists("m2"))).toEqual(["hit", "hit", "miss"]);
  });

  test("is given whatever other tiers serve, and where the caller names the model whatever its own does", async () => {
    const { clock, ask, asked, fleet } = remembering([good]);
    const silver = { ...served("s1"), spec: { ...served().spec, name: "s", tier: "silver" } } as const;
    const pinned = { model: "m1" };
    fleet.reconfigure([served("m1"), silver]);
    for (const more of [pinned, {}]) {
      ask(more);
      await clock.advance(10);
    }
    fleet.reconfigure([served("m1"), { ...silver, models: ["s2"] }]);
    const same = ask();
    fleet.reconfigure([served("m2", "m1")]);
    const named = ask(pinned);
    await clock.settle();
    expect([same, named].map(({ done }) => told(done))).toEqual(["hit 200 cached 0", "hit 200 cached 0"]);
    expect(asked()).toBe(2);
  });

  test("is its own model's where the engine has another one by the time it is made", async () => {
    const stage = remembering([good]);
    stage.fleet.reconfigure([{ ...served(), models: undefined }]);
    stage.endpointOf("g").setModels(["m1"]);
    stage.ask();
    await stage.clock.advance(5);
    stage.endpointOf("g").setModels(["m2"]);
    await stage.clock.advance(5);
    expect(await usesOf(stage, () => undefined)).toEqual(["miss"]);
  });
});

describe("identical questions at once", () => {
  test("a hundred are one question to the engine, and each is answered", async () => {
    const { clock, ask, asked, cache, expectPeace } = remembering([good]);
    const all = Array.from({ length: 100 }, () => ask());
    await clock.advance(10);
    expect(asked()).toBe(1);
    expect(all.map(({ done }) => told(done))).toEqual([
      "miss 200 local-first 1",
      ...Array.from({ length: 99 }, () => "join 200 joined 0"),
    ]);
    expect(cache.control.stats()).toMatchObject({ misses: 1, joins: 99, hits: 0, entries: 1 });
    expect(all[1]?.done?.journey).toMatchObject({ engineMs: 10, queuedMs: 0 });
    expectPeace();
  });

  test("the first one's leaving cancels nobody; the last one's leaving cancels the call", async () => {
    const { clock, ask, asked, ends, expectPeace } = remembering([json("{}", 50)]);
    const [first, second] = [ask(), ask()];
    await clock.advance(10);
    first.leave();
    await clock.advance(0);
    expect(told(first.done)).toBe("gone");
    await clock.advance(40);
    expect(told(second.done)).toBe("join 200 joined 0");
    expect(asked()).toBe(1);

    const {
      ask: askOther,
      expectPeace: expectOtherPeace,
      clock: other,
      ends: otherEnds,
    } = remembering([hangs]);
    const leaving = [askOther(), askOther()];
    await other.advance(10);
    for (const one of leaving) one.leave();
    await other.advance(0);
    expect(leaving.map(({ done }) => told(done))).toEqual(["gone", "gone"]);
    expect(otherEnds).toMatchObject([{ kind: "cancelled" }]);
    expectOtherPeace();
    expect(ends).toMatchObject([{ kind: "ok" }]);
    expectPeace();
  });

  test("each has its own deadline: who joined with little time is told so in time, the others are answered", async () => {
    const { clock, ask, expectPeace } = remembering([json("{}", 500)]);
    const patient = ask();
    const hasty = ask({ leftMs: 100 });
    await clock.advance(100);
    expect(told(hasty.done)).toBe("deadline_exceeded joined");
    expect(told(patient.done)).toBe("pending");
    await clock.advance(400);
    expect(told(patient.done)).toBe("miss 200 local-first 1");
    expectPeace();
  });

  test("where the first one's time runs out, one of the others asks anew and the rest join it", async () => {
    const { clock, ask, asked, cache, expectPeace } = remembering([hangs, json("{}", 200)]);
    const hasty = ask({ leftMs: 100 });
    const others = [ask(), ask(), ask()];
    await clock.advance(100);
    expect(told(hasty.done)).toBe("deadline_exceeded local-first");
    await clock.advance(200);
    expect(others.map(({ done }) => told(done))).toEqual([
      "miss 200 local-first 1",
      "join 200 joined 0",
      "join 200 joined 0",
    ]);
    expect(asked()).toBe(2);
    expect(cache.control.stats()).toMatchObject({ misses: 2, joins: 2 });
    expectPeace();
  });

  test("one failure is everybody's, and is not kept", async () => {
    const { clock, ask, asked, cache, expectPeace } = remembering([status(500)]);
    const both = [ask(), ask()];
    await clock.advance(10);
    expect(both.map(({ done }) => told(done))).toEqual([
      "upstream_failed local-first",
      "upstream_failed joined",
    ]);
    expect([asked(), cache.control.stats().entries]).toEqual([1, 0]);
    expectPeace();
  });

  test("a refusal before any attempt keeps its reason for all", async () => {
    const { clock, ask } = remembering([good], {}, "silver");
    const { ladder } = inference(0);
    const gold = { ladder: ladder.slice(0, 1) };
    const both = [ask(gold), ask(gold)];
    await clock.settle();
    expect(both.map(({ done }) => told(done))).toEqual([
      "no_endpoint no-endpoint",
      "no_endpoint no-endpoint",
    ]);
  });

  test("no-cache waits for nobody else's answer", async () => {
    const { clock, ask, asked } = remembering([json(numbered(1), 50), json(numbered(2), 50)]);
    ask();
    const fresh = ask({ cacheControl: "no-cache" });
    await clock.advance(50);
    expect(told(fresh.done)).toBe("miss 200 local-first 1");
    expect(asked()).toBe(2);
  });

  test("other SLA classes ask for themselves, since their place in the engine's queue is another", async () => {
    const { clock, ask, asked } = remembering([json("{}", 50)]);
    ask({ sla: "async" });
    ask({ sla: "realtime" });
    await clock.advance(50);
    expect(asked()).toBe(2);
  });

  test("an answer too large to be gathered goes to the first; the others ask for themselves", async () => {
    const large: Reply = {
      chunks: [
        [10, `{"x":"${"x".repeat(2 ** 20)}`],
        [20, '"}'],
      ],
    };
    const { clock, ask, asked, cache, expectPeace } = remembering([large]);
    const all = [ask(), ask(), ask()];
    await clock.advance(10);
    expect(all.map(({ done }) => told(done))).toEqual(["miss 200 local-first 1", "pending", "pending"]);
    await clock.advance(20);
    expect(asked()).toBe(3);
    for (const { done } of all) {
      expect(told(done)).toBe("miss 200 local-first 1");
      const { body } = answerOf(done);
      if (body instanceof Uint8Array) throw new Error("it was gathered");
      let bytes = 0;
      for (let chunk = await body.next(); chunk !== null; chunk = await body.next()) bytes += chunk.length;
      expect(bytes).toBe(2 ** 20 + 8);
    }
    expect(cache.control.stats().entries).toBe(0);
    await clock.advance(10);
    expectPeace();
  });

  test("an answer too large whose first asker has left goes to the one who joined", async () => {
    const large: Reply = {
      chunks: [
        [10, "x".repeat(2 ** 20 + 1)],
        [20, "x"],
      ],
    };
    const { clock, ask, asked, expectPeace } = remembering([large]);
    const [first, second] = [ask(), ask()];
    await clock.advance(5);
    first.leave();
    await clock.advance(5);
    expect(told(second.done)).toBe("miss 200 local-first 1");
    const { body } = answerOf(second.done);
    if (body instanceof Uint8Array) throw new Error("it was gathered");
    body.cancel("caller");
    await clock.advance(20);
    expect(asked()).toBe(1);
    expectPeace();
  });

  test("an answer that begins as the last one leaves is hung up on, for nobody would read it", async () => {
    const { clock, fleet } = remembering([]);
    const begun = Promise.withResolvers<Dispatched>();
    const cancelled: string[] = [];
    const cache = createResultCache({
      dispatch: () => begun.promise,
      fleet,
      settings: { enabled: true, maxEntries: 10, maxBytes: 1_000_000, ttlMs: 60_000 },
      clock,
      random: seededRandom(1),
    });
    const caller = new Departure();
    const reuse = reuseOf({
      sla: "realtime",
      stream: false,
      body: bodyOf(question),
      cacheControl: undefined,
      parsed: question,
    });
    const asking = cache.dispatch(inference(clock.now(), { reuse }), caller);
    caller.abort();
    begun.resolve({
      kind: "answer",
      status: 200,
      headers: [],
      body: { next: async () => null, cancel: (by) => cancelled.push(by) },
      answeredBy: { name: "g", tier: "gold", locality: "local" },
      attempts: 1,
      answeredAt: clock.now(),
      journey: { tried: [], queuedMs: 0, engineMs: 0, because: "local-first" },
      cache: "off",
    });
    expect(told(await asking)).toBe("gone");
    expect(cancelled).toEqual(["caller"]);
    expect(cache.control.stats()).toMatchObject({ entries: 0, misses: 1 });
  });
});

describe("who goes to the async lane", () => {
  const bronze = [{ tier: "bronze", balance: balancers["least-pressure"] }] as const;

  test("goes there for itself, though others who ask the same go there too", async () => {
    const { ask, clock } = remembering([good]);
    const all = [1, 2, 3].map(() => ask({ sla: "async", laneMs: 0, ladder: bronze }));
    await clock.settle();
    expect(all.map(({ done }) => told(done))).toEqual(["defer", "defer", "defer"]);
  });

  test("is not refused together with one who may not", async () => {
    const { ask, clock } = remembering([good]);
    const refused = ask({ ladder: bronze });
    const taken = ask({ ladder: bronze, laneMs: 0 });
    await clock.settle();
    expect([told(refused.done), told(taken.done)]).toEqual(["no_endpoint no-endpoint", "defer"]);
  });
});

describe("a snapshot", () => {
  const begun = (restore: CacheRestore | RestoreRefusal): CacheRestore => {
    if (typeof restore === "string") throw new Error(restore);
    return restore;
  };

  async function three() {
    const stage = remembering([json(numbered(1)), json(numbered(2)), json(numbered(3))], { ttlMs: 10_000 });
    const { clock, ask } = stage;
    for (const seed of [1, 2, 3]) {
      ask({ parsed: { ...question, seed } });
      await clock.advance(1000);
    }
    return stage;
  }

  test("brings answers back with honest ages, in their order, slice by slice", async () => {
    const { clock, cache, open, ask } = await three();
    const bytes = cache.snapshot(1_000_000);
    const next = open();
    const restoring = begun(next.restore(bytes, 500));
    expect([restoring.step(2), restoring.restored]).toEqual([true, 2]);
    expect([restoring.step(2), restoring.restored, restoring.dropped]).toEqual([false, 3, 0]);
    const keys = (control: typeof next.control) =>
      control.entries({ limit: 9 }).entries.map(({ key }) => key);
    expect(keys(next.control)).toEqual(keys(cache.control));
    const hit = ask({ parsed: { ...question, seed: 2 } }, next);
    await clock.settle();
    expect(answerOf(hit.done)).toMatchObject({ ageMs: 1990 + 500, cache: "hit", answeredBy: { name: "g" } });
    expect(answerOf(hit.done).body).toEqual(new Uint8Array(Buffer.from(numbered(2))));
  });

  test("holds the most recently used ones where not all fit", async () => {
    const { cache, open } = await three();
    const whole = cache.snapshot(1_000_000).length;
    const next = open();
    begun(next.restore(cache.snapshot(whole - 1), 0)).step(10);
    const kept = cache.control.entries({ limit: 9 }).entries.map(({ key }) => key);
    expect(next.control.entries({ limit: 9 }).entries.map(({ key }) => key)).toEqual(kept.slice(0, 2));
    expect(cache.snapshot(0)).toHaveLength(0);
  });

  test("brings back nothing whose time is over, and overwrites nothing", async () => {
    const { clock, cache, open, ask } = await three();
    const bytes = cache.snapshot(1_000_000);
    const next = open();
    ask({ parsed: { ...question, seed: 3 } }, next);
    await clock.advance(10);
    // The first is 2,990 ms old when it is written.
    begun(next.restore(bytes, 7009)).step(10);
    expect(next.control.stats().entries).toBe(3);
    const later = open();
    begun(later.restore(bytes, 7010)).step(10);
    expect(later.control.stats().entries).toBe(2);
    const hit = ask({ parsed: { ...question, seed: 3 } }, next);
    await clock.settle();
    expect(answerOf(hit.done).ageMs).toBeLessThan(100);
  });

  test("damaged bytes are told apart, never thrown, and bring back nothing wrong", async () => {
    const { cache, open } = await three();
    const bytes = cache.snapshot(1_000_000);
    const good = new Set(cache.control.entries({ limit: 9 }).entries.map(({ key }) => key));
    expect(open().restore(bytes.subarray(1), 0)).toBe("damaged");
    expect(open().restore(bytes.subarray(0, -1), 0)).toBe("damaged");
    const random = seededRandom(7);
    for (let round = 0; round < 300; round += 1) {
      const bent = new Uint8Array(bytes);
      bent[Math.floor(random() * bent.length)] = Math.floor(random() * 256);
      const next = open();
      const restoring = next.restore(bent, 0);
      const { entries } = next.control.stats();
      if (typeof restoring === "string") {
        expect([restoring, entries]).toEqual(["damaged", 0]);
        continue;
      }
      restoring.step(10);
      expect(restoring.restored).toBe(next.control.stats().entries);
      expect(restoring.restored + restoring.dropped).toBeLessThanOrEqual(3);
    }
    const bent = Buffer.from(bytes);
    bent[8] = 0x78;
    const next = open();
    const restoring = begun(next.restore(bent, 0));
    restoring.step(10);
    expect(restoring.dropped).toBe(1);
    for (const { key } of next.control.entries({ limit: 9 }).entries) expect(good.has(key)).toBe(true);
  });
});
