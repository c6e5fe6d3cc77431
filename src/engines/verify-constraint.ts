// Whether an engine obeys: fields that it does not know are silently ignored, so only an answer proves a constraint.
// Asked when its model becomes known and when it has been away, until it answers; until then the best row is hoped for.

import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Ask } from "./ask.ts";
import type { Dialect } from "./dialect.ts";
import type { IntentConstraint } from "./intent-constraint.ts";
import { withoutOdds } from "./intent-constraint.ts";
import { intentBody, readChosenOption } from "./intent-question.ts";

export const verifyRule = {
  /** An engine compiles a grammar when it first sees it, and right after its start that takes seconds. */
  timeoutMs: 10_000,
  /** When to ask an engine again that gave no answer. */
  retry: { baseMs: 1000, capMs: 30_000, jitter: 0.2 },
} as const;

/** No letter is an answer to it, so an engine that says one was made to. */
const prompt = "How much is 30 + 9? Answer with the number and nothing else.";

export interface VerifyTools {
  readonly dialect: Dialect;
  readonly ask: Ask;
}

export interface VerifiedConstraint {
  readonly constraint: IntentConstraint;
  /** False where the engine cannot be held to the letters; they are then read from the odds. */
  readonly held: boolean;
}

/** Walks down the dialect's table to the first row that works. Undefined: the engine is down, full or broken. */
export async function verifyConstraint(
  { dialect, ask }: VerifyTools,
  model: string,
  options: number,
  signal: AbortSignal,
): Promise<VerifiedConstraint | undefined> {
  for (const row of dialect.intentConstraints) {
    // Where it is refused, the log-probabilities may be what is too much for the engine.
    for (const constraint of [row, withoutOdds(row)]) {
      const body = Buffer.from(intentBody(model, { prompt, options, temperature: 0 }, constraint)).toString();
      const asked = { method: "POST", path: "/v1/chat/completions", body } as const;
      const answer = await ask({ ...asked, timeoutMs: verifyRule.timeoutMs }, signal);
      if (!("status" in answer)) return undefined;
      const verdict = dialect.verdict(answer.status);
      if (verdict === "busy") return undefined;
      if (verdict === "client-error") continue;
      const chosen = verdict === "ok" && readChosenOption(Buffer.from(answer.body), options) !== undefined;
      if (constraint.binds ? chosen : verdict === "ok") return { constraint, held: constraint.binds };
      // An engine that is well otherwise may answer 500 to one row: a later one tells.
      break;
    }
  }
  return undefined;
}

export interface ConstraintKeeper {
  /** The verified one; the best row before that. */
  current(): IntentConstraint;
  /** Asks, unless that has been asked or is being asked. Nothing to ask: no model, or no options. */
  verify(model: string | undefined, options: number): void;
  /** What was found out is to be asked again: the engine may have been restarted with other settings. */
  doubt(): void;
  stop(): void;
}

export interface KeeperParts extends VerifyTools {
  readonly clock: Clock;
  readonly random: Random;
  onVerified(verified: VerifiedConstraint): void;
}

export function keepConstraint(parts: KeeperParts): ConstraintKeeper {
  const { dialect, clock, random } = parts;
  let current: IntentConstraint = dialect.intentConstraints[0];
  let asked: { readonly model: string; readonly options: number } | undefined;
  let over = new AbortController();
  let cancelTimer = (): void => {};

  const forget = (): void => {
    asked = undefined;
    over.abort();
    cancelTimer();
  };

  const turn = async (
    model: string,
    options: number,
    failures: number,
    signal: AbortSignal,
  ): Promise<void> => {
    const verified = await verifyConstraint(parts, model, options, signal);
    if (signal.aborted) return;
    if (verified === undefined) {
      const delayMs = backoffMs(verifyRule.retry, failures, random);
      cancelTimer = clock.after(delayMs, () => void turn(model, options, failures + 1, signal));
      return;
    }
    current = verified.constraint;
    parts.onVerified(verified);
  };

  return {
    current: () => current,
    verify(model, options) {
      if (model === asked?.model && options === asked?.options) return;
      forget();
      if (model === undefined || options === 0) return;
      asked = { model, options };
      over = new AbortController();
      void turn(model, options, 0, over.signal);
    },
    doubt: forget,
    stop: forget,
  };
}
