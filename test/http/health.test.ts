// What /health says: of this host's own engines, and of who is in the fleet.

import { describe, expect, test } from "bun:test";
import { createFleet } from "../../src/fleet/fleet.ts";
import { alone } from "../../src/http/alone.ts";
import type { JobsHealth } from "../../src/http/door.ts";
import { health, ready } from "../../src/http/health.ts";
import type { Phase } from "../../src/http/lifecycle.ts";
import { createLifecycle } from "../../src/http/lifecycle.ts";
import { advertWith, engineThere, idleLoad } from "../support/adverts.ts";
import { noStrain } from "../support/strain.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const advert = advertWith([engineThere({ tier: "silver", load: { ...idleLoad, inflight: 8 } })]);
const counts = { alive: 2, suspect: 0, dead: 1, left: 4 };

const jobs: JobsHealth = {
  runner: "local",
  byStatus: { queued: 3, running: 1, succeeded: 9, failed: 2, expired: 0, cancelled: 0 },
  oldestSeconds: 12,
  storeTrouble: undefined,
};

function scene(slots: number | undefined, phase: Phase = "ready", lane?: JobsHealth) {
  const clock = virtualClock();
  const spec = { name: "here/vllm", tier: "gold", locality: "local", queueLimit: 4 } as const;
  const own = slots === undefined ? [] : [{ spec: { ...spec, slots }, identity: "1", models: ["m"] }];
  const fleet = createFleet(own, { name: "here", zone: undefined });
  fleet.setPeer({ name: "there", boot: "1", state: "alive", advert, advertAt: clock.now() }, clock.now());
  fleet.named("there/vllm")?.begin("m", true, fleet.nextPick(), clock.now());
  const lifecycle = createLifecycle();
  lifecycle.enter(phase);
  const ask = async () => {
    const cluster = { ...alone("here"), counts: () => counts };
    const response = health({
      fleet,
      lifecycle,
      clock,
      cluster,
      strain: noStrain,
      lane: lane && { health: () => lane },
    });
    const text = await response.text();
    // A line of its own in a terminal.
    expect(text).toEndWith("}\n");
    expect(response.headers.get("content-type")).toBe("application/json;charset=utf-8");
    const body: unknown = JSON.parse(text);
    return { status: response.status, body };
  };
  return { ask, use: () => fleet.named("here/vllm")?.begin("m", true, fleet.nextPick(), clock.now()) };
}

describe("/health", () => {
  test("counts this host's own engines, whatever peers have, and all members", async () => {
    const { ask, use } = scene(4);
    use();
    expect(await ask()).toEqual({
      status: 200,
      body: {
        status: "ok",
        pool: { used: 1, limit: 4, utilization: 0.25 },
        tiers: { gold: { available: 1, endpoints: 1, used: 1, limit: 4, utilization: 0.25 } },
        members: counts,
      },
    });
  });

  test("of a host without engines is ok: it is a door", async () => {
    expect(await scene(undefined).ask()).toEqual({
      status: 200,
      body: { status: "ok", pool: { used: 0, limit: 0, utilization: 0 }, tiers: {}, members: counts },
    });
  });

  test("is degraded above 90 % of its own pool", async () => {
    const { ask, use } = scene(1);
    use();
    expect(await ask()).toMatchObject({ status: 503, body: { status: "degraded" } });
  });

  test("says how the async lane stands", async () => {
    expect((await scene(4, "ready", jobs).ask()).body).toMatchObject({
      jobs: { runner: "local", queued: 3, running: 1, oldest_seconds: 12, store: "ok" },
    });
  });

  test("is ok whatever ails the async lane, and says what does", async () => {
    const storeTrouble = "The disk under the job file is full.";
    const endpoint = { status: "Failed", why: "no capacity" };
    expect(await scene(4, "ready", { ...jobs, storeTrouble, endpoint }).ask()).toMatchObject({
      status: 200,
      body: { status: "ok", jobs: { store: storeTrouble, endpoint } },
    });
  });

  for (const phase of ["starting", "draining"] as const) {
    test(`is 503 while ${phase}, with the same body`, async () => {
      expect(await scene(4, phase).ask()).toMatchObject({
        status: 503,
        body: { status: phase, pool: { limit: 4 }, members: counts },
      });
    });
  }
});

test("a host that refuses requests is degraded and not ready, and says what it is short of", async () => {
  const lifecycle = createLifecycle();
  lifecycle.enter("ready");
  const strain = { closing: true, shedding: "memory", refused: () => undefined } as const;
  const parts = { fleet: createFleet([]), lifecycle, clock: virtualClock(), cluster: alone("here") };
  const told = health({ ...parts, strain });
  expect(told.status).toBe(503);
  expect(await told.json()).toMatchObject({ status: "degraded", short_of: "memory" });
  const readiness = ready({ lifecycle, strain });
  expect([readiness.status, await readiness.text()]).toEqual([503, "short of memory\n"]);
  // Closing connections is no reason to send callers away.
  const closing = { ...strain, shedding: undefined };
  expect([
    health({ ...parts, strain: closing }).status,
    ready({ lifecycle, strain: closing }).status,
  ]).toEqual([200, 200]);
});
