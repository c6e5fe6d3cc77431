// A draining host: its peers answer for it as long as its listener is open, and the drain waits for them.

import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import { connect } from "node:net";
import { cleanup } from "../support/cleanup.ts";
import { openForwarding } from "../support/forwarding.ts";

const ends = cleanup();
const open = (options: Parameters<typeof openForwarding>[0] = {}) => ends(openForwarding(options));
const body = { model: "gold", messages: [] };
const because = (response: Response) => response.headers.get("x-tierline-because");

describe("a draining host", () => {
  test("sends a new request to a peer, though its own engine is idle, and says why", async () => {
    const host = open();
    host.addPeer();
    host.door.lifecycle.enter("draining");
    const response = await host.post(body);
    expect([response.status, because(response)]).toEqual([200, "draining"]);
    expect(response.headers.get("x-tierline-endpoint")).toBe("silver-1/vllm");
    expect(await response.text()).toBe('{"id":"peer"}');
    expect(host.engine.requests).toHaveLength(0);
  });

  test("refuses it with 503, draining, where nobody else is in the fleet", async () => {
    const host = open();
    host.door.lifecycle.enter("draining");
    const response = await host.post(body);
    expect([response.status, because(response)]).toEqual([503, "draining"]);
    expect(await response.json()).toMatchObject({ error: { code: "draining" } });
    expect(response.headers.get("x-should-retry")).toBe("true");
    expect(host.engine.requests).toHaveLength(0);
  });

  test("does not even read what it could give to nobody", async () => {
    const host = open();
    host.door.lifecycle.enter("draining");
    expect((await host.post("{")).status).toBe(503);
    host.addPeer();
    expect((await host.post("{")).status).toBe(400);
  });

  test("refuses it with 503, draining, where no peer can take it", async () => {
    const host = open();
    host.addPeer();
    host.door.lifecycle.enter("draining");
    const response = await host.post({ ...body, model: "n" });
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { code: "draining" } });
    expect(Number(response.headers.get("retry-after-ms"))).toBeGreaterThan(0);
  });

  test("keeps nothing that it is asked: brought back, it answers by itself again", async () => {
    const host = open();
    host.addPeer();
    host.door.lifecycle.enter("draining");
    await host.post(body);
    host.door.lifecycle.enter("ready");
    expect(because(await host.post(body))).toBe("local-first");
  });

  test("is not drained before what it has sent to a peer is answered", async () => {
    const host = open();
    host.addPeer();
    host.door.lifecycle.enter("draining");
    host.peerWire.script = () => ({ chunks: [[30, "{}"]] });
    const asked = host.post(body);
    while (host.peerWire.open() === 0) await Bun.sleep(1);
    expect(host.door.lifecycle.active).toBe(1);
    let isIdle = false;
    const idle = host.door.lifecycle.idle().then(() => {
      isIdle = true;
    });
    await Bun.sleep(5);
    expect(isIdle).toBe(false);
    await asked;
    await idle;
    expect(host.door.lifecycle.active).toBe(0);
  });

  test("lets a kept-alive connection go after its next answer, once the process ends", async () => {
    const host = open();
    host.addPeer();
    const { hostname, port } = new URL(host.url);
    const socket = connect(Number(port), hostname);
    const ended = once(socket, "end");
    let received = "";
    socket.setEncoding("utf8").on("data", (text: string) => {
      received += text;
    });
    const text = JSON.stringify(body);
    const ask = async (): Promise<string> => {
      received = "";
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
      );
      while (!received.includes("}")) await Bun.sleep(1);
      return received.toLowerCase();
    };
    expect(await ask()).not.toContain("connection: close");
    host.door.lifecycle.end();
    const answer = await ask();
    expect(answer).toStartWith("http/1.1 200");
    expect(answer).toContain("connection: close");
    await ended;
  });

  test("sends nobody on any more once it has cut what was left", async () => {
    const host = open();
    host.addPeer();
    host.door.lifecycle.end();
    expect(host.door.lifecycle.cutAll()).toBe(0);
    const response = await host.post(body);
    expect([response.status, because(response)]).toEqual([503, "draining"]);
    expect(host.peerWire.requests).toHaveLength(0);
  });

  test("says so with a refusal as well", async () => {
    const host = open();
    host.door.lifecycle.end();
    const response = await host.post(body);
    expect([response.status, response.headers.get("connection")]).toEqual([503, "close"]);
  });
});

test("a starting host takes nothing, whoever else is in the fleet", async () => {
  const host = open();
  host.addPeer();
  host.door.lifecycle.enter("starting");
  const response = await host.post(body);
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({ error: { code: "starting" } });
});
