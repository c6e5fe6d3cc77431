// Callers by the names of their keys: which SLA classes a key may use, and how often it may ask. What is left of a limit
// outlives a reload.

import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { SlaClass } from "../routing/sla.ts";
import type { BadRequest } from "./errors.ts";
import type { Rate, RateLimit } from "./rate-limit.ts";
import { createRateLimit } from "./rate-limit.ts";

/** What is written about the keys of one name. */
export interface CallerRule {
  /** Undefined: all of them. */
  readonly sla?: readonly SlaClass[];
  /** Undefined: as often as it likes. */
  readonly rate?: Rate;
}

export interface Caller {
  readonly name: string;
  /** Undefined: all of them. */
  readonly sla?: readonly SlaClass[] | undefined;
  /** Undefined: as often as it likes. */
  readonly limit?: RateLimit | undefined;
}

export interface CallersNamed {
  /** Of the keys; one that is there twice counts once. */
  readonly names: Iterable<string>;
  readonly rules: ReadonlyMap<string, CallerRule>;
}

export interface Callers {
  /** A name that stays keeps what is left of its limit, as far as the new one goes. */
  reconfigure(next: CallersNamed): void;
  named(name: string): Caller;
  /** How many names have a key. */
  readonly many: number;
}

export function createCallers(clock: Pick<Clock, "now">, random: Random): Callers {
  let callers = new Map<string, Caller>();

  const callerOf = (name: string, { sla, rate }: CallerRule): Caller => {
    const limit = rate && createRateLimit(name, rate, clock, random, callers.get(name)?.limit?.level());
    return { name, sla, limit };
  };

  return {
    reconfigure({ names, rules }) {
      callers = new Map(
        Iterator.from(names).map((name): [string, Caller] => [name, callerOf(name, rules.get(name) ?? {})]),
      );
    },
    named: (name) => callers.get(name) ?? { name },
    get many() {
      return callers.size;
    },
  };
}

/** Why this key gets nothing of that class; undefined: it may have it. Without a key of its own nobody is held to one. */
export function forbids(key: Caller | undefined, wanted: SlaClass, param?: string): BadRequest | undefined {
  if (key?.sla === undefined || key.sla.includes(wanted)) return undefined;
  return {
    code: "forbidden",
    message: `The key ${key.name} may not use the SLA class ${wanted}. It may use: ${key.sla.join(", ")}.`,
    ...(param === undefined ? {} : { param }),
  };
}
