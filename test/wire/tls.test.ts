import { afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import type { WireTarget } from "../../src/wire/client.ts";
import { createWireClient } from "../../src/wire/client.ts";
import type { RawServer, Script } from "../support/raw-server.ts";
import { startRawServer } from "../support/raw-server.ts";
import { certificate, privateKey } from "../support/tls-identity.ts";
import { answerOf, ask, failureOf, until } from "./reading.ts";

const polite: Script = async (connection) => {
  while (await connection.request()) connection.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
};

const open: { close(): void }[] = [];

function serve(script: Script, overTls = true): RawServer {
  const server = startRawServer(script, overTls ? { cert: certificate, key: privateKey } : undefined);
  open.push({ close: () => server.stop() });
  return server;
}

function clientOf(server: RawServer, tls: NonNullable<WireTarget["tls"]>) {
  const client = createWireClient({ host: "127.0.0.1", port: server.port, tls }, systemClock, {
    connectMs: 1_000,
  });
  open.push(client);
  return client;
}

afterEach(() => {
  for (const each of open.splice(0).reverse()) each.close();
});

describe("a TLS target", () => {
  test("is asked under its server name, and its connection is kept", async () => {
    const server = serve(polite);
    const client = clientOf(server, { serverName: "engine.test", ca: certificate });
    expect((await answerOf(client)).text).toBe("ok");
    expect((await answerOf(client)).response.reused).toBe(true);
    expect(server.connections[0]?.received.toString()).toContain(`host: engine.test:${server.port}\r\n`);
  });

  test("is known by its address where no server name is given", async () => {
    const client = clientOf(serve(polite), { ca: certificate });
    expect((await answerOf(client)).text).toBe("ok");
  });

  test("gets a body of many records whole, and gives one", async () => {
    const server = serve(async (connection) => {
      const request = await connection.request();
      connection.write(`HTTP/1.1 200 OK\r\ncontent-length: ${request?.body.length ?? 0}\r\n\r\n`);
      connection.write(request?.body ?? "");
    });
    const client = clientOf(server, { ca: certificate });
    const body = Buffer.alloc(3_000_000, "tierline");
    const { text } = await answerOf(client, { method: "POST", body: [body] });
    expect(text === body.toString()).toBe(true);
  });

  const strangers: [string, NonNullable<WireTarget["tls"]>][] = [
    ["has a certificate that nobody vouches for", { serverName: "engine.test" }],
    ["has a certificate for another name", { serverName: "elsewhere.test", ca: certificate }],
  ];
  for (const [title, tls] of strangers) {
    test(`that ${title} is sent nothing`, async () => {
      const server = serve(polite);
      const client = clientOf(server, tls);
      expect(await failureOf(client.request(ask).response)).toMatchObject({ code: "tls", sent: false });
      expect(client.stats()).toEqual({ open: 0, idle: 0, pending: 0, waiting: 0 });
      await until(() => server.openCount() === 0);
      expect(server.connections.every(({ received }) => received.length === 0)).toBe(true);
    });
  }

  const noTls: [string, Script][] = [
    ["answers in plain text", (connection) => connection.write("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["closes in the handshake", (connection) => connection.end()],
    ["resets in the handshake", (connection) => connection.reset()],
  ];
  for (const [title, script] of noTls) {
    test(`that ${title} is a TLS failure`, async () => {
      const client = clientOf(serve(script, false), { ca: certificate });
      expect(await failureOf(client.request(ask).response)).toMatchObject({ code: "tls", sent: false });
      expect(client.stats()).toEqual({ open: 0, idle: 0, pending: 0, waiting: 0 });
    });
  }

  test("that never shakes hands is given up after connectMs, and its socket closed", async () => {
    const server = serve(() => {}, false);
    const target = { host: "127.0.0.1", port: server.port, tls: { ca: certificate } };
    const client = createWireClient(target, systemClock, { connectMs: 50 });
    open.push(client);
    expect(await failureOf(client.request(ask).response)).toMatchObject({ code: "unreachable", sent: false });
    await until(() => server.openCount() === 0);
    expect(client.stats()).toEqual({ open: 0, idle: 0, pending: 0, waiting: 0 });
  });

  test("may take longer for its answer than for the handshake", async () => {
    const server = serve(async (connection) => {
      await connection.request();
      await new Promise((resolve) => setTimeout(resolve, 300));
      connection.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
    const target = { host: "127.0.0.1", port: server.port, tls: { ca: certificate } };
    const client = createWireClient(target, systemClock, { connectMs: 200 });
    open.push(client);
    expect((await answerOf(client)).text).toBe("ok");
    expect(client.stats()).toEqual({ open: 1, idle: 1, pending: 0, waiting: 0 });
  });

  test("that cuts a body is truncated", async () => {
    const server = serve(async (connection) => {
      await connection.request();
      connection.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfour");
      connection.end();
    });
    const client = clientOf(server, { ca: certificate });
    expect((await failureOf(answerOf(client))).code).toBe("truncated");
  });

  test("that never says farewell does not keep an idle connection open", async () => {
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      allowHalfOpen: true,
      tls: { cert: certificate, key: privateKey },
      socket: { data: (socket) => void socket.write("HTTP/1.1 204 No Content\r\n\r\n") },
    });
    open.push({ close: () => listener.stop(true) });
    const target = { host: "127.0.0.1", port: listener.port, tls: { ca: certificate } };
    const client = createWireClient(target, systemClock, { idleMs: 20 });
    open.push(client);
    expect((await answerOf(client)).response.status).toBe(204);
    await until(() => client.stats().idle === 0);
    expect(client.stats().open).toBe(0);
  });

  test("sees a cancel at once", async () => {
    const server = serve(async (connection) => void (await connection.request()));
    const client = clientOf(server, { ca: certificate });
    const exchange = client.request(ask);
    await until(() => (server.connections[0]?.received.length ?? 0) > 0);
    exchange.cancel();
    expect((await failureOf(exchange.response)).code).toBe("cancelled");
    await until(() => server.openCount() === 0);
  });
});
