import { describe, expect, test } from "bun:test";
import { gossipBounds, sealHeader } from "../../src/host/gossip-wire.ts";
import { cleanup } from "../support/cleanup.ts";
import { openGossipHost } from "../support/gossip-host.ts";
import { until } from "../wire/reading.ts";

const started = cleanup();

describe("the gossip listener", () => {
  const elsewhere: readonly [method: string, path: string][] = [
    ["GET", "/gossip"],
    ["PUT", "/gossip"],
    ["HEAD", "/gossip"],
    ["POST", "/"],
    ["POST", "/gossip/"],
    ["POST", "/gossip/x"],
    ["GET", "/metrics"],
    ["GET", "/health"],
    ["POST", "/v1/chat/completions"],
  ];
  for (const [method, path] of elsewhere) {
    test(`has nothing at ${method} ${path}, and says so in no words`, async () => {
      const { url, handled } = started(openGossipHost());
      const response = await fetch(url + path, { method });
      expect([response.status, await response.text()]).toEqual([404, ""]);
      expect(handled).toEqual([]);
    });
  }

  const strangers: readonly [string, status: number, why: string, RequestInit][] = [
    ["without a seal", 403, "malformed", { body: "{}" }],
    ["without anything", 403, "malformed", {}],
    [
      "with a seal of its own making",
      403,
      "malformed",
      { body: "{}", headers: { [sealHeader]: "let me in" } },
    ],
    ["with too long a body", 413, "oversize", { body: "a".repeat(gossipBounds.bodyBytes + 1) }],
    ["with too long a body in chunks", 413, "oversize", { body: new Blob(["a".repeat(100_000)]).stream() }],
  ];
  for (const [title, status, why, init] of strangers) {
    test(`turns away a stranger ${title} with ${status} and an empty body, counted as ${why}`, async () => {
      const { url, refused } = started(openGossipHost());
      const response = await fetch(`${url}/gossip`, { method: "POST", ...init });
      expect([response.status, await response.text()]).toEqual([status, ""]);
      expect(response.headers.get(sealHeader)).toBeNull();
      expect(refused).toEqual([why]);
    });
  }

  test("answers its peers while strangers hold more connections open than it reads from", async () => {
    const here = started(openGossipHost({ name: "gold-1" }));
    const peer = started(openGossipHost({ name: "gold-2" }));
    let turnedAway = 0;
    const strangers = await Promise.all(
      Array.from({ length: 300 }, () =>
        Bun.connect({
          hostname: "127.0.0.1",
          port: here.port,
          socket: {
            open: (socket) =>
              void socket.write("POST /gossip HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"),
            data(_, bytes) {
              if (bytes.toString().startsWith("HTTP/1.1 503")) turnedAway += 1;
            },
          },
        }),
      ),
    );
    started({ stop: () => strangers.map((stranger) => stranger.terminate()) });
    await until(() => turnedAway === 300 - 128);
    for (let each = 0; each < 20; each += 1) {
      const sent = await peer.transport.send(here.address, each, { timeoutMs: 5_000, fresh: true });
      expect(sent).toEqual({ reply: { echo: each } });
    }
    // One more had to make room, for all of them in turn; the others are still being waited for.
    expect(turnedAway).toBe(300 - 128 + 1);
  });

  test("answers so many at a time and turns away who comes on top", async () => {
    const letGo = Promise.withResolvers<unknown>();
    const here = started(openGossipHost({ name: "gold-1", handle: () => letGo.promise }));
    const peers = Array.from({ length: 20 }, (_, each) =>
      started(openGossipHost({ name: `gold-${each + 2}` })),
    );
    const patient = { timeoutMs: 5_000, fresh: false };
    const sends = peers.flatMap(({ transport }) =>
      [1, 2, 3, 4].map((each) => transport.send(here.address, each, patient)),
    );
    let failed = 0;
    for (const send of sends) {
      void send.then((sent) => {
        if ("failed" in sent) failed += 1;
      });
    }
    await until(() => failed === 80 - 64);
    expect(here.handled).toHaveLength(64);
    letGo.resolve({});
    const outcomes = await Promise.all(sends);
    expect(outcomes.filter((sent) => "reply" in sent)).toHaveLength(64);
    expect(await peers[0]?.transport.send(here.address, 5, patient)).toEqual({ reply: {} });
  });
});
