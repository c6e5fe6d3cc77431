import { afterEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { systemClock } from "../../src/base/clock.ts";
import type { WireClient } from "../../src/wire/client.ts";
import { createWireClient } from "../../src/wire/client.ts";
import type { WireLimits } from "../../src/wire/limits.ts";
import type { RawServer, Script } from "../support/raw-server.ts";
import { startRawServer } from "../support/raw-server.ts";
import { fineAnswers, refusedAnswers } from "./answers.ts";
import { answerOf, ask, besideTimer, failureOf, textOf, until } from "./reading.ts";

const okHead = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
const okAnswer = `${okHead}ok`;

let running: { client: WireClient; server: RawServer } | undefined;

function between(
  script: Script,
  limits: Partial<WireLimits> = {},
): { client: WireClient; server: RawServer } {
  const server = startRawServer(script);
  const client = createWireClient({ host: "127.0.0.1", port: server.port }, systemClock, limits);
  running = { client, server };
  return running;
}

afterEach(() => {
  running?.client.close();
  running?.server.stop();
  running = undefined;
});

/** Answers every request with the same bytes. */
const always =
  (answer: string): Script =>
  async (connection) => {
    while (await connection.request()) connection.write(answer);
  };

describe("a request on the wire", () => {
  test("is written as one well-formed request with its host and length", async () => {
    const { client, server } = between(always(okAnswer));
    await answerOf(client, {
      method: "POST",
      path: "/v1/chat?x=1",
      headers: [
        ["content-type", "application/json"],
        ["x-name", "Zoë"],
      ],
      body: [Buffer.from('{"a":'), Buffer.from("1}")],
    });
    expect(server.connections[0]?.received.toString("latin1")).toBe(
      `POST /v1/chat?x=1 HTTP/1.1\r\nhost: 127.0.0.1:${server.port}\r\ncontent-type: application/json\r\nx-name: Zoë\r\ncontent-length: 7\r\n\r\n{"a":1}`,
    );
  });

  test("says that a POST without a body is empty and says nothing of the kind for GET", async () => {
    const { client, server } = between(always(okAnswer));
    await answerOf(client, { method: "POST" });
    expect(server.connections[0]?.received.toString()).toContain("\r\ncontent-length: 0\r\n\r\n");
    await answerOf(client);
    expect(server.connections[0]?.received.toString().split("GET /")[1]).not.toContain("content-length");
  });

  const smuggling: [string, Parameters<WireClient["request"]>[0]][] = [
    ["a line end in a value", { ...ask, headers: [["a", "b\r\ncontent-length: 5"]] }],
    ["a bare LF in a value", { ...ask, headers: [["a", "b\nc"]] }],
    ["a NUL in a value", { ...ask, headers: [["a", "b\0"]] }],
    ["a character that is no byte in a value", { ...ask, headers: [["a", "☃"]] }],
    ["a line end in a name", { ...ask, headers: [["a\r\nb", "c"]] }],
    ["a colon in a name", { ...ask, headers: [["a:b", "c"]] }],
    ["an empty name", { ...ask, headers: [["", "c"]] }],
    ["a second length", { ...ask, headers: [["Content-Length", "5"]] }],
    ["a coding of its own", { ...ask, headers: [["transfer-encoding", "chunked"]] }],
    ["a connection header of its own", { ...ask, headers: [["Connection", "close"]] }],
    ["a second host", { ...ask, headers: [["host", "elsewhere"]] }],
    ["a space in the path", { ...ask, path: "/a b" }],
    ["a line end in the path", { ...ask, path: "/ HTTP/1.1\r\na: b\r\n\r\nGET /" }],
    ["a whole URL for a path", { ...ask, path: "http://elsewhere/" }],
    ["CONNECT", { ...ask, method: "CONNECT" }],
    ["a space in the method", { ...ask, method: "GET /" }],
  ];
  for (const [title, request] of smuggling) {
    test(`throws rather than carry ${title}`, () => {
      const { client, server } = between(always(okAnswer));
      expect(() => client.request(request)).toThrow(TypeError);
      expect(server.connections.length).toBe(0);
      expect(client.stats()).toEqual({ open: 0, idle: 0, pending: 0, waiting: 0 });
    });
  }

  test("arrives whole whatever the sizes of its parts, and waits while the upstream does not read", async () => {
    const { client, server } = between(async (connection) => {
      connection.pause();
      await new Promise((resolve) => setTimeout(resolve, 20));
      connection.resume();
      const request = await connection.request();
      connection.write("HTTP/1.1 200 OK\r\ncontent-length: 64\r\n\r\n");
      connection.write(new Bun.CryptoHasher("sha256").update(request?.body ?? "").digest("hex"));
    });
    const sizes = [0, 1, 20_000, 3, 12_000_000, 16_384, 7];
    const body = sizes.map((size, index) => Buffer.alloc(size, index + 65));
    const { text } = await answerOf(client, { method: "POST", body });
    const hash = new Bun.CryptoHasher("sha256");
    for (const part of body) hash.update(part);
    expect(text).toBe(hash.digest("hex"));
    expect(server.connections[0]?.received.length).toBeGreaterThan(12_000_000);
  });

  test("with a header section beyond the first write arrives whole", async () => {
    const { client, server } = between(always(okAnswer));
    const { text } = await answerOf(client, {
      method: "POST",
      headers: [["x-long", "l".repeat(40_000)]],
      body: [Buffer.from("tail")],
    });
    expect(text).toBe("ok");
    expect(server.connections[0]?.received.toString().endsWith("\r\n\r\ntail")).toBe(true);
  });
});

describe("an answer on the wire", () => {
  test("is the same from any split, and its connection is kept", async () => {
    let pieces: string[] = [];
    const { client, server } = between(async (connection) => {
      while (await connection.request()) await connection.writePieces(pieces);
    });
    const kept = fineAnswers.filter((answer) => answer.ended === "reusable");
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...kept),
        fc.array(fc.nat({ max: 300 }), { maxLength: 4 }),
        async ({ answer, method, status, body, delimited }, cuts) => {
          const places = cuts.map((cut) => cut % answer.length).sort((a, b) => a - b);
          pieces = [...places, answer.length].map((place, index) =>
            answer.slice(places[index - 1] ?? 0, place),
          );
          pieces = pieces.filter((piece) => piece !== "");
          const { response, text } = await answerOf(client, { method: method ?? "GET" });
          expect({ status: response.status, text, delimited: response.delimited }).toEqual({
            status,
            text: body,
            delimited,
          });
        },
      ),
      { numRuns: 60 },
    );
    expect(server.connections.length).toBe(1);
  });

  for (const { title, answer, method, fin, status, body, ended } of fineAnswers) {
    test(`with ${title} leaves the connection ${ended}`, async () => {
      const { client, server } = between(async (connection) => {
        await connection.request();
        connection.write(answer);
        if (fin === true) connection.end();
      });
      const { response, text } = await answerOf(client, { method: method ?? "GET" });
      expect({ status: response.status, text }).toEqual({ status, text: body });
      expect(client.stats().idle).toBe(ended === "reusable" ? 1 : 0);
      if (ended !== "reusable") await until(() => server.openCount() === 0);
    });
  }

  test("that is refused closes the connection and says what had happened", async () => {
    for (const { answer, refused, limits } of refusedAnswers) {
      const { client, server } = between(async (connection) => {
        await connection.request();
        connection.write(answer);
      }, limits);
      const failure = await failureOf(answerOf(client));
      expect({ answer, code: failure.code }).toEqual({ answer, code: refused ?? "malformed" });
      expect(failure).toMatchObject({ sent: true, heard: true, reused: false });
      await until(() => server.openCount() === 0);
      expect(client.stats()).toMatchObject({ open: 0, idle: 0 });
      client.close();
      server.stop();
    }
  });

  test("gives headers in lower case, the first of a name", async () => {
    const { client } = between(
      always("HTTP/1.1 200 OK\r\nX-Load: 1\r\nx-load: 2\r\nContent-Length: 0\r\n\r\n"),
    );
    const { response } = await answerOf(client);
    expect(response.headers.get("x-load")).toBe("1");
    expect(response.headers.get("x-none")).toBeUndefined();
    expect(response.headers.entries).toEqual([
      ["x-load", "1"],
      ["x-load", "2"],
      ["content-length", "0"],
    ]);
  });

  test("is heard at every arrival", async () => {
    let heard = 0;
    const { client } = between(async (connection) => {
      await connection.request();
      await connection.writePieces(["HTTP/1.1 103 Early Hints\r\n\r\n", okHead, "o", "k"]);
    });
    await answerOf(client, { heard: () => (heard += 1) });
    expect(heard).toBe(4);
  });

  test("that comes before the request has been sent is read, and the connection is closed", async () => {
    const { client, server } = between((connection) => {
      connection.pause();
      connection.write(okAnswer);
    });
    const { text } = await answerOf(client, { method: "POST", body: [Buffer.alloc(20_000_000)] });
    expect(text).toBe("ok");
    expect(client.stats()).toMatchObject({ open: 0, idle: 0 });
    server.connections[0]?.resume();
    expect(await server.connections[0]?.closed).toBe("rst");
  });
});

describe("a body", () => {
  test("gives at once what is buffered, then null, again and again", async () => {
    const { client } = between(always(okAnswer));
    const response = await client.request(ask).response;
    expect(response.body.next()).toEqual(Buffer.from("ok"));
    expect(response.body.next()).toBeNull();
    expect(response.body.next()).toBeNull();
  });

  test("that is not read stops the upstream from writing, within the cap and one read", async () => {
    const total = 30_000_000;
    let arrivedBytes = 0;
    const { client } = between(async (connection) => {
      await connection.request();
      connection.write(`HTTP/1.1 200 OK\r\ncontent-length: ${total}\r\n\r\n`);
      connection.write(Buffer.alloc(total, 120));
    });
    let arrivals = 0;
    const response = await client.request({ ...ask, heard: () => (arrivals += 1) }).response;
    await new Promise((resolve) => setTimeout(resolve, 50));
    const arrivalsWhileUnread = arrivals;
    expect(arrivalsWhileUnread).toBeLessThanOrEqual(2);
    for (let chunk = await response.body.next(); chunk !== null; chunk = await response.body.next()) {
      arrivedBytes += chunk.length;
    }
    expect(arrivedBytes).toBe(total);
    expect(arrivals).toBeGreaterThan(arrivalsWhileUnread);
    // The connection is not left paused for the next one.
    expect(client.stats().idle).toBe(1);
  });

  test("over the cap that ended while nobody read leaves a connection that is not paused", async () => {
    const { client, server } = between(
      async (connection) => {
        for (let size = 5_000; await connection.request(); size = 2) {
          connection.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n${"x".repeat(size)}`);
        }
      },
      { bufferBytes: 1_000 },
    );
    const slow = await client.request(ask).response;
    expect(client.stats().idle).toBe(1);
    expect((await answerOf(client)).text).toBe("xx");
    expect((await textOf(slow.body)).length).toBe(5_000);
    expect(server.connections.length).toBe(1);
  });

  test("has one reader at a time", async () => {
    const { client } = between(async (connection) => {
      await connection.request();
      connection.write(okHead);
    });
    const response = await client.request(ask).response;
    const first = response.body.next();
    expect(() => response.body.next()).toThrow(TypeError);
    client.close();
    expect((await failureOf(Promise.resolve(first))).code).toBe("cancelled");
  });

  const cuts: [string, string][] = [
    ["of known length", `${okHead}o`],
    ["of known length before its first byte", okHead],
    ["in chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n"],
    [
      "in chunks but for the last line end",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n0\r\n",
    ],
  ];
  for (const [title, answer] of cuts) {
    for (const by of ["FIN", "RST"] as const) {
      test(`${title}, cut by ${by}, gives what came and then "truncated"`, async () => {
        const { client } = between(async (connection) => {
          await connection.request();
          // The RST must not overtake the bytes.
          await connection.writePieces([answer]);
          await new Promise((resolve) => setTimeout(resolve, 5));
          if (by === "FIN") connection.end();
          else connection.reset();
        });
        const { body } = await client.request(ask).response;
        await until(() => client.stats().open === 0);
        if (answer.includes("o\r\n") || answer.endsWith("o"))
          expect(await body.next()).toEqual(Buffer.from("o"));
        const failure = await failureOf((async () => await body.next())());
        expect(failure).toMatchObject({ code: "truncated", sent: true, heard: true, reused: false });
        expect(failure.message).toContain(by);
      });
    }
  }

  test("delimited by the connection's end is truncated by RST and ended by FIN", async () => {
    let by = "FIN";
    const { client } = between(async (connection) => {
      await connection.request();
      await connection.writePieces(["HTTP/1.0 200 OK\r\n\r\n", "part"]);
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (by === "FIN") connection.end();
      else connection.reset();
    });
    const { response, text } = await answerOf(client);
    expect([text, response.delimited]).toEqual(["part", "close"]);
    by = "RST";
    expect((await failureOf(answerOf(client))).code).toBe("truncated");
  });
});

describe("a failure before the header section", () => {
  test("is refused where nobody listens, without using up the budget, and with nothing sent", async () => {
    const { client, server } = between(() => {}, { connectMs: 60_000 });
    server.stop();
    const failure = await failureOf(client.request(ask).response);
    expect(failure).toMatchObject({ code: "refused", sent: false, heard: false, reused: false });
    expect(client.stats()).toEqual({ open: 0, idle: 0, pending: 0, waiting: 0 });
  });

  test("is unreachable where the name has no address", async () => {
    const client = createWireClient({ host: "engine.invalid", port: 80 }, systemClock, { connectMs: 5_000 });
    expect(await failureOf(client.request(ask).response)).toMatchObject({ code: "unreachable", sent: false });
  });

  test("is closed by FIN and reset by RST, before any byte of an answer", async () => {
    let by = "FIN";
    const { client } = between(async (connection) => {
      await connection.request();
      if (by === "FIN") connection.end();
      else connection.reset();
    });
    const expected = { sent: true, heard: false, reused: false };
    expect(await failureOf(client.request(ask).response)).toMatchObject({ code: "closed", ...expected });
    by = "RST";
    expect(await failureOf(client.request(ask).response)).toMatchObject({ code: "reset", ...expected });
  });

  test("has been heard once part of a header section came", async () => {
    const { client } = between(async (connection) => {
      await connection.request();
      await connection.writePieces(["HTTP/1.1 20"]);
      connection.end();
    });
    expect(await failureOf(client.request(ask).response)).toMatchObject({ code: "closed", heard: true });
  });

  test("is closed where the upstream half-closes and would wait for ever", async () => {
    const { client, server } = between(async (connection) => {
      await connection.request();
      connection.halfClose();
    });
    expect((await failureOf(client.request(ask).response)).code).toBe("closed");
    await until(() => server.openCount() === 0);
  });

  test("is a timeout after headerMs, and the connection is closed", async () => {
    const { client, server } = between(async (connection) => {
      await connection.request();
      await connection.writePieces(["HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 200 OK\r\n"]);
    });
    const start = performance.now();
    const [failure, lateMs] = await besideTimer(
      60,
      failureOf(client.request({ ...ask, headerMs: 60 }).response),
    );
    expect(failure).toMatchObject({ code: "timeout", sent: true, heard: true });
    expect(performance.now() - start).toBeGreaterThanOrEqual(59);
    expect(lateMs).toBeLessThan(20);
    expect(await server.connections[0]?.closed).toBe("rst");
  });

  test("is no timeout once the header section is complete, however slow the body", async () => {
    const { client } = between(async (connection) => {
      await connection.request();
      connection.write(okHead);
      await new Promise((resolve) => setTimeout(resolve, 60));
      connection.write("ok");
    });
    expect((await answerOf(client, { headerMs: 30 })).text).toBe("ok");
  });
});

describe("cancel", () => {
  test("closes the upstream's socket at once and rejects the response, however often it is called", async () => {
    const { client, server } = between(() => {});
    const exchange = client.request(ask);
    await until(() => (server.connections[0]?.received.length ?? 0) > 0);
    exchange.cancel();
    exchange.cancel();
    expect(client.stats()).toMatchObject({ open: 0, waiting: 0 });
    expect(await failureOf(exchange.response)).toMatchObject({ code: "cancelled", sent: true, heard: false });
    expect(await server.connections[0]?.closed).toBe("rst");
  });

  test("in a body rejects the waiting read and drops what is buffered", async () => {
    const { client, server } = between(async (connection) => {
      await connection.request();
      connection.write(`${okHead}o`);
    });
    const exchange = client.request(ask);
    const { body } = await exchange.response;
    await until(() => (server.connections[0]?.received.length ?? 0) > 0);
    exchange.cancel();
    expect((await failureOf((async () => await body.next())())).code).toBe("cancelled");
    expect(await server.connections[0]?.closed).toBe("rst");
  });

  test("while waiting for a connection sends nothing", async () => {
    const { client, server } = between(async (connection) => void (await connection.request()));
    const exchange = client.request(ask);
    exchange.cancel();
    expect(await failureOf(exchange.response)).toMatchObject({ code: "cancelled", sent: false });
    await until(() => client.stats().pending === 0);
    expect(client.stats()).toMatchObject({ open: 0, idle: 0, waiting: 0 });
    await until(() => server.openCount() === 0);
    expect(server.connections[0]?.received.length ?? 0).toBe(0);
  });

  test("after the end leaves the connection alone", async () => {
    const { client } = between(always(okAnswer));
    const exchange = client.request(ask);
    const { body } = await exchange.response;
    exchange.cancel();
    expect((await failureOf((async () => await body.next())())).code).toBe("cancelled");
    expect(client.stats()).toMatchObject({ open: 1, idle: 1 });
  });

  test("from within heard stops everything", async () => {
    const { client } = between(always(okAnswer));
    const exchange = client.request({ ...ask, heard: () => exchange.cancel() });
    expect(await failureOf(exchange.response)).toMatchObject({ code: "cancelled", heard: true });
    expect(client.stats()).toMatchObject({ open: 0, idle: 0 });
  });

  test("without anybody looking at the response does not end the process", async () => {
    expect(
      await inOwnProcess(`
        client.request({ method: "GET", path: "/", headers: [] }).cancel();
        client.request({ method: "GET", path: "/", headers: [] });
        const exchange = client.request({ method: "GET", path: "/endless", headers: [] });
        const { body } = await exchange.response;
        console.log((await body.next()).toString());
        body.next();
        exchange.cancel();
        setTimeout(() => client.close(), 20);
        setTimeout(() => console.log("alive"), 20);`),
    ).toBe("begin\nalive\n");
  });
});

describe("a bug in heard", () => {
  test("comes out as an uncaught exception, and the exchange ends", async () => {
    expect(
      await inOwnProcess(`
        process.on("uncaughtException", (error) => console.log(error.message));
        const heard = () => { throw new Error("a bug"); };
        await client.request({ method: "GET", path: "/", headers: [], heard }).response.catch(() => {});
        console.log(client.stats().open);`),
    ).toBe("a bug\n0\n");
  });
});

/** What a process prints that has a client and a server which answers everything. */
async function inOwnProcess(body: string): Promise<string> {
  const source = `
    import { createWireClient } from ${JSON.stringify(import.meta.resolve("../../src/wire/client.ts"))};
    import { systemClock } from ${JSON.stringify(import.meta.resolve("../../src/base/clock.ts"))};
    const endless = () => new ReadableStream({ start: (stream) => stream.enqueue("begin") });
    const answer = (request) => new Response(request.url.endsWith("/endless") ? endless() : "ok");
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answer });
    server.unref();
    const client = createWireClient({ host: "127.0.0.1", port: server.port }, systemClock);
    ${body}`;
  const child = Bun.spawn([process.execPath, "-e", source], { stdout: "pipe", stderr: "inherit" });
  const output = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  return output;
}
