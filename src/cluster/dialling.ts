// Addresses from outside of the table that are worth a call: the seeds for ever, the peers of the last run until
// somebody answers, and members that died lately, because a partition looks like their death.

import type { BackoffRule } from "../base/backoff.ts";
import { backoffMs } from "../base/backoff.ts";
import type { Instant } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { shuffled } from "./turn-order.ts";

export const diallingRule = {
  everyMs: 200,
  inParallel: 3,
  /** Nobody is known yet: soon again. */
  alone: { baseMs: 500, capMs: 5000, jitter: 0.2 } satisfies BackoffRule,
  /** A seed is missing among many: 500 routers call it 33 times a second at most. */
  joined: { baseMs: 500, capMs: 15_000, jitter: 0.2 } satisfies BackoffRule,
  /** A large fleet that boots together spreads its first calls: a hundredth of a second for each known peer. */
  spreadMsPerPeer: 10,
  spreadFromPeers: 100,
  spreadMostMs: 5000,
  /** The whole fleet together calls its dead about three times in each of these. */
  healEveryMs: 1000,
  healsPerFleet: 3,
  deadMost: 10,
  lastKnownMost: 64,
} as const;

export interface DiallingParts {
  readonly random: Random;
  seeds(): readonly string[];
  readonly lastKnown: readonly string[];
  /** Whether a live member, or we ourselves, answer at that address. */
  known(address: string): boolean;
  /** Ourselves included. */
  size(): number;
  /** Exchanges news with whoever is there. Answers its name, or undefined. */
  call(address: string): Promise<string | undefined>;
  /** Whether that name is alive or suspect, or our own. */
  present(name: string): boolean;
}

export interface Dialling {
  turn(now: Instant): void;
  died(name: string, address: string): void;
  returned(name: string): void;
}

interface Line {
  failures: number;
  notBefore: Instant;
  calling: boolean;
  /** Who answered there: a seed may be written otherwise than the member calls itself. */
  name: string | undefined;
}

export function createDialling(parts: DiallingParts, now: Instant): Dialling {
  const { random } = parts;
  const lines = new Map<string, Line>();
  let lastKnown = parts.lastKnown.slice(0, diallingRule.lastKnownMost);
  const dead = new Map<string, string>();
  let healAt = now + diallingRule.healEveryMs * random();
  const crowd = parts.lastKnown.length;
  const spreadMs = Math.min(diallingRule.spreadMostMs, crowd * diallingRule.spreadMsPerPeer);
  const firstCallAt = now + (crowd >= diallingRule.spreadFromPeers ? spreadMs * random() : 0);
  let calls = 0;

  const lineTo = (address: string): Line => {
    const line = lines.get(address) ?? { failures: 0, notBefore: now, calling: false, name: undefined };
    lines.set(address, line);
    return line;
  };

  const wanted = (address: string): boolean => {
    const name = lines.get(address)?.name;
    return !parts.known(address) && (name === undefined || !parts.present(name));
  };

  const dial = async (line: Line, address: string, at: Instant): Promise<void> => {
    line.calling = true;
    calls += 1;
    const rule = parts.size() > 1 ? diallingRule.joined : diallingRule.alone;
    line.notBefore = at + backoffMs(rule, line.failures, random);
    const name = await parts.call(address);
    calls -= 1;
    line.calling = false;
    line.failures = name === undefined ? line.failures + 1 : 0;
    if (name !== undefined) line.name = name;
  };

  const heal = (at: Instant): void => {
    if (at < healAt) return;
    healAt = at + diallingRule.healEveryMs * (0.8 + 0.4 * random());
    const addresses = [...dead.values()];
    const address = addresses[Math.floor(random() * addresses.length)];
    if (address !== undefined && random() < diallingRule.healsPerFleet / parts.size())
      void parts.call(address);
  };

  return {
    turn(at) {
      heal(at);
      if (at < firstCallAt) return;
      const seeds = parts.seeds();
      // Whoever is known tells of the rest.
      if (parts.size() > 1) lastKnown = [];
      for (const address of lines.keys())
        if (!seeds.includes(address) && !lastKnown.includes(address)) lines.delete(address);
      const due = [...new Set([...seeds, ...lastKnown])].filter((address) => {
        const line = lineTo(address);
        return !line.calling && at >= line.notBefore && wanted(address);
      });
      // One call each turn: the answer to the first often makes the second needless.
      const address = shuffled(due, random)[0];
      if (address !== undefined && calls < diallingRule.inParallel) void dial(lineTo(address), address, at);
    },
    died(name, address) {
      dead.delete(name);
      dead.set(name, address);
      const oldest = dead.keys().next().value;
      if (dead.size > diallingRule.deadMost && oldest !== undefined) dead.delete(oldest);
    },
    returned(name) {
      dead.delete(name);
    },
  };
}
