import { afterEach, describe, expect, test } from "bun:test";
import type { Clock } from "../../src/base/clock.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { WireClient } from "../../src/wire/client.ts";
import { createWireClient } from "../../src/wire/client.ts";
import type { Dialler } from "../../src/wire/dial.ts";
import { Exchange } from "../../src/wire/exchange.ts";
import type { WireLimits } from "../../src/wire/limits.ts";
import { defaultWireLimits } from "../../src/wire/limits.ts";
import { createPool } from "../../src/wire/pool.ts";
import { startBlackHole } from "../support/black-hole.ts";
import type { RawConnection, RawServer, Script } from "../support/raw-server.ts";
import { startRawServer } from "../support/raw-server.ts";
import { virtualClock } from "../support/virtual-clock.ts";
import { answerOf, ask, besideTimer, failureOf, until } from "./reading.ts";

const okAnswer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

const open: { close(): void }[] = [];

function between(
  script: Script,
  limits: Partial<WireLimits> = {},
  clock: Clock = systemClock,
): { client: WireClient; server: RawServer } {
  const server = startRawServer(script);
  const client = createWireClient({ host: "127.0.0.1", port: server.port }, clock, limits);
  open.push(client, { close: () => server.stop() });
  return { client, server };
}

afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

const polite: Script = async (connection) => {
  while (await connection.request()) connection.write(okAnswer);
};

/** `count` answers at the same time, so that as many connections are open. */
const together = async (client: WireClient, count: number): Promise<void> => {
  await Promise.all(Array.from({ length: count }, () => answerOf(client)));
};

describe("the pool", () => {
  test("carries one request after the other on one connection, and says that it was used", async () => {
    const { client, server } = between(polite);
    expect((await answerOf(client)).response.reused).toBe(false);
    for (let again = 0; again < 5; again += 1) {
      expect((await answerOf(client)).response.reused).toBe(true);
    }
    expect(server.connections.length).toBe(1);
  });

  test("takes the connection that was used last, so that the others can age", async () => {
    const order: number[] = [];
    const { client } = between(async (connection) => {
      while (await connection.request()) {
        order.push(connection.index);
        connection.write(okAnswer);
      }
    });
    await together(client, 3);
    expect(client.stats()).toMatchObject({ open: 3, idle: 3 });
    const last = order.at(-1);
    order.length = 0;
    for (let again = 0; again < 4; again += 1) await answerOf(client);
    expect(order.every((index) => index === last)).toBe(true);
  });

  test("opens a new connection for a request that must not share one", async () => {
    const { client, server } = between(polite);
    await answerOf(client);
    expect((await answerOf(client, { fresh: true })).response.reused).toBe(false);
    expect(server.connections.length).toBe(2);
  });

  test("closes a connection after it was idle for idleMs, the youngest kept until its own time", async () => {
    const clock = virtualClock();
    const { client, server } = between(polite, { idleMs: 4_000 }, clock);
    await together(client, 2);
    await clock.advance(3_000);
    await answerOf(client);
    await clock.advance(1_000);
    expect(client.stats()).toMatchObject({ open: 1, idle: 1 });
    await until(() => server.openCount() === 1);
    await clock.advance(2_999);
    expect(client.stats().idle).toBe(1);
    await clock.advance(1);
    expect(client.stats()).toMatchObject({ open: 0, idle: 0 });
    await until(() => server.openCount() === 0);
    expect(clock.pending()).toBe(0);
    await answerOf(client);
    client.close();
    expect(clock.pending()).toBe(0);
  });

  test("uses no connection older than idleMs, though the timer that closes them is late", async () => {
    const clock = virtualClock();
    let stalledMs = 0;
    const late: Clock = { ...clock, now: () => clock.now() + stalledMs };
    const { client, server } = between(polite, { idleMs: 4_000 }, late);
    await together(client, 3);
    stalledMs = 4_000;
    expect((await answerOf(client)).response.reused).toBe(false);
    expect(client.stats()).toMatchObject({ open: 1, idle: 1 });
    await until(() => server.openCount() === 1);
  });

  test("drops an idle connection at FIN, at RST, and at bytes that nobody asked for", async () => {
    const ends: ((connection: RawConnection) => void)[] = [
      (connection) => connection.end(),
      (connection) => connection.halfClose(),
      (connection) => connection.reset(),
      (connection) => connection.write("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"),
    ];
    for (const end of ends) {
      const { client, server } = between(polite);
      await answerOf(client);
      expect(client.stats().idle).toBe(1);
      const [connection] = server.connections;
      if (connection !== undefined) end(connection);
      await until(() => client.stats().idle === 0);
      expect(client.stats().open).toBe(0);
      expect(await answerOf(client)).toMatchObject({ text: "ok", response: { reused: false } });
    }
  });

  test("tells of a kept connection that died under a request that nothing was heard and it may be sent again", async () => {
    for (const by of ["FIN", "RST"]) {
      const { client } = between(async (connection) => {
        await connection.request();
        connection.write(okAnswer);
        await connection.request();
        if (by === "FIN") connection.end();
        else connection.reset();
      });
      await answerOf(client);
      const failure = await failureOf(client.request({ ...ask, method: "POST" }).response);
      expect(failure.code).toBe(by === "FIN" ? "closed" : "reset");
      expect(failure).toMatchObject({ sent: true, heard: false, reused: true });
    }
  });

  test("refuses what exceeds maxConnections, and has room again afterwards", async () => {
    const held: RawConnection[] = [];
    const { client } = between(
      async (connection) => {
        while (await connection.request()) held.push(connection);
      },
      { maxConnections: 3 },
    );
    const exchanges = Array.from({ length: 3 }, () => client.request(ask));
    const failure = await failureOf(client.request(ask).response);
    expect(failure).toMatchObject({ code: "too-many-connections", sent: false });
    await until(() => held.length === 3);
    expect((await failureOf(client.request(ask).response)).code).toBe("too-many-connections");
    for (const connection of held) connection.write(okAnswer);
    await Promise.all(exchanges.map((exchange) => exchange.response));
    await until(() => client.stats().idle === 3);
    const next = client.request(ask);
    await until(() => held.length === 4);
    held[3]?.write(okAnswer);
    expect((await next.response).reused).toBe(true);
  });

  test("closes the connection that was idle longest to make room for a fresh one", async () => {
    const { client, server } = between(polite, { maxConnections: 2 });
    await together(client, 2);
    await answerOf(client, { fresh: true });
    expect(client.stats()).toMatchObject({ open: 2, idle: 2 });
    await until(() => server.openCount() === 2);
    expect(server.connections.length).toBe(3);
  });

  test("serves more requests than connects may be in the air, in waves", async () => {
    const { client } = between(polite, { maxPendingConnects: 2, connectMs: 2_000 });
    const answers = Promise.all(Array.from({ length: 20 }, () => answerOf(client)));
    expect(client.stats()).toMatchObject({ pending: 2, waiting: 20 });
    expect((await answers).every(({ text }) => text === "ok")).toBe(true);
    expect(client.stats()).toMatchObject({ pending: 0, waiting: 0 });
  });

  test("refuses all that wait when nobody listens, though fewer connects were in the air", async () => {
    const { client, server } = between(polite, { maxPendingConnects: 2, connectMs: 2_000 });
    server.stop();
    const failures = await Promise.all(
      Array.from({ length: 20 }, () => failureOf(client.request(ask).response)),
    );
    expect(new Set(failures.map(({ code }) => code))).toEqual(new Set(["refused"]));
    expect(client.stats()).toEqual({ open: 0, idle: 0, pending: 0, waiting: 0 });
  });

  test("cancels everything when it is closed, and refuses what comes after", async () => {
    const { client, server } = between(() => {});
    const busy = client.request(ask);
    await until(() => (server.connections[0]?.received.length ?? 0) > 0);
    const waiting = client.request(ask);
    client.close();
    expect((await failureOf(busy.response)).code).toBe("cancelled");
    expect(await failureOf(waiting.response)).toMatchObject({ code: "cancelled", sent: false });
    expect(await failureOf(client.request(ask).response)).toMatchObject({ code: "cancelled", sent: false });
    await until(() => server.openCount() === 0);
    expect(client.stats()).toMatchObject({ open: 0, idle: 0, waiting: 0 });
  });
});

describe("the connect budget", () => {
  test("is for the connect alone, however long the answer takes", async () => {
    const { client } = between(
      async (connection) => {
        await connection.request();
        await new Promise((resolve) => setTimeout(resolve, 120));
        connection.write(okAnswer);
      },
      { connectMs: 60 },
    );
    expect((await answerOf(client)).text).toBe("ok");
  });

  test("is over after connectMs where no SYN is answered, and what opens late is closed", async () => {
    const hole = await startBlackHole();
    const client = createWireClient({ host: "127.0.0.1", port: hole.port }, systemClock, { connectMs: 250 });
    open.push(client, { close: () => hole.stop() });
    const start = performance.now();
    const [failure, lateMs] = await besideTimer(250, failureOf(client.request(ask).response));
    expect(failure).toMatchObject({ code: "unreachable", sent: false, heard: false });
    expect(performance.now() - start).toBeGreaterThanOrEqual(249);
    expect(lateMs).toBeLessThan(20);
    expect(client.stats()).toEqual({ open: 0, idle: 0, pending: 1, waiting: 0 });
    hole.admitOne();
    await until(() => client.stats().pending === 0, 5_000);
    expect(client.stats()).toEqual({ open: 0, idle: 0, pending: 0, waiting: 0 });
  });

  test("never has more connects in the air than maxPendingConnects", async () => {
    const hole = await startBlackHole();
    const limits = { connectMs: 20, maxPendingConnects: 4 };
    const client = createWireClient({ host: "127.0.0.1", port: hole.port }, systemClock, limits);
    open.push(client, { close: () => hole.stop() });
    for (let round = 0; round < 3; round += 1) {
      const failures = await Promise.all(
        Array.from({ length: 3 }, () => failureOf(client.request(ask).response)),
      );
      expect(failures.map(({ code }) => code)).toEqual(["unreachable", "unreachable", "unreachable"]);
      expect(client.stats().pending).toBeLessThanOrEqual(4);
    }
    expect(client.stats()).toMatchObject({ pending: 4, waiting: 0 });
  });

  test("gives an old connect that opens at last to whoever waits now", async () => {
    const hole = await startBlackHole();
    const limits = { connectMs: 5_000, maxPendingConnects: 1 };
    const client = createWireClient({ host: "127.0.0.1", port: hole.port }, systemClock, limits);
    open.push(client, { close: () => hole.stop() });
    const given = client.request(ask);
    given.cancel();
    await failureOf(given.response);
    const waiting = client.request(ask);
    expect(client.stats()).toMatchObject({ pending: 1, waiting: 1 });
    hole.admitOne();
    await until(() => client.stats().open === 1, 5_000);
    expect(client.stats()).toMatchObject({ pending: 0, waiting: 0 });
    waiting.cancel();
    expect(await failureOf(waiting.response)).toMatchObject({ code: "cancelled", sent: true });
  });
});

describe("the end of a connect that was given up", () => {
  /** A pool whose first connect was given up and is still in the air while a second request waits. */
  function withOldConnect() {
    const clock = virtualClock();
    let told: Dialler | undefined;
    const pool = createPool(
      (dialler) => {
        told = dialler;
        return () => {};
      },
      clock,
      defaultWireLimits,
    );
    const first = new Exchange(ask, "host", defaultWireLimits, clock);
    pool.carry(first);
    first.cancel();
    const second = new Exchange(ask, "host", defaultWireLimits, clock);
    pool.carry(second);
    expect(pool.counts()).toMatchObject({ pending: 2, waiting: 1 });
    return { clock, pool, second, fail: told?.failed };
  }

  test("is news to who waits now where it is a refusal", async () => {
    const { pool, second, fail } = withOldConnect();
    fail?.("refused", "nobody listens");
    expect((await failureOf(second.response)).code).toBe("refused");
    fail?.("refused", "nobody listens");
    expect(pool.counts()).toEqual({ open: 0, idle: 0, pending: 0, waiting: 0 });
  });

  test("is no news where it only ran out of time", async () => {
    const { clock, pool, second, fail } = withOldConnect();
    fail?.("unreachable", "timed out");
    expect(pool.counts()).toMatchObject({ pending: 1, waiting: 1 });
    await clock.advance(defaultWireLimits.connectMs);
    expect((await failureOf(second.response)).message).toContain("within 250 ms");
    expect(clock.pending()).toBe(0);
  });
});
