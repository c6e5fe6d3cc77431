// Three compiled routers on loopback as one fleet: who sees whom, which engine answers, what spreads, who is turned away.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { Fault } from "../../playground/simulated/faults.ts";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { Forwarded, ForwardSeals } from "../../src/host/forwarded.ts";
import { createForwardSeals, peerHeader, peerRefusedHeader } from "../../src/host/forwarded.ts";
import { gossipBounds, gossipSubject, sealHeader } from "../../src/host/gossip-wire.ts";
import { createSeals, randomNonce } from "../../src/host/sealed-message.ts";
import { chat, messages, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import type { Fleet, FleetHost } from "../support/fleet.ts";
import { fleetName, startFleet } from "../support/fleet.ts";
import { measured } from "../support/measured.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import { sealing } from "../support/seals.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

setDefaultTimeout(30_000);

const ends = cleanup();
const dir = mkdtempSync(join(tmpdir(), "tierline-keys-"));
/** `lobby` is known at gold-1 and nowhere else. */
const everybody = { authorization: "Bearer everybodys-key-0123456789" };
const lobby = { authorization: "Bearer the-lobbys-own-key-0123456789" };

let fleet: Fleet;
let gold1: FleetHost;
let gold2: FleetHost;
let silver1: FleetHost;
const told = (act: () => Promise<void>) => () => fleet.told(act)();

beforeAll(async () => {
  writeFileSync(join(dir, "all"), "everybody:everybodys-key-0123456789\n");
  writeFileSync(
    join(dir, "gold-1"),
    "everybody:everybodys-key-0123456789\nlobby:the-lobbys-own-key-0123456789\n",
  );
  const auth = (file: string): string =>
    `[auth]\nmode = "keys"\nkeys_file = ${JSON.stringify(join(dir, file))}\n`;
  fleet = await startFleet({
    hosts: [
      { name: "gold-1", tiers: ["gold"], config: auth("gold-1") },
      { name: "gold-2", tiers: ["gold"], config: auth("all") },
      { name: "silver-1", tiers: ["silver"], config: auth("all") },
    ],
  });
  gold1 = fleet.host("gold-1");
  gold2 = fleet.host("gold-2");
  silver1 = fleet.host("silver-1");
}, 30_000);

afterAll(async () => {
  await fleet?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const ask = (host: FleetHost, body: object = {}, headers: Readonly<Record<string, string>> = {}) =>
  host.chat(body, { ...everybody, ...headers });

const modelList = z.object({ data: z.array(z.object({ id: z.string() })) });
async function modelsAt(host: FleetHost): Promise<string[]> {
  const response = await host.get("/v1/models", { headers: everybody });
  return modelList.parse(await response.json()).data.map(({ id }) => id);
}

const others = (host: FleetHost): FleetHost[] => fleet.hosts.filter((each) => each !== host);

/** However it ends, the next test finds the engine well. */
async function suffering(host: FleetHost, fault: Fault, act: () => Promise<void>): Promise<void> {
  const [engine] = host.engines;
  await engine?.fault(fault);
  try {
    await act();
  } finally {
    await engine?.fault();
  }
}

describe("three hosts", () => {
  test(
    "see one another: /api/fleet, /health and the metrics of each say three alive",
    told(async () => {
      for (const host of fleet.hosts) {
        const members = await host.members();
        expect(members.map(({ name }) => name).sort()).toEqual(["gold-1", "gold-2", "silver-1"]);
        expect(await (await host.get("/health")).json()).toMatchObject({
          status: "ok",
          members: { alive: 3, suspect: 0, dead: 0, left: 0 },
        });
        expect(await host.router.metric("tierline_members", { state: "alive" })).toBe(3);
      }
    }),
  );

  test(
    "each list the models of all in /v1/models",
    told(async () => {
      for (const host of fleet.hosts) {
        await until(`${host.name} lists both`, async () => {
          const models = await modelsAt(host);
          return models.includes("small") && models.includes("large");
        });
      }
    }),
  );

  test(
    "a host uses its own engine first",
    told(async () => {
      for (const host of [gold1, gold2]) {
        const response = await ask(host);
        expect(response.status).toBe(200);
        expect(response.headers.get("x-tierline-endpoint")).toBe(`${host.name}/vllm`);
        expect(response.headers.get("x-tierline-locality")).toBe("local");
        expect(response.headers.get("x-tierline-because")).toBe("local-first");
      }
    }),
  );

  test.each([
    [
      "a Gold-only host answers a Silver request through the Silver peer",
      "gold-1",
      "silver",
      ["silver-1/vllm"],
    ],
    [
      "a Silver-only host answers a Gold request through a Gold peer",
      "silver-1",
      "gold",
      ["gold-1/vllm", "gold-2/vllm"],
    ],
    ["a host answers for a model by its name that only a peer serves", "gold-2", "large", ["silver-1/vllm"]],
  ])("%s", async (_, at, model, endpoints) => {
    await told(async () => {
      for (const stream of [false, true]) {
        const response = await ask(fleet.host(at), { model, stream });
        const text = await response.text();
        expect(response.status).toBe(200);
        expect(endpoints).toContain(response.headers.get("x-tierline-endpoint") ?? "");
        expect(response.headers.get("x-tierline-locality")).toBe("peer");
        expect(response.headers.get("x-tierline-attempts")).toBe("1");
        expect(response.headers.get("x-tierline-because")).toBe("not-local");
        // What routers say to one another is not for callers.
        for (const name of ["x-tierline-load", peerHeader, peerRefusedHeader])
          expect(response.headers.get(name)).toBeNull();
        if (stream) expect(text).toEndWith("data: [DONE]\n\n");
        else expect(JSON.parse(text)).toMatchObject({ object: "chat.completion" });
      }
    })();
  });

  test(
    "a host whose engine is dead stays a door: every request is answered, through a peer",
    told(async () => {
      await suffering(gold1, { kind: "refuse" }, async () => {
        for (let asked = 0; asked < 40; asked += 1) {
          const response = await ask(gold1);
          const text = await response.text();
          expect({ asked, text, status: response.status }).toMatchObject({ status: 200 });
          expect(response.headers.get("x-tierline-endpoint")).toBe("gold-2/vllm");
        }
        expect((await gold1.get("/readyz")).status).toBe(200);
      });
      await until("its own engine answers again", async () => {
        const response = await ask(gold1);
        await response.arrayBuffer();
        return response.headers.get("x-tierline-endpoint") === "gold-1/vllm";
      });
    }),
  );

  test(
    "a forwarded request stands for its caller's key: one that only the first router knows is served by its peer",
    told(async () => {
      expect((await silver1.chat({ model: "silver" }, lobby)).status).toBe(401);
      const response = await gold1.chat({ model: "silver" }, lobby);
      expect(response.status).toBe(200);
      expect(response.headers.get("x-tierline-endpoint")).toBe("silver-1/vllm");
    }),
  );

  test(
    "a deadline travels: an engine of a peer that hangs costs its caller no more than the deadline",
    told(async () => {
      await suffering(silver1, { kind: "hang" }, async () => {
        const began = performance.now();
        const response = await ask(gold1, { model: "large" }, { "x-tierline-deadline-ms": "400" });
        const tookMs = performance.now() - began;
        expect(response.status).toBe(504);
        expect((await openAiErrorOf(response)).code).toBe("deadline_exceeded");
        // 50 ms are the promise; the rest is this machine's.
        expect(tookMs).toBeLessThan(400 + 200);
      });
    }),
  );

  test(
    "a model that nobody serves is 404, and the error names what the whole fleet serves",
    told(async () => {
      const response = await ask(gold1, { model: "nobodys" });
      expect(response.status).toBe(404);
      const { code, message } = await openAiErrorOf(response);
      expect(code).toBe("model_not_found");
      expect(message).toContain("large");
    }),
  );
});

describe("what spreads", () => {
  const stats = z.object({ results: z.looseObject({ entries: z.number() }) });
  const results = async (host: FleetHost): Promise<number> =>
    stats.parse(await (await host.admin("/api/cache/stats")).json()).results.entries;
  const clear = async (host: FleetHost, body: object): Promise<void> => {
    const response = await host.admin("/api/cache/clear", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(200);
  };
  const fill = async (): Promise<void> => {
    for (const host of fleet.hosts) {
      const response = await ask(host, { temperature: 0, seed: 7 });
      await response.arrayBuffer();
      expect(await results(host)).toBe(1);
    }
  };

  test(
    "a cache clear on one host reaches all within 2 s; with `local` it does not",
    told(async () => {
      await fill();
      await clear(gold1, { cache: "results", local: true });
      await Bun.sleep(1500);
      expect(await Promise.all(fleet.hosts.map(results))).toEqual([0, 1, 1]);
      await fill();
      await clear(gold1, { cache: "results" });
      await until(
        "all are empty",
        async () => (await Promise.all(fleet.hosts.map(results))).every((entries) => entries === 0),
        2000,
      );
    }),
  );

  test(
    "a model that appears on one host, or vanishes from it, shows in /v1/models of all within 2 s",
    told(async () => {
      const engine = ends(await startSimulatedEngine({ model: "brand-new", msPerToken: 1 }));
      await gold2.reload(engineToml("silver", engine.url, 'name = "guest"'));
      const listed = async (): Promise<boolean[]> =>
        (await Promise.all(fleet.hosts.map(modelsAt))).map((models) => models.includes("brand-new"));
      await until("all list it", async () => !(await listed()).includes(false), 2000);
      const response = await ask(silver1, { model: "brand-new" });
      expect(response.status).toBe(200);
      expect(response.headers.get("x-tierline-endpoint")).toBe("gold-2/guest");

      await gold2.reload("");
      await until("nobody lists it", async () => !(await listed()).includes(true), 2000);
      expect([404, 503]).toContain((await ask(silver1, { model: "brand-new" })).status);
    }),
  );

  test(
    "a drained host forwards what it is asked and gets nothing from its peers within 1 s; undrained it takes part again",
    told(async () => {
      expect((await gold1.cli("drain")).code).toBe(0);
      expect((await gold1.get("/readyz")).status).toBe(503);
      const response = await ask(gold1);
      expect(response.status).toBe(200);
      expect(response.headers.get("x-tierline-endpoint")).toBe("gold-2/vllm");
      await until(
        "the others know",
        async () => (await silver1.members()).some(({ name, draining }) => name === "gold-1" && draining),
        1000,
      );
      for (let asked = 0; asked < 30; asked += 1) {
        const elsewhere = await ask(silver1);
        await elsewhere.arrayBuffer();
        expect(elsewhere.headers.get("x-tierline-endpoint")).toBe("gold-2/vllm");
      }
      expect((await gold1.cli("undrain")).code).toBe(0);
      await until(
        "a peer asks it again",
        async () => {
          const again = await ask(silver1);
          await again.arrayBuffer();
          return again.headers.get("x-tierline-endpoint") === "gold-1/vllm";
        },
        10_000,
      );
    }),
  );
});

describe("a stranger", () => {
  const rejected = (host: FleetHost, because: string): Promise<number> =>
    host.router.metric("tierline_gossip_rejected_total", { because });
  const secret = (): [string] => [fleet.secret];
  const claim: Forwarded = {
    caller: "everybody",
    tier: "gold",
    endpoint: "gold-1/vllm",
    model: "exact",
    body: "request",
  };
  const path = "/v1/chat/completions";
  const forwardSeals = (keys: readonly [string, ...string[]], fleetLabel = fleetName): ForwardSeals =>
    createForwardSeals(sealing(systemClock, { name: "silver-1", fleet: fleetLabel, keys }));
  const forwardSeal = (
    keys: readonly [string, ...string[]],
    fleetLabel = fleetName,
    aheadMs = 0,
    forwarded = claim,
  ): string => forwardSeals(keys, fleetLabel).seal(`POST ${path}`, forwarded, aheadMs).header;
  const forward = (header: string, more: Readonly<Record<string, string>> = {}): Promise<Response> =>
    gold1.chat(
      { model: "small" },
      { [peerHeader]: header, "x-tierline-deadline-ms": "2000", "x-tierline-sla": "realtime", ...more },
    );

  test(
    "with the fleet's secret a forwarded request is served once, and its replay is refused and counted",
    told(async () => {
      const header = forwardSeal(secret());
      const first = await forward(header);
      expect(first.status).toBe(200);
      expect(first.headers.get("x-tierline-load")).not.toBeNull();
      const before = await rejected(gold1, "replayed");
      const again = await forward(header);
      expect(again.status).toBe(403);
      expect(again.headers.get(peerRefusedHeader)).toBe("replayed");
      expect(await rejected(gold1, "replayed")).toBe(before + 1);
    }),
  );

  test.each([
    ["sealed with another secret", (): string => forwardSeal(["a-strangers-own-secret"]), "wrong-key", 403],
    ["sealed for another fleet", (): string => forwardSeal(secret(), "other-fleet"), "wrong-fleet", 403],
    ["sealed an hour ago", (): string => forwardSeal(secret(), fleetName, -3_600_000), "stale", 401],
    [
      "without a seal",
      (): string => "hop=1;tier=gold;endpoint=gold-1/vllm;model=exact;body=request",
      "malformed",
      403,
    ],
    ["of noise", (): string => "let me in", "malformed", 403],
    [
      "whose claim was changed",
      (): string => forwardSeal(secret()).replace("caller=everybody", "caller=somebody"),
      "wrong-key",
      403,
    ],
  ] as const)("a forward header %s opens nothing, and is counted", async (_, header, why, status) => {
    await told(async () => {
      const before = await rejected(gold1, why);
      // A caller's good key does not save it: only a router of the fleet has a use for this header.
      for (const key of [{}, everybody]) {
        const response = await forward(header(), key);
        expect(response.status).toBe(status);
        expect(response.headers.get(peerRefusedHeader)).toBe(why);
        expect(response.headers.get("x-tierline-endpoint")).toBeNull();
      }
      expect(await rejected(gold1, why)).toBe(before + 2);
    })();
  });

  const encode = (message: object): Uint8Array => new TextEncoder().encode(JSON.stringify(message));
  test(
    "a peer whose clock is an hour slow is told the time, and served when it seals by that",
    told(async () => {
      const seals = forwardSeals(secret());
      const late = seals.seal(`POST ${path}`, claim, -3_600_000);
      const clock = (await forward(late.header)).headers.get(peerHeader) ?? undefined;
      const opened = seals.openClock(`POST ${path}`, claim, clock, late.nonce);
      // What it is ahead of us, which is nothing; of the slow clock that is an hour.
      expect("aheadMs" in opened && Math.abs(opened.aheadMs) < 2000).toBe(true);
      expect((await forward(seals.seal(`POST ${path}`, claim, 0).header)).status).toBe(200);
    }),
  );

  test(
    "what has been forwarded once is not forwarded again: a host tries its own engines only",
    told(async () => {
      const asked = await silver1.engines[0]?.asked();
      const elsewhere = { ...claim, tier: "silver", endpoint: "silver-1/vllm", model: "any" } as const;
      const response = await forward(forwardSeal(secret(), fleetName, 0, elsewhere));
      expect(response.status).not.toBe(200);
      expect(response.headers.get(peerRefusedHeader)).not.toBeNull();
      expect(await silver1.engines[0]?.asked()).toEqual(asked ?? []);
    }),
  );

  test("a router in no fleet ignores the header of a forwarded request", async () => {
    const engine = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
    const router = ends(await startTierline({ config: engineToml("gold", engine.url) }));
    const response = await chat(
      router.url,
      { model: "gold", messages, max_tokens: 1 },
      { headers: { [peerHeader]: forwardSeal(secret()) } },
    );
    expect(response.status).toBe(200);
    expect(response.headers.get("x-tierline-load")).toBeNull();
  });

  const gossipSeals = (keys: readonly [string, ...string[]], label = fleetName) =>
    createSeals({
      ...sealing(systemClock, { name: "silver-1", fleet: label, keys }),
      bodyBytesMost: 4 * gossipBounds.bodyBytes,
      noncesMost: 1000,
      nonce: randomNonce,
    }).about(gossipSubject);
  const send = (seal: string, body: Uint8Array): Promise<Response> =>
    gold1.gossipPost(new Uint8Array(body), { [sealHeader]: seal });

  test(
    "wrong, replayed, garbled and outsize gossip is rejected and counted, and moves no member (fault 23)",
    told(async () => {
      const before = await gold1.members();
      const body = encode({ v: [1, 1], kind: "sync" });
      const good = gossipSeals(secret());
      const refused = async (why: string, post: () => Promise<Response>): Promise<void> => {
        const count = await rejected(gold1, why);
        const response = await post();
        expect({ why, isRefused: [401, 403, 408, 413].includes(response.status) }).toEqual({
          why,
          isRefused: true,
        });
        expect({ why, count: await rejected(gold1, why) }).toEqual({ why, count: count + 1 });
      };
      await refused("wrong-key", () => send(gossipSeals(["a-strangers-own-secret"]).ask(body, 0).seal, body));
      await refused("wrong-fleet", () => send(gossipSeals(secret(), "other-fleet").ask(body, 0).seal, body));
      await refused("wrong-key", () => send(good.ask(body, 0).seal, encode({ v: [1, 1], kind: "ping" })));
      await refused("stale", () => send(good.ask(body, -3_600_000).seal, body));
      await refused("malformed", () => send("noise", body));
      const noise = crypto.getRandomValues(new Uint8Array(300));
      await refused("malformed", () => send(good.ask(noise, 0).seal, noise));
      const outsize = new Uint8Array(gossipBounds.bodyBytes + 1);
      await refused("oversize", () => send(good.ask(outsize, 0).seal, outsize));
      const { seal } = good.ask(body, 0);
      await send(seal, body);
      await refused("replayed", () => send(seal, body));

      const after = await gold1.members();
      expect(after.map(({ name, state, incarnation }) => ({ name, state, incarnation }))).toEqual(
        before.map(({ name, state, incarnation }) => ({ name, state, incarnation })),
      );
      measured(
        23,
        "bad MAC, another fleet, an hour old, replayed, garbled, oversize: 8 of 8 dropped and counted by their reason, no member moved",
      );
    }),
  );

  test(
    "the gossip listener shows a visitor nothing",
    told(async () => {
      const response = await gold1.gossipPost(new Uint8Array(), {});
      expect(response.status).toBe(403);
      expect(await response.text()).toBe("");
    }),
  );
});

describe("coming and going", () => {
  // One host each, for whoever comes and goes often is believed late.
  const seenByOthers = async (host: FleetHost, name: string, state: string): Promise<boolean> =>
    (await Promise.all(others(host).map((each) => each.sees(name)))).every((seen) => seen === state);

  test(
    "a host that ends on SIGTERM is `left` for all within 1 s, is asked nothing more, and is alive again within 5 s of its start",
    told(async () => {
      expect(await silver1.end()).toBe(0);
      await until("all see it left", () => seenByOthers(silver1, "silver-1", "left"), 1000);
      for (let asked = 0; asked < 10; asked += 1) {
        const response = await ask(gold1, { model: "silver" });
        await response.arrayBuffer();
        expect(response.status).toBe(200);
        expect(response.headers.get("x-tierline-tier")).toBe("gold");
        expect(response.headers.get("x-tierline-attempts")).toBe("1");
      }
      await silver1.start();
      await fleet.together(5000);
    }),
  );

  test(
    "a host that is killed and starts again at another address is found there within 5 s, with a higher incarnation, and asked there (fault 20)",
    told(async () => {
      const known = async () => (await gold2.members()).find(({ name }) => name === "gold-1");
      const before = (await known())?.incarnation ?? 0;
      await gold1.kill();
      gold1.move();
      await gold1.start();
      const startedAt = performance.now();
      await fleet.together(5000);
      await until("gold-2 knows where", async () => (await known())?.public === gold1.router.url, 2000);
      const foundMs = performance.now() - startedAt;
      expect((await known())?.incarnation).toBeGreaterThan(before);
      await suffering(gold2, { kind: "refuse" }, () =>
        until("gold-1 answers for gold-2", async () => {
          const response = await ask(gold2);
          await response.arrayBuffer();
          return response.status === 200 && response.headers.get("x-tierline-endpoint") === "gold-1/vllm";
        }),
      );
      measured(20, `same id, another address: all know it ${Math.round(foundMs)} ms after it is ready`);
    }),
  );

  test(
    "a host that starts again under another name is a new member within 5 s, and the old one is gone within 8 s (fault 20)",
    told(async () => {
      await gold2.kill();
      await gold2.start("gold-9");
      const startedAt = performance.now();
      await until("all see gold-9", () => seenByOthers(gold2, "gold-9", "alive"), 5000);
      const foundMs = performance.now() - startedAt;
      await until("nobody takes gold-2 for alive", () => seenByOthers(gold2, "gold-2", "dead"), 8000);
      const response = await ask(gold2);
      expect(response.headers.get("x-tierline-endpoint")).toBe("gold-9/vllm");
      measured(20, `same address, another id: all know it ${Math.round(foundMs)} ms after it is ready`);
    }),
  );

  test("a host that dies twice within a minute is alive again within 5 s each time", async () => {
    const three = ends(
      await startFleet({
        hosts: ["gold-1", "gold-2", "gold-3"].map((name) => ({ name, tiers: ["gold"] as const })),
      }),
    );
    await three.told(async () => {
      const host = three.host("gold-2");
      for (let died = 0; died < 2; died += 1) {
        await host.kill();
        const doubts = async (): Promise<boolean> =>
          (await Promise.all(["gold-1", "gold-3"].map((name) => three.host(name).sees("gold-2")))).every(
            (state) => state === "suspect",
          );
        await until("it is suspected", doubts, 8000);
        await host.start();
        await three.together(5000);
      }
    })();
  });

  test("of two hosts with one name, as a copied machine image makes them, the later one stays a member, both say so, and both serve by their own engines (fault 21)", async () => {
    const three = ends(
      await startFleet({
        hosts: ["gold-1", "gold-2", "gold-3"].map((name) => ({ name, tiers: ["gold"] as const })),
      }),
    );
    await three.told(async () => {
      const [first, other, copy] = ["gold-1", "gold-2", "gold-3"].map((name) => three.host(name));
      if (first === undefined || other === undefined || copy === undefined) throw new Error("no hosts");
      await copy.kill();
      await copy.start("gold-1");
      const startedAt = performance.now();
      const conflicts = (host: FleetHost): Promise<number> =>
        host.router.metric("tierline_membership_events_total", { kind: "conflict" });
      await until("the one that began earlier says so", async () => (await conflicts(first)) > 0, 15_000);
      await until("a third host says so", async () => (await conflicts(other)) > 0, 15_000);
      const detectedMs = performance.now() - startedAt;
      const alarm = await first.router.logged(({ msg }) => String(msg).includes("calls itself gold-1 too"));
      expect(alarm).toMatchObject({ member: "gold-1" });
      for (const host of [first, copy]) {
        const response = await host.chat();
        expect(response.status).toBe(200);
        expect(response.headers.get("x-tierline-endpoint")).toBe("gold-1/vllm");
        expect(response.headers.get("x-tierline-locality")).toBe("local");
        expect((await host.get("/readyz")).status).toBe(200);
      }
      await until("the others know the later one", async () =>
        (await other.members()).some(
          (member) =>
            member.name === "gold-1" && member.state === "alive" && member.public === copy.router.url,
        ),
      );
      measured(
        21,
        `detected ${Math.round(detectedMs)} ms after the copy is ready: an error in the log and tierline_membership_events_total{kind="conflict"} at both; both serve by their own engines`,
      );
    })();
  });
});
