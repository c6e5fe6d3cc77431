// The client against upstreams that misbehave in every way at once. What must hold whatever happens: an
// answer belongs to the question, nothing incomplete passes for complete, everything settles, nothing leaks.

import { afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import type { Random } from "../../src/base/random.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { WireClient } from "../../src/wire/client.ts";
import { createWireClient } from "../../src/wire/client.ts";
import { WireError } from "../../src/wire/wire-error.ts";
import type { RawConnection, RawServer } from "../support/raw-server.ts";
import { startRawServer } from "../support/raw-server.ts";
import { ask, textOf, until } from "./reading.ts";

/** How an upstream treats one request: it writes, and says whether its connection still works. */
type Manner = (connection: RawConnection, answer: string, random: Random) => Promise<boolean> | boolean;

const wholeLength = (answer: string): string =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${answer.length}\r\n\r\n${answer}`;

const wholeChunked = (answer: string): string => {
  const half = Math.ceil(answer.length / 2);
  const chunk = (part: string): string => `${part.length.toString(16)}\r\n${part}\r\n`;
  return `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunk(answer.slice(0, half))}${chunk(answer.slice(half))}0\r\n\r\n`;
};

const cutShort = (text: string, random: Random): string => text.slice(0, Math.floor(random() * text.length));

const manners: Readonly<Record<string, Manner>> = {
  whole(connection, answer) {
    connection.write(wholeLength(answer));
    return true;
  },
  chunked(connection, answer) {
    connection.write(wholeChunked(answer));
    return true;
  },
  async inPieces(connection, answer, random) {
    const text = wholeChunked(answer);
    const cut = Math.floor(random() * text.length);
    await connection.writePieces([text.slice(0, cut), text.slice(cut)]);
    return true;
  },
  closesAfterwards(connection, answer) {
    connection.write(wholeLength(answer));
    connection.end();
    return false;
  },
  resetsAfterwards(connection, answer) {
    connection.write(wholeLength(answer));
    connection.reset();
    return false;
  },
  addsJunk(connection, answer) {
    connection.write(`${wholeLength(answer)}junk`);
    return false;
  },
  async addsJunkLater(connection, answer) {
    await connection.writePieces([wholeLength(answer), "junk"]);
    return false;
  },
  cutsByFin(connection, answer, random) {
    connection.write(cutShort(wholeLength(answer), random));
    connection.end();
    return false;
  },
  cutsByRst(connection, answer, random) {
    connection.write(cutShort(wholeChunked(answer), random));
    connection.reset();
    return false;
  },
  hangs(connection, answer, random) {
    connection.write(cutShort(wholeChunked(answer), random));
    return false;
  },
  garbles(connection) {
    connection.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n12345");
    return false;
  },
};

let running: { client: WireClient; server: RawServer } | undefined;

afterEach(() => {
  running?.client.close();
  running?.server.stop();
  running = undefined;
});

const answerTo = (question: string): string => `answer to ${question}`.padEnd(200, ".");

describe("the client between bad upstreams", () => {
  for (const seed of [1, 2, 3]) {
    test(`never mixes up, shortens, loses or leaks an answer (seed ${seed})`, async () => {
      const random = seededRandom(seed);
      const names = Object.keys(manners);
      const server = startRawServer(async (connection) => {
        for (let works = true; works; ) {
          const request = await connection.request();
          if (request === undefined) return;
          const manner = manners[names[Math.floor(random() * names.length)] ?? ""];
          works = (await manner?.(connection, answerTo(request.body.toString()), random)) ?? false;
        }
      });
      const client = createWireClient({ host: "127.0.0.1", port: server.port }, systemClock);
      running = { client, server };

      const endings = new Map<string, number>();
      const askOnce = async (question: string): Promise<void> => {
        const exchange = client.request({
          ...ask,
          method: "POST",
          body: [Buffer.from(question)],
          headerMs: 40,
        });
        // A hanging body is the caller's to end; some callers leave sooner.
        const stop = systemClock.after(random() < 0.1 ? random() * 3 : 60, () => exchange.cancel());
        const ending = await exchange.response
          .then((response) => textOf(response.body))
          .then(
            (text) => {
              expect(text).toBe(answerTo(question));
              return "ok";
            },
            (error: unknown) => {
              if (!(error instanceof WireError)) throw error;
              return error.code;
            },
          );
        stop();
        endings.set(ending, (endings.get(ending) ?? 0) + 1);
      };
      const worker = async (name: number): Promise<void> => {
        for (let turn = 0; turn < 40; turn += 1) await askOnce(`${name}.${turn}`);
      };
      await Promise.all(Array.from({ length: 10 }, (_, name) => worker(name)));

      expect([...endings.values()].reduce((sum, count) => sum + count)).toBe(400);
      for (const code of ["ok", "truncated", "malformed", "cancelled"]) {
        expect({ code, seen: endings.has(code) }).toEqual({ code, seen: true });
      }
      await until(() => client.stats().pending === 0);
      expect(client.stats()).toMatchObject({ waiting: 0, open: client.stats().idle });
      client.close();
      await until(() => server.openCount() === 0);
      expect(client.stats()).toEqual({ open: 0, idle: 0, pending: 0, waiting: 0 });
    });
  }

  test("loses no request to keep-alive connections that close as they are used again", async () => {
    const random = seededRandom(7);
    const answered = new Map<string, number>();
    const server = startRawServer(async (connection) => {
      for (let left = 1 + Math.floor(random() * 4); left > 0; left -= 1) {
        const request = await connection.request();
        if (request === undefined) return;
        const question = request.body.toString();
        answered.set(question, (answered.get(question) ?? 0) + 1);
        connection.write(wholeLength(answerTo(question)));
      }
      // Anywhere between at once and just after the next request was written.
      if (random() < 0.5) await new Promise((resolve) => setImmediate(resolve));
      if (random() < 0.5) connection.end();
      else connection.reset();
    });
    const client = createWireClient({ host: "127.0.0.1", port: server.port }, systemClock);
    running = { client, server };

    let replays = 0;
    const askUntilAnswered = async (question: string): Promise<string> => {
      const request = { ...ask, method: "POST", body: [Buffer.from(question)] };
      try {
        return await textOf((await client.request(request).response).body);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        expect({ ...error }).toMatchObject({ reused: true, heard: false });
        expect(["closed", "reset"]).toContain(error.code);
        replays += 1;
        return await textOf((await client.request({ ...request, fresh: true }).response).body);
      }
    };
    const worker = async (name: number): Promise<void> => {
      for (let turn = 0; turn < 250; turn += 1) {
        const question = `${name}.${turn}`;
        expect(await askUntilAnswered(question)).toBe(answerTo(question));
      }
    };
    await Promise.all(Array.from({ length: 4 }, (_, name) => worker(name)));
    expect(answered.size).toBe(1_000);
    expect([...answered.values()].every((times) => times === 1)).toBe(true);
    expect(replays).toBeGreaterThan(0);
  });
});
