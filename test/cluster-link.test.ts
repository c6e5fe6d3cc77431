// Two routers that gossip tells of each other, joined to their fleets as in the product: what each may ask the other.

import { expect, test } from "bun:test";
import { systemClock } from "../src/base/clock.ts";
import { Departure } from "../src/base/departure.ts";
import { seededRandom } from "../src/base/random.ts";
import type { ClusterLink } from "../src/cluster-link.ts";
import { createClusterLink } from "../src/cluster-link.ts";
import { createFleet } from "../src/fleet/fleet.ts";
import { createQuarantine } from "../src/fleet/quarantine.ts";
import { listen } from "../src/http/listen.ts";
import { createPublicApp } from "../src/http/public.ts";
import { cleanup } from "./support/cleanup.ts";
import { deskScene } from "./support/desk-scene.ts";
import { npcDoor } from "./support/npc-door.ts";
import { keyed } from "./support/seals.ts";
import { until } from "./wire/reading.ts";

const ends = cleanup();

function router(name: string, seeds: readonly string[] = []) {
  const base = npcDoor(() => undefined);
  const link: ClusterLink = createClusterLink({
    clock: systemClock,
    random: seededRandom(name.length),
    log: base.log,
    config: {
      fleet: "test",
      seeds: seeds.map((address) => ({ kind: "address", address })),
      advertise: { host: "127.0.0.1" },
      keys: keyed(["the-first-secret"]),
    },
    name,
    zone: undefined,
    listening: "127.0.0.1",
    fleet: createFleet([], { name, zone: undefined }),
    quarantine: createQuarantine(),
    draining: () => false,
    intents: () => undefined,
    refused: () => undefined,
    events: {
      membership: () => undefined,
      endpointsChanged: () => undefined,
      cleared: () => undefined,
    },
  });
  const lane = ends(deskScene(systemClock, { member: name }));
  const door = { ...base, desk: lane.desk, cluster: link.door, askMember: link.askMember };
  const at = { hostname: "127.0.0.1", port: 0 };
  const gossip = listen(link.app, at, base.log);
  const players = listen(createPublicApp(door), at, base.log);
  ends({
    async stop() {
      link.stop();
      await Promise.all([gossip.stop(true), players.stop(true)]);
    },
  });
  link.start({
    gossip: gossip.url,
    public: players.url,
    memory: { incarnation: undefined, peers: [] },
    remember: () => undefined,
  });
  const ask = (member: string, path = "/v1/jobs?limit=1") =>
    link.askMember.ask({
      member,
      method: "GET",
      path,
      caller: "lobby",
      leftMs: 60_000,
      signal: new Departure(),
    });
  return { link, ask, door, order: lane.order, seed: new URL(gossip.url).host };
}

test("members that have heard of each other ask each other about jobs, until one has left", async () => {
  const first = router("gold-1");
  expect(await first.ask("gold-2")).toHaveProperty("unreachable");
  const second = router("gold-2", [first.seed]);
  const others = () => [first, second].map(({ link }) => link.askMember.others());
  await until(() => others().flat().length === 2, 10_000);
  expect(others()).toEqual([["gold-2"], ["gold-1"]]);
  expect(await first.ask("gold-2")).toHaveProperty("status", 200);
  expect(await second.ask("gold-1")).toHaveProperty("status", 200);

  const ordered = await second.order();
  if (ordered.kind !== "accepted") throw new Error(`the order is ${ordered.kind}`);
  const waiting = first.ask("gold-2", `/v1/jobs/${ordered.job.id}?wait=50`);
  await until(() => second.door.lifecycle.active === 1);
  await second.link.leave();
  expect(await waiting).toHaveProperty("unreachable");
  await until(() => first.link.askMember.others().length === 0, 10_000);
  expect(await first.ask("gold-2")).toHaveProperty("unreachable");
}, 30_000);
