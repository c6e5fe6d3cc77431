// The public listener of a host that is short of something: which answers close their connections, who is refused, who
// never is; and a listener that is shut and opened again.

import { describe, expect, test } from "bun:test";
import pino from "pino";
import type { Scarce } from "../../src/base/strain.ts";
import { corsFor } from "../../src/http/cors.ts";
import type { Listener } from "../../src/http/listen.ts";
import { listen } from "../../src/http/listen.ts";
import { sheltered } from "../../src/http/shelter.ts";
import { cleanup } from "../support/cleanup.ts";
import { openAiErrorOf } from "../support/openai-error.ts";

const ends = cleanup();
/** Of a browser game's page. */
const page = "http://localhost:3000";

function scene(closing = false, shedding?: Scarce) {
  const lines: string[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void lines.push(line) });
  const refused: Scarce[] = [];
  const held = Promise.withResolvers<void>();
  const strain = { closing, shedding, refused: (because: Scarce) => void refused.push(because) };
  const app = sheltered(
    {
      routes: {
        "/v1/npc/intents": () => new Response("an intent"),
        "/held": async () => {
          await held.promise;
          return new Response("held");
        },
        "/socket": (request, server) => {
          const data = { waitingBytes: 0, authorization: null, key: undefined };
          return server.upgrade(request, { data }) ? undefined : new Response("no");
        },
      },
      fetch: ({ url }) => new Response(new URL(url).pathname),
      websocket: { message: (socket, text) => void socket.send(text) },
    },
    strain,
    corsFor(() => [page]),
  );
  const listener = listen(app, { hostname: "127.0.0.1", port: 0 }, log);
  ends({ stop: () => listener.stop(true) });
  const ask = (path: string, headers = {}, method = "GET") =>
    fetch(`${listener.url}${path}`, { method, headers });
  return { strain, refused, listener, ask, lines, release: held.resolve };
}

/** What Bun.serve says of a connection that it keeps is nothing, or keep-alive. */
const isClosed = ({ headers }: Response): boolean => headers.get("connection") === "close";

describe("answers", () => {
  test("leave their connections open while there is enough of everything", async () => {
    const { ask } = scene();
    for (const path of ["/v1/models", "/v1/npc/intents"]) expect(isClosed(await ask(path))).toBe(false);
  });

  test("close their connections where that is asked for", async () => {
    const { ask, release } = scene(true);
    release();
    for (const path of ["/v1/models", "/v1/npc/intents", "/held"])
      expect(isClosed(await ask(path))).toBe(true);
  });
});

describe("a host that is short of something", () => {
  test.each(["descriptors", "memory"] as const)("refuses new requests and says why: %s", async (scarce) => {
    const { ask, refused } = scene(true, scarce);
    const response = await ask("/v1/models?all=1", { "x-request-id": "mine" });
    expect(response.status).toBe(503);
    expect(isClosed(response)).toBe(true);
    expect(response.headers.get("x-tierline-because")).toBe(scarce);
    expect(response.headers.get("x-request-id")).toBe("mine");
    expect(response.headers.get("retry-after-ms")).toBe("1000");
    expect(response.headers.get("x-should-retry")).toBe("true");
    const { code, message } = await openAiErrorOf(response);
    expect(code).toBe("host_overloaded");
    expect(message).toContain(scarce);
    expect(refused).toEqual([scarce]);
  });

  test.each(["/livez", "/healthz", "/readyz", "/health", "/metrics?x=1", "/v1/npc/intents"])(
    "still answers %s, and closes the connection",
    async (path) => {
      const { ask, refused } = scene(true, "memory");
      const response = await ask(path);
      expect([response.status, isClosed(response)]).toEqual([200, true]);
      expect(refused).toEqual([]);
    },
  );

  describe("and is asked by a page in a browser", () => {
    test("lets it read the refusal, which is counted once", async () => {
      const { ask, refused } = scene(true, "memory");
      const { status, headers } = await ask("/v1/models", { origin: page, "x-request-id": "mine" });
      expect([status, headers.get("access-control-allow-origin")]).toEqual([503, page]);
      expect(headers.get("access-control-expose-headers")).toContain("retry-after-ms");
      expect(headers.get("vary")).toContain("Origin");
      for (const [name, value] of [
        ["connection", "close"],
        ["retry-after-ms", "1000"],
        ["x-tierline-because", "memory"],
        ["x-request-id", "mine"],
      ] as const)
        expect(headers.get(name)).toBe(value);
      expect(refused).toEqual(["memory"]);
    });

    test("lets pages of no other origin read it", async () => {
      const { ask } = scene(true, "memory");
      const { status, headers } = await ask("/v1/models", { origin: "https://evil.example" });
      expect([status, headers.get("access-control-allow-origin")]).toEqual([503, null]);
    });

    test("answers whether it may ask, and counts that as no refusal", async () => {
      const { ask, refused } = scene(true, "descriptors");
      const asked = { origin: page, "access-control-request-method": "POST" };
      const response = await ask("/v1/chat/completions", asked, "OPTIONS");
      expect([response.status, isClosed(response)]).toEqual([204, true]);
      expect(response.headers.get("access-control-allow-origin")).toBe(page);
      expect(refused).toEqual([]);
    });
  });

  test("refuses a WebSocket, and leaves those alone that are open", async () => {
    const { strain, listener, refused } = scene();
    const url = `${listener.url.replace("http", "ws")}/socket`;
    const opened = async (socket: WebSocket): Promise<boolean> => {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      socket.onopen = () => resolve(true);
      socket.onerror = () => resolve(false);
      return promise;
    };
    const early = new WebSocket(url);
    expect(await opened(early)).toBe(true);
    Object.assign(strain, { closing: true, shedding: "descriptors" });
    expect(await opened(new WebSocket(url))).toBe(false);
    expect(refused).toEqual(["descriptors"]);
    const echoed = new Promise((resolve) => {
      early.onmessage = ({ data }) => resolve(data);
    });
    early.send("still here");
    expect(await echoed).toBe("still here");
    early.close();
  });
});

describe("a listener", () => {
  const isOpen = async ({ url }: Listener): Promise<boolean> =>
    fetch(url).then(
      () => true,
      () => false,
    );

  test("that is shut takes nobody, ends well what is under way, and opens again where it was", async () => {
    const { listener, ask, release } = scene();
    const held = ask("/held");
    await Bun.sleep(20);
    listener.shut();
    listener.shut();
    expect(await isOpen(listener)).toBe(false);
    release();
    expect(await (await held).text()).toBe("held");
    expect(listener.reopen()).toBe(true);
    expect(await isOpen(listener)).toBe(true);
  });

  test("that is shut and finds its port taken says so once, and opens when it is free", async () => {
    const { listener, lines } = scene();
    listener.shut();
    const squatter = Bun.serve({
      hostname: "127.0.0.1",
      port: Number(new URL(listener.url).port),
      fetch: () => new Response(),
    });
    expect([listener.reopen(), listener.reopen()]).toEqual([false, false]);
    expect(lines).toHaveLength(1);
    await squatter.stop(true);
    expect(listener.reopen()).toBe(true);
    expect(await isOpen(listener)).toBe(true);
  });

  test("that has been stopped does not open again", async () => {
    const { listener } = scene();
    listener.shut();
    await listener.stop(false);
    listener.reopen();
    expect(await isOpen(listener)).toBe(false);
  });

  test("closes idle connections, and tells how many", async () => {
    const { listener, ask } = scene();
    await (await ask("/")).text();
    expect(listener.closeIdle()).toBeGreaterThanOrEqual(1);
  });
});
