import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import type { Discovery, Seed } from "../../src/host/discovery.ts";
import { createDiscovery, discoveryRule, systemResolver } from "../../src/host/discovery.ts";
import { cleanup } from "../support/cleanup.ts";
import { startDnsServer } from "../support/dns-server.ts";
import type { ScriptedDns } from "../support/scripted-dns.ts";
import { scriptedDns } from "../support/scripted-dns.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const stopped = cleanup();

const fixed: Seed = { kind: "address", address: "10.0.1.11:8012" };
const named = (host: string, port = 8012): Seed => ({ kind: "dns", host, port });
const longestMs = discoveryRule.againMs * (1 + discoveryRule.jitter);

function start(script: ScriptedDns["script"], seeds: readonly Seed[]) {
  const clock = virtualClock();
  const dns = scriptedDns(script);
  const told: string[] = [];
  const discovery: Discovery = createDiscovery({
    clock,
    random: seededRandom(1),
    resolver: dns.resolver,
    events: {
      found: (name, addresses) => told.push(`found ${name}: ${addresses.join(" ")}`),
      failed: (name, why, kept) => told.push(`failed ${name}: ${why}, ${kept} kept`),
    },
  });
  discovery.use(seeds);
  return { clock, dns, told, discovery };
}

describe("discovery", () => {
  test("has the static seeds at once, each once, and asks nobody for them", async () => {
    const { discovery, dns, clock } = start({}, [fixed, fixed]);
    expect(discovery.addresses()).toEqual(["10.0.1.11:8012"]);
    await clock.advance(longestMs);
    expect(dns.asked).toEqual([]);
  });

  test("takes SRV records with their own ports, and asks for the addresses of their targets", async () => {
    const script = {
      "srv fleet": [
        { name: "a", port: 9001 },
        { name: "b", port: 9002 },
        { name: ".", port: 9003 },
        { name: "c", port: 0 },
      ],
      "v4 a": ["10.0.0.1", "10.0.0.2"],
      "v6 b": ["2001:db8::1"],
      "v4 .": ["10.9.9.7"],
      "v4 c": ["10.9.9.8"],
      "v4 fleet": ["10.9.9.9"],
    };
    const { discovery, clock } = start(script, [fixed, named("fleet")]);
    await clock.settle();
    expect(discovery.addresses()).toEqual([
      "10.0.1.11:8012",
      "10.0.0.1:9001",
      "10.0.0.2:9001",
      "[2001:db8::1]:9002",
    ]);
  });

  test("takes addresses with the written port where there are no SRV records", async () => {
    const { discovery, clock } = start({ "v4 fleet": ["10.0.0.2", "10.0.0.1"], "v6 fleet": ["fd00::1"] }, [
      named("fleet"),
    ]);
    await clock.settle();
    expect(discovery.addresses()).toEqual(["10.0.0.1:8012", "10.0.0.2:8012", "[fd00::1]:8012"]);
  });

  test("takes addresses also from a server that refuses the question for SRV, or for IPv6", async () => {
    const script = { "srv fleet": "EREFUSED", "v4 fleet": ["10.0.0.1"], "v6 fleet": "ESERVFAIL" } as const;
    const { discovery, clock, told } = start(script, [named("fleet")]);
    await clock.settle();
    expect(discovery.addresses()).toEqual(["10.0.0.1:8012"]);
    expect(told).toEqual(["found fleet: 10.0.0.1:8012"]);
  });

  test("asks again within its period, and tells of an answer only when it is another", async () => {
    const { discovery, clock, dns, told } = start({ "v4 fleet": ["10.0.0.1", "10.0.0.2"] }, [named("fleet")]);
    await clock.settle();
    dns.script = { "v4 fleet": ["10.0.0.2", "10.0.0.1"] };
    await clock.advance(longestMs);
    expect(told).toHaveLength(1);
    dns.script = { "v4 fleet": ["10.0.0.3"] };
    await clock.advance(longestMs);
    expect(discovery.addresses()).toEqual(["10.0.0.3:8012"]);
    expect(told.at(-1)).toBe("found fleet: 10.0.0.3:8012");
  });

  for (const [title, script, why] of [
    ["is down", { "srv fleet": "ECONNREFUSED", "v4 fleet": "ECONNREFUSED" }, "ECONNREFUSED"],
    ["fails", { "v4 fleet": "ESERVFAIL", "v6 fleet": "ESERVFAIL" }, "ESERVFAIL"],
    ["has lost the name", {}, "there is no such name"],
    [
      "is silent",
      { "srv fleet": "silent", "v4 fleet": "silent", "v6 fleet": "silent" },
      "no answer within 2000 ms",
    ],
  ] as const) {
    test(`keeps the last good answer when the DNS ${title}, tells of it once, and is glad of the next`, async () => {
      const { discovery, clock, dns, told } = start({ "v4 fleet": ["10.0.0.1"] }, [named("fleet")]);
      await clock.settle();
      dns.script = script;
      await clock.advance(10 * longestMs);
      expect(discovery.addresses()).toEqual(["10.0.0.1:8012"]);
      expect(told).toEqual(["found fleet: 10.0.0.1:8012", `failed fleet: ${why}, 1 kept`]);
      dns.script = { "v4 fleet": ["10.0.0.1"] };
      await clock.advance(longestMs);
      expect(told.at(-1)).toBe("found fleet: 10.0.0.1:8012");
    });
  }

  test("asks soon again when it knows nothing yet, and then ever more rarely", async () => {
    const { discovery, clock, dns } = start({}, [named("fleet")]);
    await clock.advance(5000);
    const early = dns.asked.filter((question) => question === "srv fleet").length;
    expect(early).toBeGreaterThanOrEqual(4);
    await clock.advance(600_000);
    const late = dns.asked.filter((question) => question === "srv fleet").length - early;
    expect(late).toBeGreaterThanOrEqual(16);
    expect(late).toBeLessThanOrEqual(30);
    dns.script = { "v4 fleet": ["10.0.0.1"] };
    await clock.advance(discoveryRule.failed.capMs * 1.2);
    expect(discovery.addresses()).toEqual(["10.0.0.1:8012"]);
  });

  test("has one question under way for a name, however long the DNS is silent, and gives it up", async () => {
    const { clock, dns } = start({ "srv fleet": "silent", "v4 fleet": "silent", "v6 fleet": "silent" }, [
      named("fleet"),
    ]);
    await clock.advance(discoveryRule.answerMs - 1);
    expect(dns.asked).toEqual(["srv fleet"]);
    await clock.advance(1);
    expect(dns.asked).toEqual(["srv fleet", "v4 fleet", "v6 fleet"]);
    await clock.advance(discoveryRule.answerMs);
    expect(dns.cancelled).toBeGreaterThanOrEqual(2);
  });

  test("keeps to its bounds, whatever the DNS says", async () => {
    const many = (count: number) => Array.from({ length: count }, (_, n) => `10.1.${n >> 8}.${n & 255}`);
    const targets = Array.from({ length: 500 }, (_, n) => ({ name: `t${n}`, port: 1 }));
    const { discovery, clock, dns } = start({ "srv a": targets, "v4 t0": many(3), "v4 b": many(500) }, [
      named("a"),
      named("b"),
    ]);
    await clock.settle();
    expect(dns.asked.filter((question) => question.startsWith("v4 t"))).toHaveLength(
      discoveryRule.targetsMost,
    );
    expect(discovery.addresses()).toHaveLength(3 + discoveryRule.addressesMost);
  });

  test("takes over other seeds, keeps the answers of names that stay, and asks no more for those that go", async () => {
    const script = { "v4 a": ["10.0.0.1"], "v4 b": ["10.0.0.2"], "v4 c": ["10.0.0.3"] };
    const { discovery, clock, dns } = start(script, [named("a"), named("b")]);
    await clock.settle();
    const before = dns.asked.length;
    discovery.use([named("b"), fixed, named("c")]);
    expect(discovery.addresses()).toEqual(["10.0.0.2:8012", "10.0.1.11:8012"]);
    await clock.settle();
    expect(discovery.addresses()).toEqual(["10.0.0.2:8012", "10.0.1.11:8012", "10.0.0.3:8012"]);
    await clock.advance(longestMs);
    expect(dns.asked.slice(before)).not.toContain("v4 a");
  });

  test("leaves no timer behind when it stops, nor an answer that comes too late", async () => {
    const { discovery, clock, dns, told } = start(
      { "v4 a": ["10.0.0.1"], "srv b": "silent", "v4 b": ["10.0.0.2"] },
      [named("a"), named("b")],
    );
    await clock.settle();
    discovery.stop();
    await clock.advance(longestMs);
    expect(clock.pending()).toBe(0);
    expect(told).toEqual(["found a: 10.0.0.1:8012"]);
    expect(dns.cancelled).toBe(1);
  });
});

describe("the resolver of the system", () => {
  test("asks a real server over UDP, and discovery understands it", async () => {
    const server = stopped(
      await startDnsServer({
        "SRV fleet.test": [{ name: "a.fleet.test", port: 9001 }],
        "A a.fleet.test": ["127.0.0.7"],
        "A plain.test": ["127.0.0.8", "127.0.0.9"],
        "AAAA plain.test": ["::1"],
      }),
    );
    const found = Promise.withResolvers<void>();
    const names = new Set(["fleet.test", "plain.test", "gone.test"]);
    const done = (name: string) => {
      names.delete(name);
      if (names.size === 0) found.resolve();
    };
    const discovery = createDiscovery({
      clock: virtualClock(),
      random: seededRandom(1),
      resolver: () => systemResolver([server.address]),
      events: { found: done, failed: done },
    });
    discovery.use([named("fleet.test"), named("plain.test", 8012), named("gone.test")]);
    await found.promise;
    expect(discovery.addresses()).toEqual([
      "127.0.0.7:9001",
      "127.0.0.8:8012",
      "127.0.0.9:8012",
      "[::1]:8012",
    ]);
    discovery.stop();
  });

  test("gives a silent server up when it is told to", async () => {
    const server = stopped(await startDnsServer("silent"));
    const resolver = systemResolver([server.address]);
    const answer = resolver.v4("fleet.test").then(
      () => "an answer",
      (error: unknown) => error instanceof Error && "code" in error && error.code,
    );
    resolver.cancel();
    expect(await answer).toBe("ECANCELLED");
  });
});
