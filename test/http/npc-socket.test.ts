// The WebSocket of intents on a real listener, before scripted intents.

import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import fc from "fast-check";
import { seededRandom } from "../../src/base/random.ts";
import type { Authenticate } from "../../src/http/auth.ts";
import { createAuthenticate } from "../../src/http/auth.ts";
import { createRateLimit } from "../../src/http/rate-limit.ts";
import { cleanup } from "../support/cleanup.ts";
import type { ClientAsk } from "../support/frame-client.ts";
import { decodeAnswers, decodeHeader, encodeAsk } from "../support/frame-client.ts";
import { hostileFrame } from "../support/hostile-frames.ts";
import { openStream } from "../support/intent-client.ts";
import { npcDoor } from "../support/npc-door.ts";
import { openNpc } from "../support/npc-listener.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import type { Table } from "../support/scripted-intents.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const ends = cleanup();

const known: Table = () => ({ action: 1 });
/** Situation 0 is known, all others are not. */
const lowest: Table = (_archetype, code) => (code === 0 ? {} : undefined);

function house(table: Table, more: Parameters<typeof npcDoor>[1] = {}) {
  const door = npcDoor(table, more);
  const npc = ends(openNpc(door));
  return { door, intents: door.intents, npc, url: `${npc.url}/v1/npc/stream` };
}

const open: typeof openStream = async (url, options) => ends(await openStream(url, options));

const ask = (situation: number, more: Partial<ClientAsk> = {}): ClientAsk => ({
  situation,
  npc: situation,
  archetype: 0,
  ...more,
});

/** As a browser's or a game's handshake, for answers that are no upgrade. */
const handshake = {
  upgrade: "websocket",
  connection: "Upgrade",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};
const knock = (url: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, { headers: { ...handshake, ...headers } });

describe("frames on a socket", () => {
  test("are answered by request id, pipelined", async () => {
    const { url, intents } = house(known);
    const { epoch } = intents.archetypes;
    const client = await open(url);
    for (let id = 0; id < 100; id += 1) client.send(encodeAsk(id, epoch, [ask(id), ask(119)]));
    for (let id = 0; id < 100; id += 1) {
      const frame = await client.next();
      expect(decodeHeader(frame)).toMatchObject({ type: 2, requestId: id, count: 2, epoch });
      expect(decodeAnswers(frame)).toMatchObject([
        { npc: id, action: 1, source: 0 },
        { npc: 119, action: 1, source: 0 },
      ]);
    }
  });

  test("that wait for an engine hold no other frame back", async () => {
    const { url, intents } = house(lowest);
    const { epoch } = intents.archetypes;
    const client = await open(url);
    client.send(encodeAsk(1, epoch, [ask(0), ask(7)]));
    client.send(encodeAsk(2, epoch, [ask(0)]));
    expect(decodeHeader(await client.next()).requestId).toBe(2);
    intents.held[0]?.settle({ action: 4 });
    const late = await client.next();
    expect(decodeHeader(late).requestId).toBe(1);
    expect(decodeAnswers(late)).toMatchObject([
      { npc: 0, source: 0 },
      { npc: 7, action: 4, source: 2 },
    ]);
  });

  test("beyond what may wait at a time are answered by default at once, and trouble no engine", async () => {
    const { url, intents } = house(lowest);
    const client = await open(url);
    const full = encodeAsk(9, intents.archetypes.epoch, new Array(1024).fill(ask(7)));
    // 31 frames of 16,400 bytes fit into 512 kB, the 32nd does not.
    for (let count = 0; count < 32; count += 1) client.send(full);
    expect(decodeAnswers(await client.next()).every(({ source }) => source === 4)).toBe(true);
    expect(intents.held).toHaveLength(31 * 1024);
    expect(intents.settled).toHaveLength(1024);
    expect(intents.settled.some(([, fill]) => fill)).toBe(false);
    // What is answered makes room again.
    for (const each of intents.held.splice(0)) each.settle({ action: 2 });
    for (let count = 0; count < 31; count += 1) expect(decodeAnswers(await client.next())[0]?.action).toBe(2);
    client.send(full);
    while (intents.held.length < 1024) await Bun.sleep(1);
  });

  test("that are settled after their asker has left go nowhere, and nobody is the worse for it", async () => {
    const { url, intents, door } = house(lowest);
    const client = await open(url);
    client.send(encodeAsk(1, intents.archetypes.epoch, [ask(7)]));
    while (intents.held.length < 1) await Bun.sleep(1);
    client.send("text");
    await client.closed;
    intents.held[0]?.settle({});
    const other = await open(url);
    other.send(encodeAsk(2, intents.archetypes.epoch, [ask(0)]));
    expect(decodeHeader(await other.next()).requestId).toBe(2);
    expect(door.logged).toEqual([]);
  });

  test("of another epoch are answered with the epoch in force, and the socket goes on", async () => {
    const { url, intents } = house(known);
    const { epoch } = intents.archetypes;
    const client = await open(url);
    client.send(encodeAsk(5, epoch ^ 1, [ask(0)]));
    expect(decodeHeader(await client.next())).toMatchObject({ type: 3, flags: 1, requestId: 5, epoch });
    client.send(encodeAsk(6, epoch, [ask(0)]));
    expect(decodeHeader(await client.next())).toMatchObject({ type: 2, requestId: 6 });
  });

  const endings = [
    ["malformed", 1, 20, 2, 1002],
    ["of more items than there may be", 1025, 16 + 16 * 1025, 3, 1009],
  ] as const;
  for (const [what, count, bytes, flags, code] of endings) {
    test(`that are ${what} are answered by the error ${flags}, and the socket closes with ${code}`, async () => {
      const { url, intents } = house(known);
      const client = await open(url);
      const frame = encodeAsk(5, intents.archetypes.epoch, new Array(count).fill(ask(0)));
      client.send(frame.subarray(0, bytes));
      expect(decodeHeader(await client.next())).toMatchObject({ type: 3, flags, requestId: 5 });
      expect((await client.closed).code).toBe(code);
    });
  }

  test("beyond the limit of the key are answered by the error 4 under their request id, and the socket goes on", async () => {
    const clock = virtualClock();
    const limit = createRateLimit("lobby", { perSecond: 10, burst: 3 }, clock, seededRandom(1));
    const { url, intents, door } = house(known, { authenticate: () => ({ name: "lobby", limit }) });
    const { epoch } = intents.archetypes;
    // The handshake is a request as well.
    const client = await open(url, { headers: { authorization: "Bearer sk-1" } });
    const types: [number, number, number][] = [];
    for (let id = 1; id <= 4; id += 1) {
      if (id === 4) await clock.advance(100);
      client.send(encodeAsk(id, epoch, [ask(0)]));
      const { type, flags, requestId } = decodeHeader(await client.next());
      types.push([requestId, type, flags]);
    }
    expect(types).toEqual([
      [1, 2, 0],
      [2, 2, 0],
      [3, 3, 4],
      [4, 2, 0],
    ]);
    expect(door.registry.expose()).toContain('tierline_shed_total{sla="realtime",because="rate-limited"} 1');
    expect(door.logged.map((line) => JSON.parse(line).msg)).toEqual(["a key is over its rate limit"]);
  });

  test("that are far too large are not even taken in: 1009", async () => {
    const { url } = house(known);
    const client = await open(url);
    client.send(new Uint8Array(100_000));
    await expect(client.next()).rejects.toThrow("closed");
    expect((await client.closed).code).toBe(1009);
  });

  test("are binary: a text closes the socket with 1003", async () => {
    const { url } = house(known);
    const client = await open(url);
    client.send("what now?");
    expect((await client.closed).code).toBe(1003);
  });

  test("of any bytes are answered by answers or by an error", async () => {
    const { url, intents } = house(known);
    let client = await open(url);
    await fc.assert(
      fc.asyncProperty(hostileFrame(intents.archetypes), async (bytes) => {
        client.send(bytes);
        const { type, flags } = decodeHeader(await client.next());
        expect(type === 2 || (type === 3 && flags >= 1 && flags <= 3)).toBe(true);
        if (type === 2 || flags === 1) return;
        await client.closed;
        client = await open(url);
      }),
      { numRuns: 100 },
    );
  });
});

describe("a client that does not read", () => {
  test("is cut once 512 kB wait for it, and the others are answered on", async () => {
    const { url, intents, door } = house(known);
    const { epoch } = intents.archetypes;
    const other = await open(url);
    const { port } = new URL(url);
    const deaf = connect(Number(port), "127.0.0.1");
    ends({ stop: () => deaf.destroy() });
    const cut = new Promise<void>((resolve) => {
      deaf.on("close", () => resolve());
      deaf.on("error", () => resolve());
    });
    const lines = Object.entries(handshake).map(([name, value]) => `${name}: ${value}\r\n`);
    deaf.write(`GET /v1/npc/stream HTTP/1.1\r\nhost: localhost\r\n${lines.join("")}\r\n`);
    await new Promise((resolve) => deaf.once("data", resolve));
    deaf.pause();

    const payload = encodeAsk(1, epoch, new Array(1024).fill(ask(0)));
    const head = Buffer.from([0x82, 0xfe, payload.length >> 8, payload.length & 0xff, 0, 0, 0, 0]);
    const message = Buffer.concat([head, payload]);
    // The kernel takes some megabytes on the way there and back before anything has to wait in the router.
    while (door.logged.length === 0 && !deaf.destroyed) {
      deaf.write(message);
      await Bun.sleep(0);
    }
    expect(door.logged.join("")).toContain("does not read");
    deaf.resume();
    await cut;

    other.send(encodeAsk(3, epoch, [ask(0)]));
    expect(decodeHeader(await other.next()).requestId).toBe(3);
  });
});

describe("the door of the stream", () => {
  test("opens by header or by subprotocol, which it names in its answer; without a key it is 401", async () => {
    const { url } = house(known, { authenticate: createAuthenticate([{ name: "lobby", key: "sk-1" }]) });
    await open(url, { headers: { authorization: "Bearer sk-1" } });
    expect((await open(url, { protocols: ["game.v2", "tierline.key.sk-1"] })).protocol).toBe(
      "tierline.key.sk-1",
    );
    const refusals: Record<string, string>[] = [
      {},
      { authorization: "Bearer sk-2" },
      { "sec-websocket-protocol": "tierline.key.sk-2" },
      { "sec-websocket-protocol": "sk-1" },
    ];
    for (const headers of refusals) {
      const response = await knock(url, headers);
      expect(response.status).toBe(401);
      expect((await openAiErrorOf(response)).code).toBe("invalid_api_key");
    }
  });

  test("closes with 1008 at once when a reload takes its key away, though the name keeps another; the rest stay", async () => {
    const [old, next, arena] = [
      { name: "lobby", key: "sk-1" },
      { name: "lobby", key: "sk-2" },
      { name: "arena", key: "sk-3" },
    ] as const;
    const keys = { authenticate: createAuthenticate([old, arena]) };
    const { intents, npc, url } = house(known, keys);
    const { epoch } = intents.archetypes;
    const as = ({ key }: typeof old | typeof next | typeof arena) =>
      open(url, { headers: { authorization: `Bearer ${key}` } });
    const [first, other] = [await as(old), await as(arena)];
    keys.authenticate = createAuthenticate([old, next, arena]);
    npc.reloaded();
    const second = await as(next);
    keys.authenticate = createAuthenticate([next, arena]);
    npc.reloaded();
    expect(await first.closed).toEqual({ code: 1008, reason: "The API key is not known here any more." });
    for (const client of [second, other]) {
      client.send(encodeAsk(1, epoch, [ask(0)]));
      expect(decodeHeader(await client.next()).type).toBe(2);
    }
  });

  test("closes with 1008 when a reload takes the class realtime away from its key", async () => {
    const keys: { authenticate: Authenticate } = { authenticate: () => ({ name: "lobby" }) };
    const { npc, url } = house(known, keys);
    const client = await open(url, { headers: { authorization: "Bearer sk-1" } });
    keys.authenticate = () => ({ name: "lobby", sla: ["async"] });
    npc.reloaded();
    expect(await client.closed).toEqual({
      code: 1008,
      reason: "The API key may not use realtime any more.",
    });
  });

  test("is shut to a key that may not use realtime: 403", async () => {
    const { url } = house(known, { authenticate: () => ({ name: "lobby", sla: ["interactive", "async"] }) });
    const response = await knock(url, { authorization: "Bearer sk-1" });
    expect(response.status).toBe(403);
    expect(await openAiErrorOf(response)).toMatchObject({
      code: "forbidden",
      message: "The key lobby may not use the SLA class realtime. It may use: interactive, async.",
    });
  });

  test("names the key's subprotocol also where nobody is asked for a key, or browsers would hang up", async () => {
    const { url } = house(known);
    expect((await open(url, { protocols: ["tierline.key.any"] })).protocol).toBe("tierline.key.any");
    expect((await open(url)).protocol).toBe("");
  });

  test("opens to pages of configured origins only", async () => {
    const { url } = house(known);
    await open(url);
    await open(url, { headers: { origin: "http://localhost:3000" } });
    // What a page says that has no origin: a file, a sandboxed frame, a redirect.
    for (const origin of [
      "http://elsewhere",
      "http://localhost:3001",
      "https://localhost:3000",
      "null",
      "",
    ]) {
      const response = await knock(url, { origin });
      const { code } = await openAiErrorOf(response);
      expect([origin, response.status, code]).toEqual([origin, 403, "forbidden"]);
    }
    const { url: wide } = house(known, { corsOrigins: ["*"] });
    await open(wide, { headers: { origin: "http://elsewhere" } });
  });

  test("tells who does not speak WebSocket to upgrade, and who does not GET to do so", async () => {
    const { url } = house(known);
    const plain = await fetch(url);
    expect([plain.status, plain.headers.get("upgrade")]).toEqual([426, "websocket"]);
    expect((await openAiErrorOf(plain)).code).toBe("upgrade_required");
    const post = await fetch(url, { method: "POST" });
    expect([post.status, post.headers.get("allow")]).toEqual([405, "GET"]);
    const { "sec-websocket-key": _, ...half } = handshake;
    expect((await fetch(url, { headers: half })).status).toBe(400);
  });

  test("is shut by a drain, which leaves the open sockets answered until the end, then closes them with 1001", async () => {
    const { url, intents, door, npc } = house(known);
    door.lifecycle.enter("starting");
    const client = await open(url);
    door.lifecycle.enter("draining");
    const response = await knock(url);
    expect([response.status, (await openAiErrorOf(response)).code]).toEqual([503, "draining"]);
    expect(response.headers.get("retry-after-ms")).toBe("1000");
    client.send(encodeAsk(4, intents.archetypes.epoch, [ask(0)]));
    expect(decodeHeader(await client.next()).requestId).toBe(4);
    await npc.stop();
    expect((await client.closed).code).toBe(1001);
  });
});
