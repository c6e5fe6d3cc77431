// What a caller is told when there is no answer: one code, one sentence, and when to come back.

import type { ErrorCode } from "../base/error-codes.ts";
import type { Random } from "../base/random.ts";
import type { OutcomeKind } from "../fleet/outcome.ts";
import { quarantineRule } from "../fleet/quarantine.ts";
import { admissionRule, retryAfterMs } from "../routing/admission.ts";
import type { Shed, ShedReason } from "../routing/decision.ts";
import type { Tried } from "../routing/request.ts";

export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryAfterMs: number | undefined;
}

/** Attempts that ended because time did. */
const timeOutcomes: readonly OutcomeKind[] = ["timeout", "silent", "deadline"];

const shedRefusals: Readonly<Record<ShedReason, { readonly code: ErrorCode; readonly message: string }>> = {
  "pool-full": {
    code: "tier_overloaded",
    message: "Every engine that could answer is full. Try again shortly.",
  },
  "queue-full": {
    code: "tier_overloaded",
    message: "Every engine that could answer is full, and so are the queues before them. Try again shortly.",
  },
  "over-share": {
    code: "tier_overloaded",
    message:
      "This session, or this key, holds its share of the engines that could answer, and others come first. Try again shortly.",
  },
  "too-late": {
    code: "tier_overloaded",
    message:
      "The engines are too busy to answer within the time this request has. Try again shortly, or allow more time.",
  },
  "no-endpoint": {
    code: "no_endpoint",
    message: "No engine is available for this request right now.",
  },
  draining: {
    code: "draining",
    message: "This host is draining and no peer can take the request. Try again shortly, or another host.",
  },
};

/** Of a request that engines died of. An SDK that asked again on its own would cost the next one. */
export const stopped: Refusal = {
  code: "upstream_failed",
  message: `This request has been stopped: ${quarantineRule.deathsMost} engines broke down over it, and none has answered it. It gets another try when none has for ${quarantineRule.stoppedMs / 60_000} minutes. Change it, or tell whoever runs the engines.`,
  retryAfterMs: undefined,
};

/** `late`: the deadline has passed. `shed`: what routing said, where it ended the matter. */
export function refusalOf(
  tried: readonly (Tried & {
    readonly why?: string | undefined;
    readonly retryAfterMs?: number | undefined;
  })[],
  late: boolean,
  shed: Shed | undefined,
  random: Random,
): Refusal {
  const attempts = tried.map(({ endpoint, outcome, why }) => `${endpoint}: ${why ?? outcome}`).join("; ");
  const told = attempts === "" ? "" : ` Tried: ${attempts}.`;
  if (late || (tried.length > 0 && tried.every(({ outcome }) => timeOutcomes.includes(outcome)))) {
    return {
      code: "deadline_exceeded",
      message: `No engine answered in time.${told}`,
      retryAfterMs: undefined,
    };
  }
  if (tried.some(({ outcome }) => outcome === "busy" || outcome === "over-share")) {
    const longest = Math.max(...tried.map((attempt) => attempt.retryAfterMs ?? 0));
    const asked = Math.min(longest, admissionRule.retryAfterMostMs);
    const waitMs = asked > 0 ? Math.ceil(asked) : retryAfterMs(admissionRule.retryAfterMs, random);
    return {
      code: "tier_overloaded",
      message: `The engines say that they are full.${told}`,
      retryAfterMs: waitMs,
    };
  }
  if (tried.length > 0 || shed === undefined) {
    return {
      code: "upstream_failed",
      message: `No engine gave a usable answer.${told}`,
      retryAfterMs: undefined,
    };
  }
  return { ...shedRefusals[shed.because], retryAfterMs: shed.retryAfterMs };
}
