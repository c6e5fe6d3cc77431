// One probe of one member: directly, then through helpers and on a fresh connection. What it saw, not what follows.

import type { Instant } from "../base/clock.ts";
import { healthRule } from "./health-score.ts";
import type { Reply } from "./messages.ts";

export const probeRule = {
  everyMs: 1000,
  timeoutMs: 500,
  /** Others who are asked whether they can reach it. */
  helpers: 3,
  /** A helper says "nor could I" before the asker stops listening. */
  helperShare: 0.7,
  /** Without a word from any helper it takes so many probes in a row, as it may be us who are cut off. */
  missesWithoutHelpers: 3,
} as const;

export type Verdict =
  | { readonly kind: "alive" }
  /** Nobody could say anything; it accuses nobody. */
  | { readonly kind: "inconclusive"; readonly silentHelpers: number }
  | { readonly kind: "failed"; readonly why: string; readonly silentHelpers: number };

export type Answer = { readonly reply: Reply } | { readonly failed: string };

export interface ProbeParts {
  readonly timeoutMs: number;
  readonly helpers: readonly string[];
  /** Probes of this member in a row that nobody could vouch for; asked at the end, as probes may overlap. */
  misses(): number;
  now(): Instant;
  ping(fresh: boolean): Promise<Answer>;
  ask(helper: string): Promise<Answer>;
  /** A helper that was silent before: nothing is expected of it, so its silence does not speak against us. */
  doubted(helper: string): boolean;
  /** Whether anything of its own came in since then, by whatever way. */
  heardSince(instant: Instant): boolean;
}

export async function probe(parts: ProbeParts): Promise<Verdict> {
  const began = parts.now();
  const direct = await parts.ping(false);
  if ("reply" in direct) return { kind: "alive" };
  if (overslept(parts, began)) return { kind: "inconclusive", silentHelpers: 0 };

  const indirectBegan = parts.now();
  const doubted = parts.helpers.map(parts.doubted);
  const [fresh, ...answers] = await Promise.all([parts.ping(true), ...parts.helpers.map(parts.ask)]);
  const vouched = answers.some((answer) => "reply" in answer && answer.reply.reached === true);
  if ("reply" in fresh || vouched || parts.heardSince(began)) return { kind: "alive" };

  const silentHelpers = answers.filter((answer, at) => "failed" in answer && doubted[at] !== true).length;
  if (overslept(parts, indirectBegan)) return { kind: "inconclusive", silentHelpers: 0 };
  const couldNot = answers.filter((answer) => "reply" in answer).length;
  const alone = couldNot === 0;
  if (alone && parts.misses() + 1 < probeRule.missesWithoutHelpers)
    return { kind: "inconclusive", silentHelpers };
  const others = alone
    ? `${probeRule.missesWithoutHelpers} probes in a row, and nobody else to ask`
    : `${couldNot} of ${answers.length} others asked could not reach it either`;
  return { kind: "failed", why: `${direct.failed}; ${others}`, silentHelpers };
}

/** It took far longer than it may: we stood still ourselves, and its answer may lie unread. */
const overslept = (parts: ProbeParts, began: Instant): boolean =>
  parts.now() - began > parts.timeoutMs + healthRule.lateMs;
