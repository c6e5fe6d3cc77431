// Who may do what, at the doors: classes and limits of keys, before an engine, a lane and scripted intents.

import { describe, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createAuthenticate } from "../../src/http/auth.ts";
import type { CallerRule } from "../../src/http/callers.ts";
import { createCallers } from "../../src/http/callers.ts";
import { createPublicApp } from "../../src/http/public.ts";
import type { SlaClass } from "../../src/routing/sla.ts";
import { slaClasses } from "../../src/routing/sla.ts";
import { cleanup } from "../support/cleanup.ts";
import { deskScene } from "../support/desk-scene.ts";
import { encodeAsk } from "../support/frame-client.ts";
import { localPolicy, localScene } from "../support/local-scene.ts";
import { npcDoor } from "../support/npc-door.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const ends = cleanup();

/** The key of each is its name. */
function house(rules: Readonly<Record<string, CallerRule>>) {
  const clock = virtualClock();
  const callers = createCallers(clock, seededRandom(1));
  const names = [...Object.keys(rules), "free"];
  callers.reconfigure({ names, rules: new Map(Object.entries(rules)) });
  const authenticate = createAuthenticate(
    names.map((name) => ({ name, key: name })),
    callers.named,
  );
  const local = localScene(systemClock, { slots: 1, queueLimit: 0 });
  const lane = ends(deskScene(systemClock));
  const base = npcDoor(() => ({}), { policy: localPolicy, authenticate });
  const door = { ...base, fleet: local.fleet, dispatch: local.dispatch, desk: lane.desk };
  const app = createPublicApp(door);
  const ask = async (
    key: string,
    path: string,
    body?: string | object,
    headers: Record<string, string> = {},
  ): Promise<Response> => {
    const request = new Request(`http://127.0.0.1${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const route = app.routes[path];
    const answer = await (route === undefined ? app.fetch(request) : route(request, neverAsked));
    if (answer === undefined) throw new Error("it has become a socket");
    return answer;
  };
  return { clock, app, ask, door, lane, local, epoch: base.intents.archetypes.epoch };
}

/** No route of these tests makes a socket. */
const neverAsked = Object.create(null);

const messages = [{ role: "user", content: "Who goes there?" }];
const chat = "/v1/chat/completions";
const situation = { archetype: "guard", features: {} };

describe("a key's SLA classes", () => {
  const wants: readonly (readonly [
    what: string,
    sla: SlaClass | undefined,
    path: string,
    body?: object,
    headers?: Record<string, string>,
  ])[] = [
    ["a chat by header", "realtime", chat, { messages }, { "x-tierline-sla": "realtime" }],
    ["a chat by the name of the class", "realtime", chat, { model: "realtime", messages }],
    ["a chat by the name of the tier", "realtime", chat, { model: "gold", messages }],
    ["a chat by an alias", "interactive", chat, { model: "storyteller", messages }],
    ["a chat that says nothing", "interactive", chat, { messages }],
    ["a chat by model alone", "interactive", chat, { model: "story-70b", messages }],
    [
      "a chat whose header says otherwise than its tier",
      "interactive",
      chat,
      { model: "gold", messages },
      { "x-tierline-sla": "interactive" },
    ],
    ["a completion", "realtime", "/v1/completions", { model: "gold", prompt: "Once" }],
    ["an embedding", "realtime", "/v1/embeddings", { model: "gold", input: "Once" }],
    ["a chat as a job", "async", chat, { model: "bronze", messages }],
    ["a job", "async", "/v1/jobs", { request: { messages } }],
    ["an intent", "realtime", "/v1/npc/intents", situation],
    ["the list of jobs", undefined, "/v1/jobs"],
    ["a job that it may have had", undefined, "/v1/jobs/job_gold-1_00000000000000000000000000"],
    ["the models", undefined, "/v1/models"],
    ["the archetypes", undefined, "/v1/npc/archetypes"],
  ];
  for (const [what, sla, path, body, headers] of wants) {
    test(`${what}: ${sla === undefined ? "to all" : `to those that may use ${sla}, 403 to the others`}`, async () => {
      for (const own of slaClasses) {
        const { ask, door } = house({ lobby: { sla: [own] } });
        const response = await ask("lobby", path, body, headers);
        const may = sla === undefined || sla === own;
        expect([own, response.status === 403]).toEqual([own, !may]);
        if (may) continue;
        expect(await openAiErrorOf(response)).toMatchObject({
          code: "forbidden",
          message: `The key lobby may not use the SLA class ${sla}. It may use: ${own}.`,
        });
        expect(door.registry.expose()).toContain('outcome="forbidden"} 1');
        expect((await ask("free", path, body, headers)).status).not.toBe(403);
      }
    });
  }

  test("frames by POST are realtime like items", async () => {
    const { ask, app, epoch } = house({ lobby: { sla: ["async"] } });
    expect(app.routes["/v1/npc/intents"]).toBeDefined();
    const frame = Buffer.from(encodeAsk(1, epoch, [])).toString("latin1");
    const headers = { "content-type": "application/vnd.tierline.intents" };
    expect((await ask("lobby", "/v1/npc/intents", frame, headers)).status).toBe(403);
  });

  test("without async: the wish for a job in the place of an answer is passed over, not refused", async () => {
    const { ask, local } = house({ lobby: { sla: ["interactive"] } });
    const prefer = { prefer: "respond-async" };
    const served = await ask("lobby", chat, { messages }, prefer);
    expect([served.status, served.headers.get("preference-applied")]).toEqual([200, null]);
    local.reply = () => ({ hangs: true });
    ends({ stop: local.play().leave });
    expect((await ask("free", chat, { messages }, prefer)).status).toBe(202);
    const full = await ask("lobby", chat, { messages }, prefer);
    expect([full.status, (await openAiErrorOf(full)).code]).toEqual([429, "tier_overloaded"]);
  });
});

describe("a key's limit", () => {
  const rule = { rate: { perSecond: 2, burst: 3 } };
  const remaining = ({ headers }: Response) => headers.get("x-ratelimit-remaining-requests");

  test("is counted for every request under /v1/, whatever becomes of it, and told with every answer", async () => {
    const { ask, clock } = house({ lobby: { ...rule, sla: ["interactive"] } });
    const told: [number, string | null][] = [];
    const asks = [
      () => ask("lobby", chat, { messages }),
      () => ask("lobby", "/v1/npc/intents", situation),
      () => ask("lobby", "/v1/nothing"),
      () => ask("lobby", "/v1/models"),
      () => ask("lobby", chat, "{"),
    ];
    for (const each of asks) {
      const response = await each();
      told.push([response.status, remaining(response)]);
      expect(response.headers.get("x-request-id")).toMatch(/^req_/);
      expect(response.headers.get("ratelimit-policy")).toBe('"lobby";q=4;w=2');
      if (response.status === 429) await clock.advance(500);
    }
    expect(told).toEqual([
      [200, "2"],
      [403, "1"],
      [404, "0"],
      [429, "0"],
      [400, "0"],
    ]);
    // Health is nobody's request.
    expect((await ask("lobby", "/readyz")).headers.has("ratelimit")).toBe(false);
  });

  test("is nothing to another key, which is told nothing of limits", async () => {
    const { ask } = house({ lobby: rule, arena: rule });
    for (let count = 0; count < 5; count += 1) await ask("lobby", "/v1/models");
    expect((await ask("lobby", "/v1/models")).status).toBe(429);
    expect(remaining(await ask("arena", "/v1/models"))).toBe("2");
    // Intents share what their answers begin with.
    expect(remaining(await ask("arena", "/v1/npc/intents", situation))).toBe("1");
    for (const free of [await ask("free", "/v1/models"), await ask("free", "/v1/npc/intents", situation)]) {
      expect(free.status).toBe(200);
      expect([...free.headers.keys()].filter((name) => /ratelimit/.test(name))).toEqual([]);
    }
    expect((await ask("nobody", "/v1/models")).status).toBe(401);
  });

  test("is asked before the body is read, and counted with its class where that is known", async () => {
    const { ask, door } = house({ lobby: { rate: { perSecond: 1, burst: 1 } } });
    await ask("lobby", "/v1/models");
    let isRead = false;
    const request = new Request(`http://127.0.0.1${chat}`, {
      method: "POST",
      headers: { authorization: "Bearer lobby", "x-tierline-sla": "interactive" },
      body: new ReadableStream(
        {
          pull() {
            isRead = true;
          },
        },
        { highWaterMark: 0 },
      ),
    });
    const response = await createPublicApp(door).routes[chat]?.(request, neverAsked);
    expect([response?.status, isRead]).toEqual([429, false]);
    await ask("lobby", "/v1/jobs", { request: {} });
    await ask("lobby", "/v1/npc/intents", situation);
    await ask("lobby", "/v1/models");
    const metrics = door.registry.expose();
    for (const sla of ["interactive", "async", "realtime", "none"])
      expect(metrics).toContain(`tierline_shed_total{sla="${sla}",because="rate-limited"} 1`);
    expect(metrics).toContain(
      'tierline_requests_total{sla="none",tier="none",locality="none",outcome="rate_limited"} 4',
    );
    // One line, not one each.
    expect(door.logged.map((line) => JSON.parse(line))).toMatchObject([
      { key: "lobby", msg: "a key is over its rate limit" },
    ]);
  });

  test("is told to pages as well", async () => {
    const { ask } = house({ lobby: rule });
    const response = await ask("lobby", "/v1/models", undefined, { origin: "http://localhost:3000" });
    const exposed = response.headers.get("access-control-expose-headers")?.toLowerCase() ?? "";
    expect(remaining(response)).toBe("2");
    for (const name of ["retry-after-ms", "x-ratelimit-remaining-requests", "ratelimit"])
      expect(exposed.split(",")).toContain(name);
  });
});
