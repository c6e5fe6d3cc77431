// What a hostile client can do to the WebSocket of intents on the compiled binary: broken frames close it, floods hold no
// memory, and whoever else is there goes on being answered.

import { expect, test } from "bun:test";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { decodeHeader, encodeAsk } from "../support/frame-client.ts";
import { archetypesOf, guardToml, openStream } from "../support/intent-client.ts";
import type { RawClient } from "../support/raw-client.ts";
import { rawClient } from "../support/raw-client.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

async function house() {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  const config = `${engineToml("gold", gold.url)}[intents]\nttl_ms = 60000\n${guardToml}`;
  const router = ends(await startTierline({ config }));
  const { epoch } = await archetypesOf(router.url);
  return { router, epoch, url: router.url };
}

const handshake = (...more: readonly string[]): string =>
  [
    "GET /v1/npc/stream HTTP/1.1",
    "host: a",
    "connection: Upgrade",
    "upgrade: websocket",
    "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ...more,
    "",
    "",
  ].join("\r\n");

interface Frame {
  readonly fin?: boolean;
  /** The three reserved bits. */
  readonly reserved?: number;
  readonly masked?: boolean;
  /** What it says of its length, in eight bytes. */
  readonly says?: bigint;
}

const codes = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** As latin1. */
function frame(
  code: number,
  payload: Uint8Array,
  { fin = true, reserved = 0, masked = true, says }: Frame = {},
): string {
  const first = (fin ? 0x80 : 0) | (reserved << 4) | code;
  const mark = masked ? 0x80 : 0;
  const length = payload.length;
  const head = Buffer.alloc(says !== undefined || length > 65_535 ? 10 : length > 125 ? 4 : 2);
  head[0] = first;
  if (head.length === 10) {
    head[1] = mark | 127;
    head.writeBigUInt64BE(says ?? BigInt(length), 2);
  } else if (head.length === 4) {
    head[1] = mark | 126;
    head.writeUInt16BE(length, 2);
  } else head[1] = mark | length;
  // A mask of zeros leaves it as it is.
  return Buffer.concat([head, Buffer.alloc(masked ? 4 : 0), payload]).toString("latin1");
}

const empty = Buffer.alloc(0);

async function opened(url: string, ...more: readonly string[]): Promise<RawClient> {
  const client = ends(await rawClient(url));
  client.write(handshake(...more));
  await until("it is a socket", () => client.rest().includes("\r\n\r\n"));
  expect(client.rest()).toStartWith("HTTP/1.1 101 ");
  return client;
}

/** The code of the frame with which it was closed; 0 where it was closed without one; undefined where it is open. */
async function closeOf(client: RawClient): Promise<number | undefined> {
  await until("it is closed", () => client.closed, 3000).catch(() => undefined);
  if (!client.closed) return undefined;
  const bytes = Buffer.from(client.rest(), "latin1");
  const at = bytes.lastIndexOf(0x88);
  return at < 0 || at + 4 > bytes.length ? 0 : bytes.readUInt16BE(at + 2);
}

test("frames that break the protocol close their socket, and no other one", async () => {
  const { url, router, epoch } = await house();
  const other = ends(await openStream(`${url.replace("http", "ws")}/v1/npc/stream`));
  const ask = encodeAsk(1, epoch, [{ archetype: 0, situation: 0, npc: 1 }]);
  const reason = (code: number, ...text: number[]): Uint8Array =>
    Buffer.from([code >> 8, code & 255, ...text]);
  const broken: Readonly<Record<string, string>> = {
    "no mask": frame(codes.binary, ask, { masked: false }),
    "a first reserved bit, as for a compressed one": frame(codes.binary, ask, { reserved: 4 }),
    "a second reserved bit": frame(codes.binary, ask, { reserved: 2 }),
    "a third reserved bit": frame(codes.binary, ask, { reserved: 1 }),
    "an opcode for data that is not given out": frame(3, ask),
    "an opcode for control that is not given out": frame(11, empty),
    "a ping in two parts": frame(codes.ping, empty, { fin: false }),
    "a ping that is too long": frame(codes.ping, Buffer.alloc(126)),
    "a length of 2^63": frame(codes.binary, ask, { says: 2n ** 63n }),
    "a length of 2^62": frame(codes.binary, ask, { says: 2n ** 62n }),
    "a length of 4 GB": frame(codes.binary, ask, { says: 2n ** 32n }),
    "a message that is too long": frame(codes.binary, Buffer.alloc(70_000)),
    "parts that are too long together": `${frame(codes.binary, Buffer.alloc(40_000), { fin: false })}${frame(codes.more, Buffer.alloc(40_000))}`,
    "a part of nothing": frame(codes.more, ask),
    "a message inside another": `${frame(codes.binary, ask.subarray(0, 5), { fin: false })}${frame(codes.binary, ask)}`,
    "a text": frame(codes.text, Buffer.from("hello")),
    "a text that is no UTF-8": frame(codes.text, Buffer.from([0xff, 0xfe])),
    "a frame of intents that is none": frame(codes.binary, Buffer.alloc(15)),
    "half a close code": frame(codes.close, Buffer.from([3])),
    "a close code that nobody may send": frame(codes.close, reason(1005)),
    "a close code out of range": frame(codes.close, reason(65_535)),
    "a reason that is no UTF-8": frame(codes.close, reason(1000, 0xff, 0xff)),
    HTTP: "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n",
  };
  const open: string[] = [];
  for (const [title, bytes] of Object.entries(broken)) {
    const client = await opened(url);
    client.write(bytes);
    if ((await closeOf(client)) === undefined) open.push(title);
    other.send(ask);
    expect(decodeHeader(await other.next())).toMatchObject({ type: 2, requestId: 1 });
  }
  expect(open).toEqual([]);
  expect(router.log.filter(({ level }) => Number(level) >= 50)).toEqual([]);
}, 60_000);

test("an ask in many parts, or behind its handshake at once, is answered; compression is not taken on", async () => {
  const { url, epoch } = await house();
  const ask = encodeAsk(7, epoch, [{ archetype: 0, situation: 0, npc: 1 }]);
  const answered = (client: RawClient): Promise<void> =>
    until("it is answered", () => client.rest().includes("TLN1\x02"));
  const client = await opened(url, "sec-websocket-extensions: permessage-deflate; client_max_window_bits");
  expect(client.rest().toLowerCase()).not.toContain("sec-websocket-extensions");
  const parts = Array.from(ask, (byte, index) =>
    frame(index === 0 ? codes.binary : codes.more, Buffer.of(byte), { fin: index === ask.length - 1 }),
  );
  // Control frames may stand between the parts, and parts may be empty.
  client.write(parts.join(frame(codes.ping, empty) + frame(codes.more, empty, { fin: false })));
  await answered(client);

  const early = ends(await rawClient(url));
  early.write(handshake() + frame(codes.binary, ask));
  await answered(early);
});

test("a flood of pings or of empty parts, whose answers nobody reads, holds no memory", async () => {
  const { url, router } = await house();
  const memory = () => router.metric("process_resident_memory_bytes");
  const before = await memory();
  const pings = frame(codes.ping, Buffer.alloc(125)).repeat(10_000);
  const parts =
    frame(codes.binary, empty, { fin: false }) + frame(codes.more, empty, { fin: false }).repeat(100_000);
  for (const flood of [pings, parts]) {
    const clients = await Promise.all(Array.from({ length: 8 }, () => opened(url)));
    for (const client of clients) client.pause();
    for (let round = 0; round < 20; round += 1) {
      for (const client of clients) client.write(flood);
      await Bun.sleep(20);
    }
    expect((await memory()) - before).toBeLessThan(150e6);
    for (const client of clients) client.stop();
  }
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
}, 30_000);

test("a page of another origin does not get in by writing its origin otherwise", async () => {
  const { url } = await house();
  for (const origins of [
    ["null"],
    ["http://localhost:3000.evil.example"],
    ["http://localhost:3000@evil.example"],
    ["http://localhost:30001"],
    ["https://localhost:3000"],
    ["http://evil.example", "http://localhost:3000"],
    ["http://localhost:3000, http://evil.example"],
    [""],
    ["http://localhost:3000/"],
    ["HTTP://LOCALHOST:3000 "],
  ]) {
    const client = ends(await rawClient(url));
    client.write(handshake(...origins.map((origin) => `origin: ${origin}`)));
    const answer = await client.answer(3000);
    expect([origins, typeof answer === "object" && answer.status]).toEqual([origins, 403]);
  }
});

test("the socket one too many is told so, and there is room again when one has left", async () => {
  const { url } = await house();
  const most = 4096;
  const clients: RawClient[] = [];
  while (clients.length < most)
    clients.push(...(await Promise.all(Array.from({ length: 128 }, () => opened(url)))));
  const knock = async () => {
    const client = ends(await rawClient(url));
    client.write(handshake());
    const answer = await client.answer(3000);
    client.stop();
    return answer;
  };
  expect(await knock()).toMatchObject({ status: 503, body: expect.stringContaining("too_many_sockets") });
  clients[0]?.stop();
  await until("there is room", async () => {
    const client = await rawClient(url);
    client.write(handshake());
    await until("it is answered", () => client.rest().includes("\r\n\r\n"));
    client.stop();
    return client.rest().startsWith("HTTP/1.1 101 ");
  });
}, 30_000);
