// The security floor, from outside: who is let in, what is refused, and what a hostile client can hold.

import { describe, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, messages, readAll, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { keysFile } from "../support/keys-file.ts";
import { openAiErrorOf, readOpenAiError } from "../support/openai-error.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

async function house(config = "", tokens = 1) {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: tokens }));
  return { gold, router: ends(await startTierline({ config: engineToml("gold", gold.url) + config })) };
}

/** Sends bytes and returns what came until the connection closed, and how long that took. */
function raw(
  url: string,
  bytes: string,
  timeoutMs: number,
): Promise<{ text: string; closedMs: number | undefined }> {
  const { hostname, port } = new URL(url);
  const began = performance.now();
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    const done = (closedMs: number | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, closedMs });
    };
    const timer = setTimeout(() => done(undefined), timeoutMs);
    socket.on("data", (data) => {
      text += data.toString("latin1");
    });
    socket.on("error", () => undefined);
    socket.on("close", () => done(performance.now() - began));
  });
}

describe("keys", () => {
  test("every /v1 path asks for one, health does not, and SIGHUP reads the file again", async () => {
    const keys = ends(keysFile("lobby:sk-one"));
    const { router } = await house(keys.toml);
    const status = async (path: string, key?: string): Promise<number> => {
      const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
      const response = await fetch(router.url + path, { headers });
      if (response.status === 401) {
        expect((await openAiErrorOf(response)).code).toBe("invalid_api_key");
        expect(response.headers.get("www-authenticate")).toBe("Bearer");
      }
      return response.status;
    };
    expect(await status("/v1/models")).toBe(401);
    expect(await status("/v1/models", "sk-on")).toBe(401);
    expect(await status("/v1/nothing")).toBe(401);
    expect(await status("/v1/models", "sk-one")).toBe(200);
    expect(await status("/readyz")).toBe(200);
    keys.write("lobby:sk-two");
    await router.reload();
    expect(await status("/v1/models", "sk-one")).toBe(401);
    expect(await status("/v1/models", "sk-two")).toBe(200);
  });

  test("a non-loopback public address without a written auth.mode is refused with file, line and column", async () => {
    const dir = mkdtempSync(join(tmpdir(), "tierline-config-"));
    const file = join(dir, "tierline.toml");
    writeFileSync(file, '[listen]\npublic = "0.0.0.0:0"\n');
    const child = Bun.spawn([join(import.meta.dir, "../../dist/tierline"), "serve", "--config", file], {
      stderr: "pipe",
    });
    expect(await child.exited).toBe(78);
    const said = await new Response(child.stderr).text();
    expect(said).toContain(`${file}:2:`);
    expect(said).toContain("auth");
  });
});

describe("CORS", () => {
  test("a configured origin may ask, another may not, preflight included", async () => {
    const { router } = await house();
    const preflight = (origin: string) =>
      fetch(`${router.url}/v1/chat/completions`, {
        method: "OPTIONS",
        headers: {
          origin,
          "access-control-request-method": "POST",
          "access-control-request-headers": "content-type",
        },
      });
    const good = await preflight("http://localhost:3000");
    expect(good.status).toBeLessThan(300);
    expect(good.headers.get("access-control-allow-origin")).toBe("http://localhost:3000");
    expect((await preflight("https://evil.example")).headers.get("access-control-allow-origin")).toBeNull();
  });
});

describe("raw requests", () => {
  const body = JSON.stringify({ model: "gold", messages, max_tokens: 1 });
  const head = (more: string, line = "POST /v1/chat/completions HTTP/1.1") => `${line}\r\n${more}\r\n`;

  test.each([
    ["two Host headers", head(`host: a\r\nhost: b\r\ncontent-length: ${body.length}\r\n`) + body],
    ["a Host with a space", head(`host: a b\r\ncontent-length: ${body.length}\r\n`) + body],
    ["an unknown expectation", head(`host: a\r\nexpect: magic\r\ncontent-length: ${body.length}\r\n`) + body],
    ["two lengths", head("host: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n") + body],
    [
      "a length and chunks",
      `${head("host: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n")}0\r\n\r\n`,
    ],
    ["an unknown coding", `${head("host: a\r\ntransfer-encoding: gzip, chunked\r\n")}0\r\n\r\n`],
    ["CONNECT", head("host: a\r\n", "CONNECT evil.example:443 HTTP/1.1")],
    ["a path out of the root", head("host: a\r\n", "GET /v1/../../etc/passwd HTTP/1.1")],
  ])("%s is answered 4xx, and the router lives", async (_, bytes) => {
    const { gold, router } = await house();
    const { text } = await raw(router.url, bytes, 1500);
    expect(text).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(gold.requests().filter(({ method }) => method === "POST")).toEqual([]);
    expect((await chat(router.url, { model: "gold", messages, max_tokens: 1 })).status).toBe(200);
  });

  test("a chunked body over the limit is 413 in our shape", async () => {
    const { router } = await house('[limits]\nbody_bytes = "64KB"\n');
    const chunks = "1000\r\n".concat("x".repeat(4096), "\r\n").repeat(20);
    const { text } = await raw(
      router.url,
      `${head("host: a\r\ntransfer-encoding: chunked\r\n")}${chunks}0\r\n\r\n`,
      3000,
    );
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(readOpenAiError(text.slice(text.indexOf("\r\n\r\n") + 4)).code).toBe("request_too_large");
  });
});

describe("deadlines", () => {
  test("a stream that reaches its deadline ends with an error event and no clean end", async () => {
    const { router } = await house("", 50);
    const response = await chat(
      router.url,
      { model: "gold", messages, stream: true, max_tokens: 100 },
      { headers: { "x-tierline-deadline-ms": "500" } },
    );
    const began = performance.now();
    const { text, clean } = await readAll(response);
    expect(clean).toBe(false);
    expect(performance.now() - began).toBeLessThan(800);
    const last = text.trimEnd().split("\n\n").at(-1) ?? "";
    expect(readOpenAiError(last.replace("data: ", "")).code).toBe("deadline_exceeded");
    expect(text).not.toContain("[DONE]");
  });

  test("a deadline above ten minutes is clamped, not refused", async () => {
    const { router } = await house();
    const headers = { "x-tierline-deadline-ms": "99999999" };
    expect((await chat(router.url, { model: "gold", messages, max_tokens: 1 }, { headers })).status).toBe(
      200,
    );
  });
});

/** Talks without end, as fast as it is listened to. */
function startChatterbox() {
  const event = `data: {"choices":[{"index":0,"delta":{"content":"${"x".repeat(8192)}"},"finish_reason":null}]}\n\n`;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch(request) {
      if (request.method === "GET") return Response.json({ object: "list", data: [{ id: "small" }] });
      let going = true;
      const stream = new ReadableStream({
        pull: async (controller) => {
          await Bun.sleep(0);
          if (going) controller.enqueue(Buffer.from(event));
        },
        cancel() {
          going = false;
        },
      });
      return new Response(stream, { headers: { "content-type": "text/event-stream" } });
    },
  });
  return ends({ url: `http://127.0.0.1:${server.port}`, stop: () => server.stop(true) });
}

test("a caller who stops reading holds little memory, is cut after 10 s and frees its slot", async () => {
  const engine = startChatterbox();
  const router = ends(await startTierline({ config: engineToml("gold", engine.url, "", "openai") }));
  const before = await router.metric("process_resident_memory_bytes");
  const { hostname, port } = new URL(router.url);
  const body = JSON.stringify({ model: "gold", messages, stream: true });
  const socket = connect(Number(port), hostname);
  socket.on("error", () => undefined);
  socket.pause();
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-tierline-deadline-ms: 60000\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  const inflight = () => router.metric("tierline_inflight");
  await until("it streams", async () => (await inflight()) === 1);
  await Bun.sleep(5000);
  expect(await inflight()).toBe(1);
  // The process's share; about 4 MB more are in the kernel's buffers.
  expect((await router.metric("process_resident_memory_bytes")) - before).toBeLessThan(40e6);
  await until("it is cut", async () => (await inflight()) === 0, 10_000);
  socket.destroy();
}, 30_000);
