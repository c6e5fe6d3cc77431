// The intent endpoints over HTTP, before scripted intents: JSON items, single and in a batch, and frames as bodies.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { hash32 } from "../../src/base/hash32.ts";
import { createAuthenticate } from "../../src/http/auth.ts";
import { promptOf } from "../../src/intents/prompt.ts";
import { cleanup } from "../support/cleanup.ts";
import { decodeAnswers, decodeHeader, encodeAsk } from "../support/frame-client.ts";
import { hostileFrame } from "../support/hostile-frames.ts";
import { hostileItem } from "../support/hostile-items.ts";
import { npcDoor } from "../support/npc-door.ts";
import { openNpc } from "../support/npc-listener.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import type { Table } from "../support/scripted-intents.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const ends = cleanup();

/** Threat in its third bucket, distance in its second, alerted, fog. */
const features = { threat: 0.7, player_distance: 4, alerted: true, weather: "fog" };
const situation = 2 + 4 * (1 + 5 * (1 + 2 * 2));
const known: Table = ({ actions }) => ({
  action: Math.min(1, actions.length - 1),
  confidence: 0.823_456,
  ageMs: 120.7,
  ttlMs: 879.3,
});
const nothing: Table = () => undefined;

function house(table: Table, more: Parameters<typeof npcDoor>[1] = {}) {
  const clock = virtualClock();
  const door = npcDoor(table, more, clock);
  return { door, clock, intents: door.intents, npc: ends(openNpc(door)) };
}

/** Resolves once so many asks wait for an engine. */
async function held({ held: asks }: ReturnType<typeof house>["intents"], count: number): Promise<void> {
  while (asks.length < count) await Bun.sleep(1);
}

describe("a single item", () => {
  test("is answered from the table, in whole milliseconds and with four digits of confidence", async () => {
    const { npc } = house(known);
    const response = await npc.post({ archetype: "guard", npc: 17, features });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.json()).toEqual({
      npc: 17,
      intent: "investigate",
      action: 1,
      confidence: 0.8235,
      source: "fresh",
      age_ms: 120,
      ttl_ms: 879,
      situation,
    });
  });

  const npcs = [
    [17, 17],
    [0, 0],
    [2 ** 32 - 1, 2 ** 32 - 1],
    ['Elena "the" \u{1f5e1}', hash32('Elena "the" \u{1f5e1}')],
    [undefined, 0],
  ] as const;
  for (const [name, seed] of npcs) {
    test(`of the npc ${JSON.stringify(name)} echoes it and draws by ${seed}`, async () => {
      const seeds: number[] = [];
      const { npc } = house((_archetype, _situation, given) => {
        seeds.push(given);
        return {};
      });
      const answer = (await (await npc.post({ archetype: "guard", npc: name })).json()) as object;
      expect("npc" in answer ? answer.npc : undefined).toEqual(name);
      expect(seeds).toEqual([seed]);
    });
  }

  test("explains itself when asked to: the buckets and the very prompt", async () => {
    const { npc, intents } = house(known);
    const answer = await (await npc.post({ archetype: "guard", features, explain: true })).json();
    const [guard] = intents.archetypes.all;
    if (guard === undefined) throw new Error("there is a guard");
    expect(answer).toMatchObject({
      buckets: { threat: 2, player_distance: 1, alerted: 1, weather: 2 },
      prompt: promptOf(guard, situation),
    });
  });

  const wrong = [
    [{ archetype: "dragon", npc: 17 }, "unknown_archetype"],
    [{ archetype: "guard", npc: 17, features: { hunger: 1 } }, "unknown_feature"],
    [{ archetype: "guard", npc: 17, features: { threat: "high" } }, "invalid_feature"],
    [{ archetype: "guard", npc: 17, deadline_ms: -1 }, "invalid_request"],
    [{ archetype: "guard", npc: 17, deadline_ms: "12" }, "invalid_request"],
    [{ archetype: "guard", npc: 17, deadline_ms: null }, "invalid_request"],
    [{ npc: 17 }, "invalid_request"],
  ] as const;
  for (const [item, code] of wrong) {
    test(`that is ${JSON.stringify(item)} is answered 200 with the error ${code}`, async () => {
      const { npc } = house(known);
      const response = await npc.post(item);
      expect(response.status).toBe(200);
      expect(await response.json()).toEqual({ npc: 17, error: { code, message: expect.any(String) } });
    });
  }
});

describe("a deadline", () => {
  const deadlines = [
    [undefined, 14],
    [250, 250],
    [2.5, 2.5],
    [99_999, 10_000],
    [1e300, 10_000],
  ] as const;
  for (const [given, ms] of deadlines) {
    test(`of ${given} means ${ms} ms from the arrival of the request`, async () => {
      const { npc, intents, clock } = house(nothing);
      const answering = npc.post({ archetype: "guard", npc: 3, features, deadline_ms: given });
      await held(intents, 1);
      const [ask] = intents.held;
      expect(ask).toMatchObject({ ask: { situation, seed: 3 }, deadline: clock.now() + ms });
      ask?.settle({ action: 2, confidence: 0.5 });
      expect(await (await answering).json()).toMatchObject({ npc: 3, intent: "attack", source: "engine" });
    });
  }

  test("of 0 means table or default, at once, and asks an engine behind", async () => {
    const { npc, intents } = house(nothing);
    const answer = await (await npc.post({ archetype: "guard", features, deadline_ms: 0 })).json();
    expect(answer).toMatchObject({
      intent: "patrol",
      source: "default",
      confidence: 0,
      age_ms: 0,
      ttl_ms: 0,
    });
    expect(intents.settled).toEqual([[situation, true]]);
    expect(intents.held).toEqual([]);
  });
});

describe("a batch", () => {
  test("answers in the order of its items, one wrong item holding nobody back", async () => {
    const { npc } = house((_archetype, code) => ({ action: code % 4 }));
    const items = [
      { archetype: "guard", npc: "a", features: { threat: 0.9 } },
      { archetype: "dragon", npc: "b" },
      5,
      { archetype: "statue", npc: "c" },
    ];
    const response = await npc.post({ items });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      items: [
        { npc: "a", intent: "take_cover", situation: 3 },
        { npc: "b", error: { code: "unknown_archetype" } },
        { error: { code: "invalid_request" } },
        { npc: "c", intent: "stand", situation: 0 },
      ],
    });
  });

  test("is answered when its last item is settled, whichever that is", async () => {
    const { npc, intents } = house((_archetype, code) => (code === 0 ? {} : undefined));
    let answered = false;
    const answering = npc
      .post({
        items: [0.9, 0, 0.6].map((threat, index) => ({
          archetype: "guard",
          npc: index,
          features: { threat },
        })),
      })
      .finally(() => {
        answered = true;
      });
    await held(intents, 2);
    intents.held[1]?.settle({ action: 5 });
    await Bun.sleep(5);
    expect(answered).toBe(false);
    intents.held[0]?.settle({ action: 4, source: "default" });
    const { items } = (await (await answering).json()) as { items: object[] };
    expect(items).toMatchObject([
      { npc: 0, intent: "flee", source: "default" },
      { npc: 1, intent: "patrol", source: "fresh" },
      { npc: 2, intent: "call_help", source: "engine" },
    ]);
  });

  test("and an item settled while another request is half answered do not mix", async () => {
    const { npc, intents } = house((_archetype, code) => {
      if (code === 1) for (const ask of intents.held) ask.settle({ action: 5 });
      return code === 3 ? undefined : {};
    });
    const at = (threat: number) => ({ archetype: "guard", features: { threat } });
    const waiting = npc.post({ items: [at(0), at(0.9), at(0)] });
    await held(intents, 1);
    const answer = await npc.post({ items: [at(0), at(0.3), at(0)] });
    const intentsOf = async (response: Response): Promise<string[]> => {
      const { items } = (await response.json()) as { items: { intent: string }[] };
      return items.map(({ intent }) => intent);
    };
    expect(await intentsOf(answer)).toEqual(["patrol", "patrol", "patrol"]);
    expect(await intentsOf(await waiting)).toEqual(["patrol", "call_help", "patrol"]);
  });

  test("explains every item where the envelope asks for it, and the items that ask for it themselves", async () => {
    const { npc } = house(known);
    const item = { archetype: "guard" };
    const prompts = async (body: object): Promise<boolean[]> => {
      const { items } = (await (await npc.post(body)).json()) as { items: object[] };
      return items.map((each) => "prompt" in each);
    };
    expect(await prompts({ items: [item, item], explain: true })).toEqual([true, true]);
    expect(await prompts({ items: [item, { ...item, explain: true }] })).toEqual([false, true]);
  });

  test("may be empty, and may hold 1024 items", async () => {
    const { npc } = house(known);
    expect(await (await npc.post({ items: [] })).json()).toEqual({ items: [] });
    const full = await npc.post({ items: new Array(1024).fill({ archetype: "guard" }) });
    expect(((await full.json()) as { items: object[] }).items).toHaveLength(1024);
  });
});

describe("an envelope", () => {
  const unreadable: readonly (readonly [what: string, body: unknown, param: string | null])[] = [
    ["empty", "", null],
    ["cut short", '{"archetype":', null],
    ["a list", [], null],
    ["a number", 5, null],
    ["a batch that is no list", { items: {} }, "items"],
    ["a batch of 1025", { items: new Array(1025).fill({ archetype: "guard" }) }, "items"],
    ["a batch that explains by a number", { items: [], explain: 1 }, "explain"],
  ];
  for (const [what, body, param] of unreadable) {
    test(`that is ${what} is refused with 400`, async () => {
      const { npc } = house(known);
      const response = await npc.post(body);
      expect(response.status).toBe(400);
      expect(response.headers.get("x-request-id")).toMatch(/^req_/);
      expect(await openAiErrorOf(response)).toMatchObject({ code: "invalid_request", param });
    });
  }

  test("is explained for 64 of its items, and the others say why not", async () => {
    const { npc } = house(known);
    const item = { archetype: "guard", npc: 1 };
    const response = await npc.post({ items: new Array(66).fill(item), explain: true });
    const { items } = (await response.json()) as { items: { prompt?: string; error?: { code: string } }[] };
    expect(items.filter(({ prompt }) => prompt !== undefined)).toHaveLength(64);
    expect(items.slice(64).map(({ error }) => error?.code)).toEqual(["invalid_request", "invalid_request"]);
  });

  test("of more than half a megabyte is refused, and so is one that is nested without end", async () => {
    const { npc } = house(known);
    const large = await npc.post({ items: [{ archetype: "guard", npc: "x".repeat(600_000) }] });
    expect(large.status).toBe(413);
    const deep = await npc.post(`{"items":${"[".repeat(200_000)}`);
    expect([deep.status, (await openAiErrorOf(deep)).message]).toEqual([
      400,
      "The request body is nested more than 128 deep.",
    ]);
  });

  test("above the body limit is refused with 413", async () => {
    const { npc } = house(known, { bodyLimitBytes: 100 });
    const response = await npc.post({ archetype: "guard", pad: "x".repeat(100) });
    expect([response.status, (await openAiErrorOf(response)).code]).toEqual([413, "request_too_large"]);
  });

  /** No length is announced for it. */
  const inChunks = (url: string, ...parts: string[]): Promise<Response> => {
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        for (const part of parts) {
          controller.enqueue(new TextEncoder().encode(part));
          await Bun.sleep(1);
        }
        controller.close();
      },
    });
    return fetch(`${url}/v1/npc/intents`, { method: "POST", body });
  };

  test("may come in chunks", async () => {
    const { npc } = house(known);
    const response = await inChunks(npc.url, '{"archetype":"gu', 'ard","npc":"\u00e9"}');
    expect(await response.json()).toMatchObject({ npc: "\u00e9", intent: "investigate" });
  });

  test("above the body limit is refused with 413 also in chunks", async () => {
    const { npc } = house(known, { bodyLimitBytes: 100 });
    const response = await inChunks(npc.url, '{"archetype":"guard","pad":"', `${"x".repeat(100)}"}`);
    expect([response.status, (await openAiErrorOf(response)).code]).toEqual([413, "request_too_large"]);
  });

  test("that does not arrive within ten seconds is refused with 408", async () => {
    const { npc, clock } = house(known);
    const body = new ReadableStream<string>({
      start: (controller) => controller.enqueue('{"archetype":"gu'),
    });
    const answering = fetch(`${npc.url}/v1/npc/intents`, { method: "POST", body });
    while (clock.pending() === 0) await Bun.sleep(1);
    await clock.advance(10_000);
    const response = await answering;
    expect([response.status, (await openAiErrorOf(response)).code]).toEqual([408, "request_timeout"]);
  });

  test("of any JSON is answered 200 or 400, and an item whatever it is with an intent or an error", async () => {
    const { npc, intents } = house(known);
    await fc.assert(
      fc.asyncProperty(fc.oneof(hostileItem(intents.archetypes), fc.jsonValue()), async (body) => {
        expect([200, 400]).toContain((await npc.post(body)).status);
        const { items } = (await (await npc.post({ items: [body] })).json()) as { items: object[] };
        const [answer = {}] = items;
        expect("intent" in answer !== "error" in answer).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});

describe("POST /v1/npc/intents", () => {
  for (const phase of ["starting", "draining"] as const) {
    test(`answers while the router is ${phase}`, async () => {
      const { door, npc } = house(known);
      door.lifecycle.enter(phase);
      expect((await npc.post({ archetype: "guard" })).status).toBe(200);
    });
  }

  for (const [what, body] of [
    ["items", { items: [{ archetype: "guard", npc: 1 }] }],
    ["a frame", undefined],
  ] as const) {
    test(`a wait for an engine holds the end of the router: ${what}`, async () => {
      const { door, intents, npc } = house(nothing);
      const { epoch } = intents.archetypes;
      const asked = npc.post(body ?? encodeAsk(1, epoch, [{ archetype: 0, situation: 1, npc: 1 }]));
      await held(intents, 1);
      expect(door.lifecycle.active).toBe(1);
      door.lifecycle.end();
      intents.held[0]?.settle({ action: 1 });
      await door.lifecycle.idle();
      expect((await asked).status).toBe(200);
    });

    test(`nothing begins to wait once the router ends: ${what}`, async () => {
      const { door, intents, npc } = house(nothing);
      const { epoch } = intents.archetypes;
      door.lifecycle.end();
      const ask = body ?? encodeAsk(1, epoch, [{ archetype: 0, situation: 1, npc: 1 }]);
      expect((await npc.post(ask)).status).toBe(200);
      expect(intents.held).toEqual([]);
    });
  }

  test("asks for a key where keys are configured", async () => {
    const { npc } = house(known, { authenticate: createAuthenticate([{ name: "lobby", key: "sk-1" }]) });
    const item = { archetype: "guard" };
    expect((await npc.post(item)).status).toBe(401);
    expect((await npc.post(item, { authorization: "Bearer sk-1" })).status).toBe(200);
    expect((await fetch(`${npc.url}/v1/npc/archetypes`)).status).toBe(401);
  });

  test("refuses other methods and says which will do", async () => {
    const { npc } = house(known);
    for (const [path, method, allow] of [
      ["intents", "GET", "POST"],
      ["archetypes", "POST", "GET, HEAD"],
    ] as const) {
      const response = await fetch(`${npc.url}/v1/npc/${path}`, { method });
      expect([response.status, response.headers.get("allow")]).toEqual([405, allow]);
      expect((await openAiErrorOf(response)).code).toBe("method_not_allowed");
    }
  });

  test("answers pages of a configured origin so that their browser lets them read it", async () => {
    const { npc } = house(known);
    const origin = "http://localhost:3000";
    const allowed = async (headers: Record<string, string>): Promise<string | null> =>
      (await npc.post({ archetype: "guard" }, headers)).headers.get("access-control-allow-origin");
    expect(await allowed({ origin })).toBe(origin);
    expect(await allowed({ origin: "http://elsewhere" })).toBe(null);
    const preflight = await fetch(`${npc.url}/v1/npc/intents`, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST" },
    });
    expect(preflight.headers.get("access-control-allow-origin")).toBe(origin);
  });

  test("echoes a request id, and makes one where there is none and something is wrong", async () => {
    const { npc } = house(known);
    const id = async (body: unknown, headers?: Record<string, string>): Promise<string | null> =>
      (await npc.post(body, headers)).headers.get("x-request-id");
    expect(await id({ archetype: "guard" }, { "x-request-id": "tick-9" })).toBe("tick-9");
    expect(await id({ archetype: "guard" })).toBe(null);
    expect(await id("", { "x-request-id": "tick-9" })).toBe("tick-9");
    expect(await id("")).toMatch(/^req_[0-9a-f]{32}$/);
  });

  test("counts every item once, by archetype and source, the wrong ones under no archetype", async () => {
    const { npc, door, intents } = house((_archetype, code) => (code === 0 ? {} : undefined));
    const guard = { archetype: "guard" };
    const answering = npc.post({
      items: [
        guard,
        guard,
        { ...guard, features: { threat: 1 } },
        { archetype: "statue" },
        { archetype: "x" },
      ],
    });
    await held(intents, 1);
    intents.held[0]?.settle({});
    await answering;
    const lines = door.registry.expose().split("\n");
    expect(lines.filter((line) => line.startsWith("tierline_intents_total")).sort()).toEqual([
      'tierline_intents_total{archetype="guard",source="default"} 0',
      'tierline_intents_total{archetype="guard",source="engine"} 1',
      'tierline_intents_total{archetype="guard",source="fresh"} 2',
      'tierline_intents_total{archetype="guard",source="peer"} 0',
      'tierline_intents_total{archetype="guard",source="stale"} 0',
      'tierline_intents_total{archetype="none",source="refused"} 1',
      'tierline_intents_total{archetype="statue",source="default"} 0',
      'tierline_intents_total{archetype="statue",source="engine"} 0',
      'tierline_intents_total{archetype="statue",source="fresh"} 1',
      'tierline_intents_total{archetype="statue",source="peer"} 0',
      'tierline_intents_total{archetype="statue",source="stale"} 0',
    ]);
    expect(lines).toContain("tierline_intent_duration_seconds_count 4");
  });
});

test("GET /v1/npc/archetypes tells the epoch and every archetype", async () => {
  const { npc, intents } = house(known);
  const response = await fetch(`${npc.url}/v1/npc/archetypes`);
  expect(await response.json()).toMatchObject({
    epoch: intents.archetypes.epoch,
    archetypes: [
      {
        id: 0,
        name: "guard",
        default: "patrol",
        features: [{ name: "threat", kind: "buckets", radix: 4 }, {}, { name: "alerted", kind: "bool" }, {}],
      },
      { id: 1, name: "statue", actions: ["stand"], features: [] },
    ],
  });
});

describe("a frame as a body", () => {
  test("is answered by a frame of the same type, each item by its npc", async () => {
    const { npc, intents } = house(known);
    const { epoch } = intents.archetypes;
    const response = await npc.post(
      encodeAsk(77, epoch, [
        { situation, npc: 17, archetype: 0 },
        { situation: 120, npc: 18, archetype: 0 },
        { situation: 0, npc: 19, archetype: 9 },
        { situation: 0, npc: 20, archetype: 1 },
      ]),
      { "content-type": "Application/vnd.Tierline.intents; v=1" },
    );
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/vnd.tierline.intents");
    const frame = await response.bytes();
    expect(decodeHeader(frame)).toEqual({ magic: "TLN1", type: 2, flags: 0, count: 4, requestId: 77, epoch });
    const answer = { action: 1, source: 0, confidence: 210 / 255, ageMs: 120, ttlMs: 879 };
    const none = { action: 0, source: 255, confidence: 0, ageMs: 0, ttlMs: 0 };
    expect(decodeAnswers(frame)).toEqual([
      { npc: 17, ...answer },
      { npc: 18, ...none },
      { npc: 19, ...none },
      { npc: 20, ...answer, action: 0 },
    ]);
  });

  test("waits as long as each item says, 0 meaning as configured, unless it may not or must not fill", async () => {
    const { npc, intents, clock } = house(nothing);
    const { epoch } = intents.archetypes;
    const ask = { npc: 1, archetype: 0 };
    const answering = npc.post(
      encodeAsk(1, epoch, [
        { ...ask, situation: 1 },
        { ...ask, situation: 2, deadlineMs: 200 },
        { ...ask, situation: 3, deadlineMs: 200, flags: 1 },
        { ...ask, situation: 4, deadlineMs: 200, flags: 3 },
      ]),
    );
    await held(intents, 2);
    expect(
      intents.held.map(({ ask: { situation: code }, deadline }) => [code, deadline - clock.now()]),
    ).toEqual([
      [1, 14],
      [2, 200],
    ]);
    expect(intents.settled).toEqual([
      [3, true],
      [4, false],
    ]);
    for (const each of intents.held.toReversed()) each.settle({ action: each.ask.situation });
    const answers = decodeAnswers(await (await answering).bytes());
    expect(answers.map(({ action, source }) => [action, source])).toEqual([
      [1, 2],
      [2, 2],
      [0, 4],
      [0, 4],
    ]);
  });

  const right = (epoch: number, count = 1) =>
    encodeAsk(77, epoch, new Array(count).fill({ situation: 0, npc: 0, archetype: 0 }));
  const faults: readonly (readonly [
    what: string,
    frame: (epoch: number) => Uint8Array,
    status: number,
    flags: number,
    requestId: number,
  ])[] = [
    ["of another epoch", (epoch) => right(epoch ^ 1), 409, 1, 77],
    ["cut short", (epoch) => right(epoch).subarray(0, 31), 400, 2, 77],
    ["of noise", () => new Uint8Array(40), 400, 2, 0],
    ["empty", () => new Uint8Array(), 400, 2, 0],
    ["of 1025 items", (epoch) => right(epoch, 1025), 413, 3, 77],
    ["longer than any may be", (epoch) => Buffer.concat([right(epoch), Buffer.alloc(17_000)]), 413, 3, 77],
    ["above the body limit", (epoch) => Buffer.concat([right(epoch), Buffer.alloc(30_000)]), 413, 3, 0],
  ];
  for (const [what, frame, status, flags, requestId] of faults) {
    test(`${what} is answered ${status} with the error ${flags} and the epoch in force`, async () => {
      const { npc, intents } = house(known, { bodyLimitBytes: 20_000 });
      const { epoch } = intents.archetypes;
      const response = await npc.post(frame(epoch));
      expect(response.status).toBe(status);
      const header = { magic: "TLN1", type: 3, flags, count: 0, requestId, epoch };
      expect(decodeHeader(await response.bytes())).toEqual(header);
    });
  }

  test("of 1024 items is answered", async () => {
    const { npc, intents } = house(known);
    const response = await npc.post(right(intents.archetypes.epoch, 1024));
    expect(decodeAnswers(await response.bytes())).toHaveLength(1024);
  });

  test("of any bytes is answered by answers or by an error, never by a failure", async () => {
    const { npc, intents } = house(known);
    await fc.assert(
      fc.asyncProperty(hostileFrame(intents.archetypes), async (bytes) => {
        const response = await npc.post(bytes);
        const { type } = decodeHeader(await response.bytes());
        expect([response.status, type]).toBeOneOf([
          [200, 2],
          [400, 3],
          [409, 3],
          [413, 3],
        ]);
      }),
      { numRuns: 200 },
    );
  });
});
