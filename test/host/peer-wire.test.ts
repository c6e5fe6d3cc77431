// Requests to another router, over real sockets: what it is shown of each, and what one that calls our stamp stale, or
// is none of us, may bring about.

import { describe, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import type { Forwarded, ForwardSeals } from "../../src/host/forwarded.ts";
import { createForwardSeals, loadHeader, peerHeader, peerRefusedHeader } from "../../src/host/forwarded.ts";
import type { PeerClient, PeerRequest } from "../../src/host/peer-wire.ts";
import { createPeerClient, targetOfPeer } from "../../src/host/peer-wire.ts";
import { cleanup } from "../support/cleanup.ts";
import { clockOffBy } from "../support/gossip-host.ts";
import type { RawConnection, RawRequest } from "../support/raw-server.ts";
import { startRawServer } from "../support/raw-server.ts";
import { sealing } from "../support/seals.ts";
import { failureOf, textOf, until } from "../wire/reading.ts";

const ends = cleanup();
const hourMs = 3_600_000;
const path = "/v1/chat/completions";
const claim: Forwarded = {
  caller: "game",
  tier: "gold",
  endpoint: "gold-2/vllm",
  model: "any",
  body: "request",
};

const sealsOf = (name: string, offMs = 0, key = "the-first-secret"): ForwardSeals =>
  createForwardSeals(sealing(clockOffBy(offMs), { name, keys: [key] }));

const headerOf = ({ head }: RawRequest, name: string): string | undefined =>
  new RegExp(`^${name}: (.*)$`, "im").exec(head)?.[1]?.trim();

const answered = (status: number, headers: Readonly<Record<string, string>>, body = "{}"): string =>
  `HTTP/1.1 ${status} Said\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}content-length: ${body.length}\r\n\r\n${body}`;

interface PeerOptions {
  readonly offMs?: number;
  readonly key?: string;
  /** In place of an answer, to the requests that are let in. */
  readonly instead?: (connection: RawConnection, count: number) => void;
}

/** A router that opens seals as the real one does, and a client of ours to it. */
function peer({ offMs = 0, key, instead }: PeerOptions = {}) {
  const receiver = sealsOf("gold-2", offMs, key);
  const requests: RawRequest[] = [];
  const opened: string[] = [];
  const server = ends(
    startRawServer(async (connection) => {
      for (let request = await connection.request(); request; request = await connection.request()) {
        requests.push(request);
        const seal = receiver.open(`POST ${path}`, headerOf(request, peerHeader) ?? "");
        opened.push("refused" in seal ? seal.refused : JSON.stringify(seal.claim));
        if ("refused" in seal) {
          const clock = seal.clock === undefined ? {} : { [peerHeader]: seal.clock };
          const status = seal.refused === "stale" ? 401 : 403;
          connection.write(answered(status, { [peerRefusedHeader]: seal.refused, ...clock }));
        } else if (instead === undefined) connection.write(answered(200, { [loadHeader]: "1 0 0 - -" }));
        else instead(connection, opened.length);
      }
    }),
  );
  const peerClock = { aheadMs: 0 };
  const client = createPeerClient({
    target: targetOfPeer(`http://127.0.0.1:${server.port}`),
    seals: sealsOf("gold-1"),
    clock: systemClock,
    peerClock,
    maxConnections: 8,
  });
  ends({ stop: client.close });
  return { client, server, peerClock, requests, opened };
}

const request = (more: Partial<PeerRequest> = {}): PeerRequest => ({
  method: "POST",
  path,
  headers: [["content-type", "application/json"]],
  body: [Buffer.from('{"n":'), Buffer.from("1}")],
  forwarding: { claim, deadline: systemClock.now() + 1000 },
  ...more,
});

const statusOf = async (client: PeerClient, more: Partial<PeerRequest> = {}): Promise<number> => {
  const response = await client.request(request(more)).response;
  await textOf(response.body);
  return response.status;
};

describe("a request to a peer", () => {
  test("shows it the claim under seal, the time that is left, and everything else as it was", async () => {
    const { client, requests, opened } = peer();
    expect(await statusOf(client)).toBe(200);
    expect(opened.map((text): unknown => JSON.parse(text))).toEqual([claim]);
    const [shown] = requests;
    if (shown === undefined) throw new Error("nothing came");
    expect([shown.line, shown.body.toString()]).toEqual([`POST ${path} HTTP/1.1`, '{"n":1}']);
    const leftMs = Number(headerOf(shown, "x-tierline-deadline-ms"));
    expect(leftMs).toBeGreaterThan(800);
    expect(leftMs).toBeLessThanOrEqual(990);
    expect(shown.head.match(new RegExp(`^${peerHeader}:`, "gim"))).toHaveLength(1);
  });

  test("is sealed anew each time, so that the same again is no replay", async () => {
    const { client, opened } = peer();
    for (let turn = 0; turn < 3; turn += 1) expect(await statusOf(client)).toBe(200);
    expect(new Set(opened)).toEqual(new Set([JSON.stringify(claim)]));
  });

  test("that says nothing of its forwarding is a bug, and is not sent", () => {
    const { client, requests } = peer();
    expect(() => client.request(request({ forwarding: undefined }))).toThrow(TypeError);
    expect(requests).toEqual([]);
  });

  for (const offMs of [hourMs, -hourMs]) {
    for (const fresh of [false, true]) {
      test(`to a clock ${offMs} ms off (fresh: ${fresh}) is sent once more by that clock, and the next ones by it at once`, async () => {
        const { client, requests, opened, peerClock } = peer({ offMs });
        expect(await statusOf(client, { fresh })).toBe(200);
        expect(opened).toEqual(["stale", JSON.stringify(claim)]);
        expect(requests.map(({ body }) => body.toString())).toEqual(['{"n":1}', '{"n":1}']);
        expect(Math.abs(peerClock.aheadMs - offMs)).toBeLessThan(1000);
        expect(await statusOf(client, { fresh })).toBe(200);
        expect(opened).toHaveLength(3);
      });
    }
  }

  test("is not sent again to who has another key, whatever it says of its clock", async () => {
    for (const offMs of [0, hourMs]) {
      const { client, opened, peerClock } = peer({ offMs, key: "another-secret!!" });
      expect(await statusOf(client)).toBe(403);
      expect([opened, peerClock.aheadMs]).toEqual([["wrong-key"], 0]);
    }
  });

  for (const [what, clock] of [
    ["without a clock", undefined],
    ["with a clock that nobody of the fleet sealed", "v=1;fleet=fleet;from=gold-2;at=1;nonce=0;hmac=0"],
  ] as const) {
    test(`that is answered 401 ${what} is not sent again: it is for another reason`, async () => {
      const headers = clock === undefined ? {} : { [peerHeader]: clock };
      const { client, opened, peerClock } = peer({
        instead: (connection) => connection.write(answered(401, headers)),
      });
      expect(await statusOf(client)).toBe(401);
      expect([opened.length, peerClock.aheadMs]).toEqual([1, 0]);
    });
  }

  test("is sent twice at most, to a clock that never stands still", async () => {
    const offs = [hourMs, 2 * hourMs, 3 * hourMs].map((offMs) => sealsOf("gold-2", offMs));
    let count = 0;
    const server = ends(
      startRawServer(async (connection) => {
        for (let asked = await connection.request(); asked; asked = await connection.request()) {
          const seal = offs[count]?.open(`POST ${path}`, headerOf(asked, peerHeader) ?? "");
          count += 1;
          const clock = seal !== undefined && "refused" in seal ? (seal.clock ?? "") : "";
          connection.write(answered(401, { [peerHeader]: clock, [peerRefusedHeader]: "stale" }));
        }
      }),
    );
    const client = createPeerClient({
      target: targetOfPeer(`http://127.0.0.1:${server.port}`),
      seals: sealsOf("gold-1"),
      clock: systemClock,
      peerClock: { aheadMs: 0 },
      maxConnections: 8,
    });
    ends({ stop: client.close });
    expect(await statusOf(client)).toBe(401);
    expect(count).toBe(2);
  });

  test("on a kept connection that has closed meanwhile fails as on any, and goes through on a fresh one", async () => {
    const { client, opened } = peer({
      instead(connection, count) {
        if (count === 2) connection.reset();
        else connection.write(answered(200, {}));
      },
    });
    expect(await statusOf(client)).toBe(200);
    const failure = await failureOf(client.request(request()).response);
    expect(failure).toMatchObject({ reused: true, heard: false });
    expect(await statusOf(client, { fresh: true })).toBe(200);
    expect(opened).toEqual(Array(3).fill(JSON.stringify(claim)));
  });

  test("brings the answer byte for byte while it comes", async () => {
    const { client } = peer({
      instead: (connection) =>
        void connection.writePieces([
          "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
          "9\r\ndata: 1\n\n\r\n",
          "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",
        ]),
    });
    const { body, status } = await client.request(request()).response;
    expect([status, await textOf(body)]).toEqual([200, "data: 1\n\ndata: [DONE]\n\n"]);
  });
});

describe("a request to a peer that is cancelled", () => {
  const cancelled = { code: "cancelled" };

  test("at once, while it waits, and after its end, tells who waits for it, and leaves nothing open", async () => {
    const { client, server } = peer({ instead: () => undefined });
    const first = client.request(request());
    first.cancel();
    expect(await failureOf(first.response)).toMatchObject(cancelled);
    const second = client.request(request());
    await until(() => server.connections.some(({ received }) => received.length > 0));
    second.cancel();
    second.cancel();
    expect(await failureOf(second.response)).toMatchObject(cancelled);
    await until(() => server.openCount() === 0);
  });

  test("in the very moment of a stale stamp is not sent again", async () => {
    const { client, opened } = peer({ offMs: hourMs });
    const exchange = client.request(request({ heard: () => queueMicrotask(() => exchange.cancel()) }));
    expect(await failureOf(exchange.response)).toMatchObject(cancelled);
    expect(await statusOf(client)).toBe(200);
    expect(opened).toEqual(["stale", JSON.stringify(claim)]);
    expect(client.stats()).toMatchObject({ open: 1, idle: 1, waiting: 0 });
  });

  test("while it is on its way for the second time, breaks that one off", async () => {
    const { client, opened, server } = peer({ offMs: hourMs, instead: () => undefined });
    const exchange = client.request(request());
    await until(() => opened.length === 2);
    exchange.cancel();
    expect(await failureOf(exchange.response)).toMatchObject(cancelled);
    await until(() => server.openCount() === 0);
  });

  test("in the midst of its answer, has the body say so", async () => {
    const { client } = peer({
      instead: (connection) => connection.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"),
    });
    const exchange = client.request(request());
    const { body } = await exchange.response;
    exchange.cancel();
    expect(await failureOf(textOf(body))).toMatchObject(cancelled);
  });
});

test("the address of a peer is read as its advert has it", () => {
  expect(targetOfPeer("http://10.0.0.7:8010")).toEqual({ host: "10.0.0.7", port: 8010 });
  expect(targetOfPeer("https://gold-2.games:443")).toEqual({ host: "gold-2.games", port: 443, tls: {} });
  expect(targetOfPeer("http://[fd00::7]:80")).toEqual({ host: "fd00::7", port: 80 });
  expect(() => targetOfPeer("")).toThrow(TypeError);
});
