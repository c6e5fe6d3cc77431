// From the seeds of the configuration to addresses that are worth a call: names are looked up again and again. Calling
// them, and knowing which one is our own, is for the cluster.

import { Resolver } from "node:dns/promises";
import type { BackoffRule } from "../base/backoff.ts";
import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";

/** `address`: `host:port` or `[v6]:port`. `dns`: SRV records, which have ports of their own, else addresses. */
export type Seed =
  | { readonly kind: "address"; readonly address: string }
  | { readonly kind: "dns"; readonly host: string; readonly port: number };

type DnsSeed = Extract<Seed, { kind: "dns" }>;

export const discoveryRule = {
  /** A new host in the DNS is found within half a minute, and usually it finds us first. */
  againMs: 30_000,
  /** After a failure: soon at first, then as rarely as after a success. */
  failed: { baseMs: 500, capMs: 30_000, jitter: 0.2 } satisfies BackoffRule,
  jitter: 0.2,
  /** Of one question. The resolver's own patience is several times as long. */
  answerMs: 2000,
  /** SRV targets that are asked for, all at once. Who knows one host is told of the others. */
  targetsMost: 16,
  /** Of one name. Each that nobody answers at costs a connect four times a minute. */
  addressesMost: 64,
} as const;

/** What is asked of the DNS. Rejects as `node:dns` does. */
export interface DnsResolver {
  srv(name: string): Promise<readonly { readonly name: string; readonly port: number }[]>;
  /** IPv4 and IPv6. */
  v4(name: string): Promise<readonly string[]>;
  v6(name: string): Promise<readonly string[]>;
  /** Gives up what is under way. */
  cancel(): void;
}

export interface DiscoveryParts {
  readonly clock: Clock;
  readonly random: Random;
  /** One for each look-up, so that one can be given up without the others. */
  resolver(): DnsResolver;
  readonly events: {
    /** The answer is another one than before. */
    found(name: string, addresses: readonly string[]): void;
    /** Told once, until there is an answer again. `kept`: addresses of the last good answer. */
    failed(name: string, why: string, kept: number): void;
  };
}

export interface Discovery {
  /** As known now, each once: at first only those that need no look-up. */
  addresses(): readonly string[];
  /** At start and after a reload. Names that stay keep their answers. */
  use(seeds: readonly Seed[]): void;
  stop(): void;
}

interface Name {
  readonly seed: DnsSeed;
  addresses: readonly string[];
  failures: number;
  stop: () => void;
}

type Found = { readonly addresses: readonly string[] } | { readonly failed: string };

export function createDiscovery({ clock, random, resolver, events }: DiscoveryParts): Discovery {
  const { againMs, failed, jitter } = discoveryRule;
  const names = new Map<string, Name>();
  let current: readonly Seed[] = [];

  const look = async (name: Name): Promise<void> => {
    const dns = resolver();
    name.stop = dns.cancel;
    const found = await lookUp(name.seed, dns, clock);
    // Meanwhile a reload may have taken the name out.
    if (names.get(keyOf(name.seed)) !== name) return;
    if ("addresses" in found) learn(name, found.addresses);
    else miss(name, found.failed);
    const rule = name.failures > 0 ? failed : { baseMs: againMs, capMs: againMs, jitter };
    name.stop = clock.after(backoffMs(rule, Math.max(0, name.failures - 1), random), () => void look(name));
  };

  const learn = (name: Name, addresses: readonly string[]): void => {
    const isNews = name.failures > 0 || addresses.join() !== name.addresses.join();
    name.failures = 0;
    name.addresses = addresses;
    if (isNews) events.found(name.seed.host, addresses);
  };

  /** The last good answer stays, also when the name is gone: that is a mistake more often than the fleet's end. */
  const miss = (name: Name, why: string): void => {
    name.failures += 1;
    if (name.failures === 1) events.failed(name.seed.host, why, name.addresses.length);
  };

  const drop = (key: string, name: Name): void => {
    names.delete(key);
    name.stop();
  };

  return {
    addresses() {
      const all = current.flatMap((seed) =>
        seed.kind === "address" ? [seed.address] : (names.get(keyOf(seed))?.addresses ?? []),
      );
      return [...new Set(all)];
    },
    use(seeds) {
      current = seeds;
      const wanted = new Map(seeds.flatMap((seed) => (seed.kind === "dns" ? [[keyOf(seed), seed]] : [])));
      for (const [key, name] of [...names]) if (!wanted.has(key)) drop(key, name);
      for (const [key, seed] of wanted) {
        if (names.has(key)) continue;
        const name: Name = { seed, addresses: [], failures: 0, stop: () => {} };
        names.set(key, name);
        void look(name);
      }
    },
    stop() {
      for (const [key, name] of [...names]) drop(key, name);
    },
  };
}

const keyOf = ({ host, port }: DnsSeed): string => `${host}:${port}`;

async function lookUp({ host, port }: DnsSeed, dns: DnsResolver, clock: Clock): Promise<Found> {
  const { targetsMost, addressesMost } = discoveryRule;
  const ask = <Answer>(question: Promise<readonly Answer[]>) => answered(question, dns, clock);

  const addressesOf = async (name: string, at: number): Promise<Found> => {
    const [v4, v6] = await Promise.all([ask(dns.v4(name)), ask(dns.v6(name))]);
    const addresses = [
      ...("answer" in v4 ? v4.answer : []).map((ip) => `${ip}:${at}`),
      ...("answer" in v6 ? v6.answer : []).map((ip) => `[${ip}]:${at}`),
    ];
    if (addresses.length > 0) return { addresses };
    return { failed: "failed" in v4 ? v4.failed : "failed" in v6 ? v6.failed : nothingThere };
  };

  const srv = await ask(dns.srv(host));
  // The name "." says that there is no such service.
  const targets =
    "answer" in srv ? srv.answer.filter(({ name, port }) => name !== "" && name !== "." && port > 0) : [];
  // Some servers refuse the very question, so that a failure is no reason not to ask for addresses.
  const found =
    targets.length === 0
      ? [await addressesOf(host, port)]
      : await Promise.all(targets.slice(0, targetsMost).map(({ name, port }) => addressesOf(name, port)));
  const addresses = found.flatMap((each) => ("addresses" in each ? each.addresses : []));
  // Sorted, for servers deal out their answers in turns.
  if (addresses.length > 0) return { addresses: [...new Set(addresses)].toSorted().slice(0, addressesMost) };
  return found.find((each) => "failed" in each) ?? { failed: nothingThere };
}

const nothingThere = "there is no such name";

/** What a server says who knows that there is nothing, as opposed to one that says nothing. */
const nothing = new Set(["ENODATA", "ENOTFOUND"]);

async function answered<Answer>(
  question: Promise<readonly Answer[]>,
  dns: DnsResolver,
  clock: Clock,
): Promise<{ readonly answer: readonly Answer[] } | { readonly failed: string }> {
  const late = Promise.withResolvers<{ readonly failed: string }>();
  const stopTimer = clock.after(discoveryRule.answerMs, () => {
    late.resolve({ failed: `no answer within ${discoveryRule.answerMs} ms` });
    dns.cancel();
  });
  const told = question.then(
    (answer) => ({ answer }),
    (error: unknown) => {
      const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
      if (code === undefined) throw error;
      return nothing.has(code) ? { answer: [] } : { failed: code };
    },
  );
  try {
    return await Promise.race([told, late.promise]);
  } finally {
    stopTimer();
  }
}

/** The DNS of this machine. `servers`: others than the system's, `ip:port`. */
export function systemResolver(servers?: readonly string[]): DnsResolver {
  const resolver = new Resolver({ timeout: discoveryRule.answerMs, tries: 2 });
  if (servers !== undefined) resolver.setServers(servers);
  return {
    srv: (name) => resolver.resolveSrv(name),
    v4: (name) => resolver.resolve4(name),
    v6: (name) => resolver.resolve6(name),
    cancel: () => resolver.cancel(),
  };
}
