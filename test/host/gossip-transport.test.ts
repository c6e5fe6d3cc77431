import { describe, expect, test } from "bun:test";
import type { SendFailure } from "../../src/host/gossip-transport.ts";
import { failureText } from "../../src/host/gossip-transport.ts";
import { gossipBounds, sealHeader } from "../../src/host/gossip-wire.ts";
import { startBlackHole } from "../support/black-hole.ts";
import { cleanup } from "../support/cleanup.ts";
import type { GossipHost } from "../support/gossip-host.ts";
import { clockOffBy, openGossipHost } from "../support/gossip-host.ts";
import type { RawConnection } from "../support/raw-server.ts";
import { startRawServer } from "../support/raw-server.ts";
import { until } from "../wire/reading.ts";

const started = cleanup();
const host = (options: Parameters<typeof openGossipHost>[0] = {}): GossipHost =>
  started(openGossipHost(options));

const patient = { timeoutMs: 5_000, fresh: false };
const hasty = { timeoutMs: 100, fresh: false };

/** A peer that does with each request what a router would not. */
function badPeer(script: (connection: RawConnection) => void | Promise<void>): string {
  const server = started(startRawServer(script));
  return `127.0.0.1:${server.port}`;
}

const answering =
  (answer: string) =>
  async (connection: RawConnection): Promise<void> => {
    while (await connection.request()) connection.write(answer);
  };

const ok = (body: string, headers = ""): string =>
  `HTTP/1.1 200 OK\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`;

describe("two gossip transports", () => {
  test("exchange 1,000 messages both ways over a few connections, and none is lost or answered for another", async () => {
    const [one, two] = [host({ name: "gold-1" }), host({ name: "gold-2" })];
    const lane = async (from: GossipHost, to: GossipHost, lane: number): Promise<void> => {
      for (let each = 0; each < 125; each += 1) {
        const message = { lane, each, text: "ä".repeat(each) };
        const sent = await from.transport.send(to.address, message, patient);
        expect(sent).toEqual({ reply: { echo: message } });
      }
    };
    await Promise.all([0, 1, 2, 3].flatMap((each) => [lane(one, two, each), lane(two, one, each)]));
    for (const { handled, refused, transport } of [one, two]) {
      expect([handled.length, refused]).toEqual([500, []]);
      expect(transport.counts().exchanges).toBe(0);
      expect(transport.counts().connections).toBeLessThanOrEqual(4);
    }
  });

  test("keep a connection, and make a new one when asked to", async () => {
    let sockets = 0;
    const address = badPeer(async (connection) => {
      sockets += 1;
      await answering(ok("{}"))(connection);
    });
    const { transport } = host();
    await transport.send(address, {}, patient);
    await transport.send(address, {}, patient);
    expect(sockets).toBe(1);
    await transport.send(address, {}, { ...patient, fresh: true });
    expect(sockets).toBe(2);
  });

  test("understand each other at once, although both just began, and again after one has begun anew", async () => {
    const one = host({ name: "gold-1" });
    const two = openGossipHost({ name: "gold-2" });
    expect(await one.transport.send(two.address, 1, patient)).toEqual({ reply: { echo: 1 } });
    await two.stop();
    const again = host({ name: "gold-2", port: two.port });
    // The connection that was kept is dead, which the transport does not hold against the peer.
    expect(await one.transport.send(again.address, 2, patient)).toEqual({ reply: { echo: 2 } });
    expect([...one.refused, ...again.refused]).toEqual([]);
  });

  test("of which one's clock is off by an hour need one refusal for it, each way, and none from then on", async () => {
    for (const offMs of [3_600_000, -3_600_000]) {
      const [right, wrong] = [host({ name: "gold-1" }), host({ name: "gold-2", clock: clockOffBy(offMs) })];
      for (let each = 0; each < 3; each += 1) {
        expect(await right.transport.send(wrong.address, each, patient)).toHaveProperty("reply");
        expect(await wrong.transport.send(right.address, each, patient)).toHaveProperty("reply");
      }
      expect([right.refused, wrong.refused]).toEqual([["stale"], ["stale"]]);
    }
  });

  test("of two fleets, or with two keys, never understand each other", async () => {
    const ours = host();
    const staging = host({ fleet: "staging" });
    const stranger = host({ keys: ["another-secret!!"] });
    for (const other of [staging, stranger]) {
      expect(await ours.transport.send(other.address, 1, patient)).toEqual({ failed: "rejected" });
      expect(await other.transport.send(ours.address, 1, patient)).toEqual({ failed: "rejected" });
      expect(other.handled).toEqual([]);
    }
    expect(ours.handled).toEqual([]);
    expect(ours.refused).toEqual(["wrong-fleet", "wrong-key"]);
  });
});

describe("a peer that does not behave", () => {
  const tooLong = "a".repeat(gossipBounds.bodyBytes + 1);
  const forged = `${sealHeader}: v=1;fleet=fleet;from=gold-2;at=1767225600000;nonce=${"0".repeat(32)};hmac=${"0".repeat(64)}\r\n`;
  const peers: readonly [string, (connection: RawConnection) => void | Promise<void>, SendFailure][] = [
    ["hangs after accepting", () => {}, "late"],
    ["hangs within its header section", (peer) => peer.write("HTTP/1.1 200 OK\r\n"), "late"],
    [
      "hangs within its answer",
      (peer) => peer.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"),
      "late",
    ],
    ["resets", (peer) => peer.reset(), "reset"],
    ["says goodbye at once", (peer) => peer.end(), "closed"],
    [
      "cuts its answer",
      async (peer) => {
        await peer.request();
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
        peer.end();
      },
      "truncated",
    ],
    ["answers garbage", answering("\0\x01\x02 what?\r\n\r\n"), "malformed"],
    ["sends headers for ever", answering(`HTTP/1.1 200 OK\r\n${"a: b\r\n".repeat(2000)}`), "too-large"],
    ["answers too long", answering(ok(tooLong)), "oversize"],
    ["never comes to an end", answering(`HTTP/1.1 200 OK\r\n\r\n${tooLong}`), "oversize"],
    ["answers without a seal", answering(ok("{}")), "malformed"],
    ["answers with a forged seal", answering(ok("{}", forged)), "wrong-key"],
    ["tells the time without a seal", answering("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n"), "malformed"],
    ["tells a forged time", answering(`HTTP/1.1 401 No\r\n${forged}content-length: 0\r\n\r\n`), "wrong-key"],
    ["is some other server", answering("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n"), "no-answer"],
    [
      "points elsewhere",
      answering("HTTP/1.1 307 There\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
      "no-answer",
    ],
    ["is broken", answering("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"), "no-answer"],
  ];

  for (const [title, script, failed] of peers) {
    test(`because it ${title} fails as ${failed}`, async () => {
      const { transport } = host();
      const began = performance.now();
      expect(await transport.send(badPeer(script), {}, failed === "late" ? hasty : patient)).toEqual({
        failed,
      });
      expect(performance.now() - began).toBeLessThan(failed === "late" ? 1_000 : 4_000);
      expect(transport.counts().exchanges).toBe(0);
    });
  }

  test("because it tells one time and then another is asked twice and no more", async () => {
    const clocks = [3_600_000, -3_600_000].map((offMs) => host({ name: "gold-2", clock: clockOffBy(offMs) }));
    let asks = 0;
    const address = badPeer(async (connection) => {
      for (let ask = await connection.request(); ask !== undefined; ask = await connection.request()) {
        const seal = new RegExp(`${sealHeader}: (.*)\r`).exec(ask.head)?.[1] ?? "";
        const headers = { [sealHeader]: seal };
        const url = `${clocks[asks]?.url}/gossip`;
        asks += 1;
        const told = (await fetch(url, { method: "POST", headers, body: ask.body })).headers.get(sealHeader);
        connection.write(`HTTP/1.1 401 No\r\n${sealHeader}: ${told}\r\ncontent-length: 0\r\n\r\n`);
      }
    });
    expect(await host().transport.send(address, {}, patient)).toEqual({ failed: "stale" });
    expect(asks).toBe(2);
  });

  test("leaves the others alone: they are answered while it hangs, resets and floods", async () => {
    const { transport } = host({ name: "gold-1" });
    const good = host({ name: "gold-2" });
    const hanging = badPeer(() => {});
    const resetting = badPeer((peer) => peer.reset());
    const endless = "x".repeat(512 * 1024);
    const flooding = badPeer(async (peer) => {
      await peer.request();
      peer.write("HTTP/1.1 200 OK\r\n\r\n");
      for (let each = 0; each < 4; each += 1) peer.write(endless);
    });
    const bad: Promise<unknown>[] = [];
    for (let each = 0; each < 8; each += 1) {
      for (const address of [hanging, resetting, flooding])
        bad.push(transport.send(address, {}, { timeoutMs: 200, fresh: false }));
      expect(await transport.send(good.address, each, patient)).toEqual({ reply: { echo: each } });
      expect(transport.counts().connections).toBeLessThanOrEqual(4 * 4);
    }
    for (const outcome of await Promise.all(bad)) expect(outcome).toHaveProperty("failed");
    await until(() => transport.counts().connections <= 1);
    expect(transport.counts()).toMatchObject({ exchanges: 0, peers: 4 });
  });

  test("because no connection comes about costs its own time, not that of others", async () => {
    const hole = started(await startBlackHole());
    const { transport } = host();
    const good = host({ name: "gold-2" });
    const lost = [1, 2, 3].map(() => transport.send(`127.0.0.1:${hole.port}`, {}, hasty));
    expect(await transport.send(good.address, 1, patient)).toEqual({ reply: { echo: 1 } });
    expect(await Promise.all(lost)).toEqual([{ failed: "late" }, { failed: "late" }, { failed: "late" }]);
  });
});

describe("the bounds of a gossip transport", () => {
  test("are so many exchanges at a time, whoever with", async () => {
    const { transport } = host();
    const hanging = badPeer(() => {});
    const other = badPeer(() => {});
    const sends = Array.from({ length: 80 }, (_, each) =>
      transport.send(each % 2 === 0 ? hanging : other, {}, hasty),
    );
    expect(transport.counts().exchanges).toBe(64);
    const outcomes = (await Promise.all(sends)).map((sent) => ("failed" in sent ? sent.failed : "reply"));
    expect(outcomes.filter((outcome) => outcome === "busy")).toHaveLength(16);
    // Four connections each; who finds them in use is told so at once.
    expect(outcomes.filter((outcome) => outcome === "late")).toHaveLength(8);
    expect(outcomes.filter((outcome) => outcome === "too-many-connections")).toHaveLength(56);
  });

  test("are so many peers, the longest unused of which are forgotten", async () => {
    const { transport } = host();
    const good = host({ name: "gold-2" });
    await transport.send(good.address, 1, patient);
    // Nobody listens on these ports of ours; whoever it was, it is gone.
    for (let each = 0; each < 1100; each += 1) {
      await transport.send(`127.1.${each >> 8}.${each & 255}:1`, {}, patient);
    }
    expect(transport.counts()).toEqual({ peers: 1024, exchanges: 0, connections: 0 });
    expect(await transport.send(good.address, 2, patient)).toEqual({ reply: { echo: 2 } });
  });

  test("are so many bytes: a longer message is not sent", async () => {
    const { transport } = host();
    const { address, handled } = host({ name: "gold-2" });
    expect(await transport.send(address, "a".repeat(gossipBounds.bodyBytes), patient)).toEqual({
      failed: "oversize",
    });
    expect(
      await transport.send(address, "a".repeat(gossipBounds.bodyBytes - 2 - 11), patient),
    ).toHaveProperty("reply");
    expect(handled).toHaveLength(1);
  });

  test("close what is idle, what is forgotten and, in the end, everything", async () => {
    const { transport } = host();
    const [two, three] = [host({ name: "gold-2" }), host({ name: "gold-3" })];
    await transport.send(two.address, 1, patient);
    await transport.send(three.address, 1, patient);
    expect(transport.counts()).toMatchObject({ peers: 2, connections: 2 });
    transport.forget(two.address);
    await until(() => transport.counts().connections === 1);
    const under = transport.send(
      badPeer(() => {}),
      {},
      patient,
    );
    transport.close();
    expect(await under).toEqual({ failed: "cancelled" });
    expect(transport.counts()).toEqual({ peers: 0, exchanges: 0, connections: 0 });
  });

  const addresses = [
    "",
    "gold-1",
    ":8012",
    "gold-1:0",
    "gold-1:65536",
    "gold-1:8012/x",
    "http://gold-1:8012",
    "a b:1",
    "[::1:8012",
    "gold-1:8012\r\n",
    "ä:1",
    `${"a".repeat(300)}:1`,
  ];
  test("hold for addresses as well: what is none is not dialled", async () => {
    const { transport } = host();
    for (const address of addresses) {
      expect(await transport.send(address, {}, hasty)).toEqual({ failed: "bad-address" });
    }
    expect(transport.counts().peers).toBe(0);
  });
});

test("a failure is told in words where its code alone would leave people guessing", () => {
  expect(failureText("refused")).toBe("connection refused");
  expect(failureText("late")).toBe("no answer in time");
  expect(failureText("wrong-key")).toBe("wrong-key");
});
