// The ways to peers' endpoints as they come, change and go, over real sockets to a router that is scripted.

import { expect, test } from "bun:test";
import { systemClock } from "../src/base/clock.ts";
import { seededRandom } from "../src/base/random.ts";
import type { Asked } from "../src/engines/look.ts";
import type { EndpointState } from "../src/fleet/endpoint-state.ts";
import { createFleet } from "../src/fleet/fleet.ts";
import { createForwardSeals, loadHeader, peerHeader, peerRefusedHeader } from "../src/host/forwarded.ts";
import { createPeerLinks } from "../src/peer-links.ts";
import { createLog } from "../src/telemetry/log.ts";
import { WireError } from "../src/wire/wire-error.ts";
import { advertWith, engineThere } from "./support/adverts.ts";
import { cleanup } from "./support/cleanup.ts";
import type { RawConnection } from "./support/raw-server.ts";
import { startRawServer } from "./support/raw-server.ts";
import { sealing } from "./support/seals.ts";
import { textOf, until } from "./wire/reading.ts";

const ends = cleanup();
const asked: Asked = { path: "/v1/chat/completions", model: "m" };
const hint = `${loadHeader}: 1 0 0 - -\r\n`;
const said = (status: number, headers: string): string =>
  `HTTP/1.1 ${status} Said\r\n${headers}content-length: 2\r\n\r\n{}`;

interface Told {
  readonly boot?: string;
  readonly slots?: number;
  readonly engines?: readonly string[];
}

/** One peer that answers every request as `answer` says at the time, or not at all. */
function scene() {
  const sealsOf = (name: string) => createForwardSeals(sealing(systemClock, { name }));
  const receiver = sealsOf("gold-2");
  const settings = { answer: said(200, hint) as string | undefined };
  const claims: { endpoint: string; body: string; connection: number; model: string }[] = [];
  const serve = async (connection: RawConnection): Promise<void> => {
    for (let request = await connection.request(); request; request = await connection.request()) {
      const seal = new RegExp(`^${peerHeader}: (.*)$`, "im").exec(request.head)?.[1]?.trim() ?? "";
      const opened = receiver.open("POST /v1/chat/completions", seal);
      if ("refused" in opened) throw new Error(`the seal is ${opened.refused}`);
      const { endpoint, model } = opened.claim;
      claims.push({ endpoint, model, body: request.body.toString(), connection: connection.index });
      if (settings.answer !== undefined) connection.write(settings.answer);
    }
  };
  const server = ends(startRawServer(serve));
  const fleet = createFleet([], { name: "gold-1", zone: undefined });
  const back: string[] = [];
  const links = createPeerLinks({
    clock: systemClock,
    random: seededRandom(1),
    log: createLog("silent").log,
    seals: sealsOf("gold-1"),
    onBack: ({ spec }) => back.push(spec.name),
  });
  ends(links);
  const tell = ({ boot = "1", slots = 4, engines = ["vllm"] }: Told = {}): readonly EndpointState[] => {
    const advert = advertWith(
      engines.map((name) => engineThere({ name, slots })),
      { public: `http://127.0.0.1:${server.port}` },
    );
    const now = systemClock.now();
    const changed = fleet.setPeer({ name: "gold-2", boot, state: "alive", advert, advertAt: now }, now);
    return changed ? links.sync(fleet.endpoints, false) : [];
  };
  const linked = (name = "gold-2/vllm") => {
    const endpoint = fleet.named(name);
    const found = endpoint && links.of(endpoint);
    if (endpoint === undefined || found === undefined) throw new Error(`${name} is not linked`);
    return { endpoint, ...found };
  };
  const request = () => {
    const { client, peer } = linked().link;
    if (peer === undefined) throw new Error("linked as an engine of this host");
    return client.request({
      method: "POST",
      path: "/v1/chat/completions",
      headers: [],
      body: [],
      forwarding: {
        claim: { caller: undefined, tier: "gold", endpoint: peer.spec.name, model: "any", body: "request" },
        deadline: systemClock.now() + 1000,
      },
    });
  };
  return { settings, claims, server, fleet, links, back, tell, linked, request };
}

test("an endpoint keeps its link while it is told of again, and others of its host share its wire", () => {
  const { tell, linked } = scene();
  tell();
  const first = linked();
  expect(tell({ engines: ["vllm", "vllm-2"] })).toEqual([]);
  expect(linked().lookout).toBe(first.lookout);
  expect(linked("gold-2/vllm-2").link.client).toBe(linked().link.client);
  expect(linked("gold-2/vllm-2").lookout).not.toBe(first.lookout);
});

test("a look asks that very endpoint for one token, sealed, on a connection of its own", async () => {
  const { tell, linked, claims } = scene();
  tell({ engines: ["vllm", "vllm-2"] });
  const { lookout } = linked("gold-2/vllm-2");
  for (let turn = 0; turn < 2; turn += 1) expect(await lookout.look(asked, 1000)).toBe("answered");
  expect(claims).toMatchObject([
    { endpoint: "gold-2/vllm-2", model: "any", connection: 0 },
    { endpoint: "gold-2/vllm-2", model: "any", connection: 1 },
  ]);
  expect(JSON.parse(claims[0]?.body ?? "")).toMatchObject({ max_tokens: 1 });
});

for (const [what, answer, verdict] of [
  ["an engine's 404", said(404, hint), "answered"],
  ["a router that is full", said(429, `${hint}${peerRefusedHeader}: tier_overloaded\r\n`), "refused"],
  ["a router whose engine is gone", said(503, `${peerRefusedHeader}: no_endpoint\r\n`), "refused"],
  ["a router with another key", said(403, `${peerRefusedHeader}: wrong-key\r\n`), "refused"],
  ["a program that is no router of the fleet", said(404, ""), "refused"],
  ["nothing", undefined, "silent"],
] as const) {
  test(`a look at ${what} says ${verdict}`, async () => {
    const { tell, linked, settings } = scene();
    settings.answer = answer;
    tell();
    expect(await linked().lookout.look(asked, verdict === "silent" ? 30 : 1000)).toBe(verdict);
  });
}

test("a watched endpoint that answers is watched no longer, and whoever waits is told", async () => {
  const { tell, linked, settings, claims, back } = scene();
  settings.answer = said(503, `${peerRefusedHeader}: no_endpoint\r\n`);
  tell();
  linked().lookout.watch(asked);
  await until(() => claims.length === 1);
  expect(back).toEqual([]);
  settings.answer = said(200, hint);
  await until(() => back.length === 1);
  await Bun.sleep(20);
  expect([back, claims.length]).toEqual([["gold-2/vllm"], 2]);
});

test("what is gone is answered, asked nothing more, and its requests in flight go on", async () => {
  const { tell, linked, links, fleet, settings, claims, server, request } = scene();
  tell();
  const { endpoint, lookout } = linked();
  settings.answer = undefined;
  const exchange = request();
  lookout.watch(asked);
  await until(() => claims.length === 2);
  const gone = { name: "gold-2", boot: "1", state: "left", advert: undefined, advertAt: 0 } as const;
  fleet.setPeer(gone, systemClock.now());
  expect(links.sync(fleet.endpoints, false)).toEqual([endpoint]);
  expect(links.of(endpoint)).toBeUndefined();
  // The question's connection is closed, the request's is not.
  await until(() => server.openCount() === 1);
  server.connections[0]?.write(said(200, hint));
  expect(await textOf((await exchange.response).body)).toBe("{}");
  expect(links.sync(fleet.endpoints, false)).toEqual([]);
});

test("what has died takes its requests in flight along, at once", async () => {
  const { tell, links, fleet, settings, claims, request } = scene();
  tell();
  settings.answer = undefined;
  const exchange = request();
  await until(() => claims.length === 1);
  const dead = { name: "gold-2", boot: "1", state: "dead", advert: undefined, advertAt: 0 } as const;
  fleet.setPeer(dead, systemClock.now());
  links.sync(fleet.endpoints, true);
  const error = await exchange.response.catch((failure: unknown) => failure);
  expect(error).toBeInstanceOf(WireError);
  expect(String(error)).toContain("gold-2 is gone from the fleet");
});

test("an endpoint that goes is watched no longer, though its host stays", async () => {
  const { tell, linked, settings, claims } = scene();
  settings.answer = said(503, `${peerRefusedHeader}: no_endpoint\r\n`);
  tell({ engines: ["vllm", "vllm-2"] });
  linked("gold-2/vllm-2").lookout.watch(asked);
  await until(() => claims.length === 1);
  expect(tell().map(({ spec }) => spec.name)).toEqual(["gold-2/vllm-2"]);
  // Longer than from one question to the next.
  await Bun.sleep(650);
  expect(claims).toHaveLength(1);
});

test("another run of the same host is another host, with another wire", async () => {
  const { tell, linked } = scene();
  tell();
  const before = linked();
  expect(tell({ boot: "2" })).toEqual([before.endpoint]);
  expect(linked().endpoint).not.toBe(before.endpoint);
  expect(linked().link.client).not.toBe(before.link.client);
});
