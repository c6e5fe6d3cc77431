// GET /api/fleet before a fleet in every state: who is a member, and how each endpoint stands in this router's eyes.

import { describe, expect, test } from "bun:test";
import { Hono } from "hono";
import { seededRandom } from "../../src/base/random.ts";
import { fleetAnswer } from "../../src/cli/fleet-answers.ts";
import type { Advert } from "../../src/fleet/advert.ts";
import type { EndpointState } from "../../src/fleet/endpoint-state.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import { alone } from "../../src/http/alone.ts";
import type { MemberFacts } from "../../src/http/door.ts";
import { addFleetApi } from "../../src/http/fleet-api.ts";
import { createLifecycle } from "../../src/http/lifecycle.ts";
import { createArchetypes } from "../../src/intents/archetype.ts";
import { advertWith, engineThere } from "../support/adverts.ts";
import { guard } from "../support/archetypes.ts";
import { cacheEntry, scriptedCache } from "../support/scripted-cache.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const archetypes = createArchetypes([guard]);
const engine = engineThere({
  tier: "silver",
  load: { at: 1, inflight: 4, waiting: 1, kvPercent: 30, firstByteMs: 15 },
});
const advert = advertWith([engine], { zone: "a", intents: { entries: 7, epoch: archetypes.epoch } });

function scene(members: readonly Partial<MemberFacts>[] | undefined) {
  const clock = virtualClock();
  const random = seededRandom(1);
  const spec = { name: "here/vllm", tier: "gold", locality: "local", slots: 4, queueLimit: 4 } as const;
  const fleet = createFleet([{ spec, identity: "1", models: ["m"] }], { name: "here", zone: "a" });
  const lifecycle = createLifecycle();
  lifecycle.enter("ready");
  const facts = members?.map(
    (member): MemberFacts => ({
      name: "there",
      isSelf: false,
      state: "alive",
      incarnation: 3,
      advert,
      ...member,
    }),
  );
  for (const { name, state, advert: said, isSelf } of facts ?? []) {
    if (!isSelf) fleet.setPeer({ name, boot: "1", state, advert: said, advertAt: clock.now() }, clock.now());
  }
  const single = alone("here");
  const app = new Hono();
  addFleetApi(app, {
    cluster: facts === undefined ? single : { ...single, members: () => facts },
    self: () => ({ public: "http://127.0.0.1:8010", zone: "a" }),
    fleet,
    lifecycle,
    caches: { intents: scriptedCache({ entries: [cacheEntry("guard/1")] }), results: scriptedCache() },
    intents: { archetypes },
    clock,
  });
  const ask = async () => {
    const response = await app.request("/api/fleet");
    // As `tierline status` reads it, so that the two cannot part.
    return fleetAnswer.parse(await response.json());
  };
  const named = (name: string): EndpointState => {
    const endpoint = fleet.named(name);
    if (endpoint === undefined) throw new Error(`no ${name}`);
    return endpoint;
  };
  const call = (name: string, firstByteMs: number, stream = true): void => {
    named(name).begin("m", stream, fleet.nextPick(), clock.now());
    named(name).end(
      { kind: "ok", model: "m", stream, firstByteMs, totalMs: firstByteMs },
      clock.now(),
      random,
    );
  };
  return { ask, clock, lifecycle, fleet, named, call };
}

const self = { name: "here", isSelf: true, advert: { ...advert, public: "http://10.0.0.1:8010" } };

describe("GET /api/fleet", () => {
  test("of a router in no fleet has itself, its engines and its intent table", async () => {
    const { ask } = scene(undefined);
    expect(await ask()).toEqual({
      self: "here",
      phase: "ready",
      panic: false,
      members: [
        {
          name: "here",
          state: "alive",
          incarnation: 0,
          public: "http://127.0.0.1:8010",
          zone: "a",
          state_age_ms: null,
          news_age_ms: null,
          accused: null,
          draining: false,
          intents: { entries: 1, epoch: archetypes.epoch, same_epoch: true },
          tiers: ["gold"],
          endpoints: [
            {
              name: "here/vllm",
              tier: "gold",
              locality: "local",
              models: ["m"],
              slots: 4,
              inflight: 0,
              waiting: 0,
              kv_percent: null,
              pressure: 0,
              state: "ok",
              there: null,
              breaker: "closed",
              calls: 0,
              calls_in_flight: 0,
              first_byte_p50_ms: null,
              first_byte_p99_ms: null,
              whole_p50_ms: null,
              whole_p99_ms: null,
              said_p50_ms: null,
            },
          ],
        },
      ],
    });
  });

  test("has itself first, then its peers by name, each with what it says of itself", async () => {
    const { ask, clock } = scene([{ name: "b" }, self, { name: "a", newsAt: 999_900, stateSince: 990_000 }]);
    await clock.advance(100);
    const { members } = await ask();
    expect(members.map(({ name }) => name)).toEqual(["here", "a", "b"]);
    expect(members[0]?.public).toBe("http://10.0.0.1:8010");
    expect(members[1]).toMatchObject({
      state: "alive",
      draining: false,
      incarnation: 3,
      public: "http://10.0.0.2:8010",
      zone: "a",
      state_age_ms: 10_100,
      news_age_ms: 200,
      intents: { entries: 7, epoch: archetypes.epoch, same_epoch: true },
      tiers: ["silver"],
      endpoints: [{ name: "a/vllm", slots: 8, inflight: 4, waiting: 1, kv_percent: 30, said_p50_ms: 15 }],
    });
  });

  test("counts what this router has sent there, and times it by streams and by whole answers", async () => {
    const { ask, named, call, fleet, clock } = scene([self, {}]);
    for (let index = 0; index < 10; index += 1) call("there/vllm", 20);
    for (let index = 0; index < 5; index += 1) call("there/vllm", 500, false);
    named("there/vllm").begin("m", true, fleet.nextPick(), clock.now());
    const [row] = (await ask()).members[1]?.endpoints ?? [];
    expect(row).toMatchObject({ calls: 16, calls_in_flight: 1 });
    expect(row?.first_byte_p50_ms).toBeWithin(20, 26);
    expect(row?.first_byte_p99_ms).toBeWithin(20, 26);
    expect(row?.whole_p50_ms).toBeWithin(500, 620);
  });

  test("says why an endpoint gets nothing, and how its own router calls it", async () => {
    const silent: Advert = { ...advert, engines: [{ ...engine, state: "silent" }] };
    const { ask, named, clock } = scene([self, { name: "a", advert: silent }, { name: "b" }]);
    named("here/vllm").setHealth("unhealthy", clock.now());
    const states = async () => (await ask()).members.map(({ endpoints: [row] }) => [row?.state, row?.there]);
    expect(await states()).toEqual([
      ["unhealthy", null],
      ["troubled-there", "silent"],
      ["ok", "ok"],
    ]);
    await clock.advance(10_001);
    expect((await states())[2]).toEqual(["stale", "ok"]);
  });

  test("shows a suspect with its accuser, and a dead host with the tiers that went with it", async () => {
    const accused = { by: "c", why: "connect-timeout" };
    const { ask } = scene([
      self,
      { name: "a", state: "suspect", accused },
      { name: "b", state: "dead", accused },
      // A claim keeps what was said before it spoke up.
      { name: "c", accused },
    ]);
    const { members, panic } = await ask();
    expect(panic).toBe(false);
    expect(members[1]).toMatchObject({ state: "suspect", accused, endpoints: [{ state: "suspect" }] });
    expect(members[2]).toMatchObject({ state: "dead", accused, tiers: ["silver"], endpoints: [] });
    expect(members[3]?.accused).toBeNull();
  });

  test("tells intents of other archetypes from its own, and takes a peer without an advert as it is", async () => {
    const other = { ...advert, intents: { entries: 1, epoch: archetypes.epoch + 1 } };
    const { ask } = scene([self, { name: "a", advert: other }, { name: "b", advert: undefined }]);
    const { members } = await ask();
    expect(members[1]?.intents).toEqual({ entries: 1, epoch: archetypes.epoch + 1, same_epoch: false });
    expect(members[2]).toMatchObject({
      public: null,
      intents: null,
      tiers: [],
      endpoints: [],
      draining: false,
    });
  });

  test("of a draining router says so of itself and of its engines", async () => {
    const { ask, lifecycle } = scene([self, { advert: { ...advert, draining: true } }]);
    lifecycle.enter("draining");
    const { phase, members } = await ask();
    expect(phase).toBe("draining");
    expect(members).toMatchObject([
      { draining: true, endpoints: [{ state: "draining" }] },
      { draining: true, endpoints: [{ state: "draining" }] },
    ]);
  });
});
