// Two routers, their real listeners and the real wire between them: what a caller of the one sees of the other.

import { describe, expect, test } from "bun:test";
import { createAuthenticate } from "../../src/http/auth.ts";
import { cleanup } from "../support/cleanup.ts";
import type { Forwarding, ForwardingOptions } from "../support/forwarding.ts";
import { chat, openForwarding, whole } from "../support/forwarding.ts";

const ends = cleanup();
const authenticate = createAuthenticate([{ name: "lobby", key: "k" }]);

/** Both have one engine, the first a gold one, the second a silver one. */
function pair(second: ForwardingOptions = {}, first: ForwardingOptions = {}) {
  const there = ends(openForwarding({ name: "silver-1", tier: "silver", ...second }));
  const here = ends(openForwarding(first));
  here.addPeer("silver", "silver-1", there.url);
  return { here, there };
}

const silver = { model: "silver", messages: [] };

describe("a caller whose tier is at a peer", () => {
  test("is answered by it as if the engine stood here, by a model of the peer's choice", async () => {
    const { here, there } = pair();
    const response = await here.post(silver);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('{"id":"a"}');
    const { headers } = response;
    expect(headers.get("x-tierline-locality")).toBe("peer");
    expect(headers.get("x-tierline-endpoint")).toBe("silver-1/vllm");
    expect(headers.get("x-tierline-because")).toBe("not-local");
    expect([headers.get("x-tierline-load"), headers.get("x-tierline-peer-refused")]).toEqual([null, null]);
    expect(there.engine.requests[0]?.text).toBe('{"model":"m","messages":[]}');
  });

  test("needs a key here only, which goes no further", async () => {
    const { here, there } = pair({ authenticate }, { authenticate });
    expect((await here.post(silver)).status).toBe(401);
    expect((await here.post(silver, undefined, { authorization: "Bearer k" })).status).toBe(200);
    const names = there.engine.requests[0]?.headers.map(([name]) => name) ?? [];
    expect(names.filter((name) => name === "authorization" || name.startsWith("x-tierline"))).toEqual([]);
  });

  test("is the same request, of the same trace, at both hosts and at the engine", async () => {
    const { here, there } = pair();
    const traceId = "a".repeat(32);
    const headers = { "x-request-id": "req_7", traceparent: `00-${traceId}-${"b".repeat(16)}-01` };
    const response = await here.post(silver, undefined, headers);
    expect(response.headers.get("x-request-id")).toBe("req_7");
    expect(response.headers.get("traceparent")).toBe(headers.traceparent);
    const atEngine = new Map(there.engine.requests[0]?.headers);
    expect(atEngine.get("x-request-id")).toBe("req_7");
    expect(atEngine.get("traceparent")?.split("-")[1]).toBe(traceId);
  });

  test("gets that engine's own refusal byte for byte", async () => {
    const { here } = pair({ reply: whole('{"error":"yours"}', 400) });
    const response = await here.post(silver);
    expect([response.status, await response.text()]).toEqual([400, '{"error":"yours"}']);
  });

  test("is streamed to through both, event by event", async () => {
    const events = { "content-type": "text/event-stream" };
    const { here } = pair({
      reply: {
        headers: events,
        chunks: [
          [1, "data: 1\n\n"],
          [20, "data: [DONE]\n\n"],
        ],
      },
    });
    const response = await here.post({ ...silver, stream: true });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    expect(await response.text()).toBe("data: 1\n\ndata: [DONE]\n\n");
  });

  test("who leaves ends the call at the peer's engine as well", async () => {
    const { here, there } = pair({ reply: { hangs: true } });
    const leaving = new AbortController();
    const asked = fetch(`${here.url}${chat}`, {
      method: "POST",
      body: JSON.stringify(silver),
      signal: leaving.signal,
    });
    while (there.engine.open() === 0) await Bun.sleep(1);
    leaving.abort();
    await asked.catch(() => undefined);
    while (there.engine.open() > 0) await Bun.sleep(1);
    expect(there.endpoint.inflight).toBe(0);
  });

  test("is answered although the clocks of the two are an hour apart", async () => {
    const { here, there } = pair({ aheadMs: 3_600_000 });
    for (let count = 0; count < 3; count += 1) expect((await here.post(silver)).status).toBe(200);
    expect(there.refused).toEqual(["stale"]);
  });
});

/** So that there is no next rung to fall to. */
const withoutOwnEngine = ({ endpoint }: Forwarding): void => endpoint.setHealth("unhealthy", 0);

describe("a peer's refusal is not the caller's", () => {
  test("when it does not know the seal: 502, not 403", async () => {
    const { here, there } = pair({ secret: "another" });
    withoutOwnEngine(here);
    expect((await here.post(silver)).status).toBe(502);
    expect(there.refused).toEqual(["wrong-key"]);
  });

  test("when it is in no fleet and wants a key: 502, not 401", async () => {
    const { here } = pair({ isAlone: true, authenticate });
    withoutOwnEngine(here);
    expect((await here.post(silver)).status).toBe(502);
  });

  test("when it drains: the next rung answers", async () => {
    const { here, there } = pair();
    there.door.lifecycle.enter("draining");
    const response = await here.post(silver);
    expect(response.headers.get("x-tierline-endpoint")).toBe("gold-1/vllm");
    expect(response.headers.get("x-tierline-because")).toBe("fallback-from-silver");
    expect(there.engine.requests).toHaveLength(0);
  });

  test("when it has no engine of that name any more: the next rung answers", async () => {
    const { here } = pair({ name: "silver-2" });
    expect((await here.post(silver)).headers.get("x-tierline-endpoint")).toBe("gold-1/vllm");
  });
});

describe("a forwarded request", () => {
  test("goes no further, though its receiver knows peers and its own engine is full", async () => {
    const { here, there } = pair({ slots: 1, reply: { hangs: true } }, { slots: 1 });
    there.addPeer("silver", "gold-1", here.url);
    void there.post(silver).catch(() => undefined);
    while (there.endpoint.inflight === 0) await Bun.sleep(1);
    const response = await here.post(silver);
    expect(response.headers.get("x-tierline-endpoint")).toBe("gold-1/vllm");
    expect(there.peerWire.requests).toHaveLength(0);
    expect(there.endpoint.waiting).toBe(0);
  });

  test("is one request of the fleet: counted where the caller asked, and apart where it was answered", async () => {
    const { here, there } = pair();
    await here.post(silver);
    const counted = [here, there].map(({ door }) =>
      door.registry
        .expose()
        .split("\n")
        .filter((line) => /^tierline_(forwarded_)?requests_total\{/.test(line)),
    );
    expect(counted).toEqual([
      ['tierline_requests_total{sla="interactive",tier="silver",locality="peer",outcome="ok"} 1'],
      ['tierline_forwarded_requests_total{tier="silver",body="request",outcome="ok"} 1'],
    ]);
  });
});

test("a draining host hands its callers to its peer until it closes, and none of them notices", async () => {
  const { here, there } = pair({ slots: 8 });
  here.door.lifecycle.end();
  const answers = await Promise.all(Array.from({ length: 8 }, () => here.post(silver)));
  expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
  expect(there.engine.requests).toHaveLength(8);
  expect(here.door.lifecycle.active).toBe(0);
});
