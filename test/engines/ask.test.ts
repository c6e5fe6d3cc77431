// One question over a real connection: its bounds in time and bytes, and how failure is told.

import { afterEach, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import type { Ask } from "../../src/engines/ask.ts";
import { createAsk } from "../../src/engines/ask.ts";
import type { WireClient } from "../../src/wire/client.ts";
import { createWireClient } from "../../src/wire/client.ts";
import { startBlackHole } from "../support/black-hole.ts";

const never = new AbortController().signal;
const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function asking(
  handler: (request: Request) => Response | Promise<Response>,
  headers: readonly (readonly [string, string])[] = [],
): { readonly ask: Ask; readonly client: WireClient } {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", idleTimeout: 0, fetch: handler });
  const client = createWireClient({ host: "127.0.0.1", port: server.port ?? 0 }, systemClock);
  cleanups.push(() => {
    client.close();
    server.stop(true);
  });
  return { ask: createAsk(client, systemClock, headers), client };
}

test("an answer is its status and its whole text, whatever the status", async () => {
  const { ask } = asking(() => new Response("grün", { status: 418 }));
  expect(await ask({ method: "GET", path: "/", timeoutMs: 1000 }, never)).toEqual({
    status: 418,
    body: "grün",
  });
});

test("a question carries its body as JSON and the headers of the engine", async () => {
  const { ask } = asking(
    async (request) =>
      new Response(
        [
          request.method,
          new URL(request.url).pathname,
          request.headers.get("content-type"),
          request.headers.get("authorization"),
          await request.text(),
        ].join(" "),
      ),
    [["authorization", "Bearer k"]],
  );
  const question = {
    method: "POST",
    path: "/v1/completions",
    body: "{}",
    timeoutMs: 1000,
    fresh: true,
  } as const;
  expect(await ask(question, never)).toEqual({
    status: 200,
    body: "POST /v1/completions application/json Bearer k {}",
  });
});

test("an answer that does not come in time is silence, and its connection is closed", async () => {
  const { promise: gone, resolve } = Promise.withResolvers<void>();
  const { ask, client } = asking((request) => {
    request.signal.addEventListener("abort", () => resolve());
    return new Promise<Response>(() => {});
  });
  expect(await ask({ method: "GET", path: "/", timeoutMs: 30 }, never)).toEqual({ failed: "silent" });
  await gone;
  expect(client.stats().open).toBe(0);
});

test("a body that stops half-way is silence", async () => {
  const { ask } = asking(
    () => new Response(new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(10)) })),
  );
  expect(await ask({ method: "GET", path: "/", timeoutMs: 50 }, never)).toEqual({ failed: "silent" });
});

test("nobody listening is a refusal, at once", async () => {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const port = server.port ?? 0;
  await server.stop(true);
  const client = createWireClient({ host: "127.0.0.1", port }, systemClock);
  cleanups.push(() => client.close());
  const ask = createAsk(client, systemClock, []);
  expect(await ask({ method: "GET", path: "/", timeoutMs: 10_000 }, never)).toEqual({ failed: "refused" });
});

test("a connect that neither succeeds nor fails is told apart from a refusal", async () => {
  const hole = await startBlackHole();
  const client = createWireClient({ host: "127.0.0.1", port: hole.port }, systemClock, { connectMs: 50 });
  cleanups.push(client.close, hole.stop);
  const ask = createAsk(client, systemClock, []);
  const question = { method: "GET", path: "/", timeoutMs: 10_000 } as const;
  expect(await ask(question, never)).toEqual({ failed: "unreachable" });
});

test("an answer of more than 1 MiB is a refusal", async () => {
  const { ask } = asking(() => new Response(new Uint8Array(2 ** 20 + 1)));
  expect(await ask({ method: "GET", path: "/", timeoutMs: 5000 }, never)).toEqual({ failed: "refused" });
});

test("an aborted question ends at once, before or while it is asked", async () => {
  const { ask } = asking(() => new Promise<Response>(() => {}));
  const controller = new AbortController();
  const answer = ask({ method: "GET", path: "/", timeoutMs: 10_000 }, controller.signal);
  controller.abort();
  expect(await answer).toEqual({ failed: "refused" });
  expect(await ask({ method: "GET", path: "/", timeoutMs: 10_000 }, controller.signal)).toEqual({
    failed: "refused",
  });
});
