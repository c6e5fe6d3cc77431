// Who is refused by the headers alone while there is no room, and who is not.

import { afterEach, expect, test } from "bun:test";
import type { Dispatched } from "../../src/dispatch/dispatched.ts";
import type { Holds } from "../../src/fleet/flows.ts";
import type { Forwarding } from "../support/forwarding.ts";
import { openForwarding } from "../support/forwarding.ts";

let open: Forwarding[] = [];
afterEach(async () => {
  for (const host of open) await host.stop();
  open = [];
});

const journey = { tried: [], queuedMs: 0, engineMs: 0 };
const shed: Dispatched = {
  kind: "refusal",
  code: "tier_overloaded",
  message: "full",
  retryAfterMs: 100,
  journey: { ...journey, because: "queue-full" },
};
const again: Dispatched = {
  kind: "answer",
  status: 200,
  headers: [["content-type", "application/json"]],
  body: Buffer.from("{}"),
  answeredBy: { name: "gold-1/vllm", tier: "gold", locality: "local" },
  attempts: 0,
  answeredAt: 0,
  journey: { ...journey, because: "cached" },
  cache: "hit",
  ageMs: 1,
};

const flood: Holds = { flow: { session: "flood" } };

/** Its one engine has two slots and four places, all taken, by nobody in particular unless said. */
function crowded(holds: Holds = { flow: {} }) {
  const seen = { dispatched: 0 };
  const host = openForwarding({
    dispatch: ({ body }) => {
      seen.dispatched += 1;
      return Promise.resolve(Buffer.from(body).includes("again") ? again : shed);
    },
  });
  open.push(host);
  const { endpoint, door } = host;
  for (let turn = 0; turn < 2; turn += 1) endpoint.begin("m", false, turn, door.clock.now(), holds);
  for (let turn = 0; turn < 4; turn += 1)
    endpoint.enterRoom(holds, Number.POSITIVE_INFINITY, door.clock.now());
  const ask = async (body: unknown, headers: Record<string, string> = {}) => {
    const response = await host.post(body, undefined, headers);
    await response.arrayBuffer();
    return response;
  };
  return { ...host, seen, ask };
}

/** Whoever reads it says 400. */
const unreadable = "{";
const plain = { model: "m" };

test("a body is not read while requests like it are being refused, and is again 250 ms later", async () => {
  const { ask, seen } = crowded();
  expect((await ask(unreadable)).status).toBe(400);
  expect((await ask(plain)).status).toBe(429);
  const early = await ask(unreadable);
  expect([early.status, early.headers.get("x-tierline-because")]).toEqual([429, "queue-full"]);
  expect(early.headers.get("x-should-retry")).toBe("true");
  expect(Number(early.headers.get("retry-after-ms"))).toBeGreaterThan(0);
  expect(early.headers.get("server-timing")).toContain("total;dur=");
  expect(early.headers.has("x-request-id")).toBe(true);
  expect(seen.dispatched).toBe(1);
  await Bun.sleep(260);
  expect((await ask(unreadable)).status).toBe(400);
});

test("an early refusal counts as any other, under the class that the headers name", async () => {
  const { ask, door } = crowded();
  await ask(plain);
  await ask(unreadable);
  await ask(unreadable, { "x-tierline-sla": "realtime" });
  const text = door.registry.expose();
  expect(text).toContain('tierline_shed_total{sla="none",because="queue-full"} 1');
  expect(text).toContain('tierline_shed_total{sla="realtime",because="queue-full"} 1');
  expect(text).toContain('tierline_shed_total{sla="interactive",because="queue-full"} 1');
});

test("refusals by the headers do not keep themselves in force", async () => {
  const { ask } = crowded();
  await ask(plain);
  let statuses = "";
  for (let turn = 0; turn < 8; turn += 1) {
    statuses += ` ${(await ask(unreadable)).status}`;
    await Bun.sleep(50);
  }
  expect(statuses).toStartWith(" 429");
  expect(statuses).toEndWith("400");
});

test("a player for whom somebody would make room is asked in", async () => {
  const { ask } = crowded(flood);
  await ask(plain);
  expect((await ask(unreadable, { "x-tierline-session": "flood" })).status).toBe(429);
  expect((await ask(unreadable, { "x-tierline-session": "another" })).status).toBe(400);
});

test("so is whoever names no session in a header while one session floods: the body may name his", async () => {
  const { ask } = crowded(flood);
  await ask(plain);
  expect((await ask(unreadable)).status).toBe(400);
  const tooLong = "x".repeat(257);
  expect((await ask(unreadable, { "x-tierline-session": tooLong })).status).toBe(400);
});

test("bodies are read while answers are being given again, but for callers who take none", async () => {
  const { ask } = crowded();
  await ask({ ...plain, again: true });
  await ask(plain);
  expect((await ask(unreadable)).status).toBe(400);
  expect((await ask(unreadable, { "cache-control": "no-store" })).status).toBe(429);
});

test("what a peer forwards, and headers that are wrong, are told what they always are", async () => {
  const { ask, post, claim } = crowded();
  await ask(plain);
  expect((await post(unreadable, claim())).status).toBe(400);
  expect((await ask(plain, { "x-tierline-sla": "platinum" })).status).toBe(400);
  expect((await ask(plain, { "x-tierline-deadline-ms": "-1" })).status).toBe(400);
});
