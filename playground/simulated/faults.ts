// What can go wrong with an engine, as data, and which request it strikes. What it does to an answer: bend.ts.

import type { Random } from "../../src/base/random.ts";

/** Where and how often a fault acts. */
interface FaultScope {
  /** A path, or "*" for all, health and metrics too. Default: every POST under /v1/. */
  readonly path?: string;
  /** Acts this many times, then is spent. Default: until cleared. */
  readonly times?: number;
  /** 0 to 1, default 1. */
  readonly probability?: number;
}

type FaultKind =
  /**
   * Takes the request and says nothing. Without `times` and `probability` the whole engine freezes: what runs stops
   * too, and the gauges read idle. Clearing lets everything go on, except where `afterHead` has sent a head already.
   */
  | { readonly kind: "hang"; readonly afterHead?: boolean }
  /** Nobody listens: connections are refused and those open are cut. Has no scope. */
  | { readonly kind: "refuse" }
  /** RST: when the connection opens, once the request is read, after the head, or after `bytes` of the body. */
  | {
      readonly kind: "reset";
      readonly when?: "connect" | "request" | "head" | "body";
      readonly bytes?: number;
    }
  /**
   * The body ends early, then FIN: in the middle of a chunk (after `bytes`, default 400), short of its
   * content-length, without the last chunk, or with a last chunk whose closing line is missing.
   */
  | { readonly kind: "truncate"; readonly how?: TruncateHow; readonly bytes?: number }
  | {
      readonly kind: "status";
      readonly status: number;
      readonly retryAfterSeconds?: number;
      readonly retryAfterMs?: number;
    }
  /** Bytes that are no HTTP. */
  | { readonly kind: "garbage" }
  /** A head of this many kilobytes. */
  | { readonly kind: "huge-head"; readonly kilobytes?: number }
  /** A JSON answer of so many megabytes, gzipped to a thousandth. */
  | { readonly kind: "gzip-bomb"; readonly megabytes?: number }
  | { readonly kind: "slow-first-byte"; readonly delayMs: number }
  | { readonly kind: "slow-chunks"; readonly delayMs: number }
  /** After so many tokens an error event, then `[DONE]`, as a dying vLLM does. Unstreamed: its 500. */
  | { readonly kind: "error-event"; readonly afterTokens?: number }
  /** Answers as if nothing held it to certain answers: what vLLM does with fields that it does not know. */
  | { readonly kind: "ignore-constraints" }
  /**
   * A request with this text in its body kills the engine: every connection is cut, and nobody listens until the faults
   * are set anew, or for `backAfterMs`. Has no scope.
   */
  | { readonly kind: "die-of"; readonly text: string; readonly backAfterMs?: number }
  /** Closes a kept-alive connection, without a byte, when its next request arrives. */
  | { readonly kind: "close-on-reuse" };

export type TruncateHow = "chunk" | "length" | "last-chunk" | "last-line";

export type Fault = FaultKind & FaultScope;

export interface FaultPlan {
  /** Replaces all faults. */
  set(faults: readonly Fault[]): void;
  current(): readonly Fault[];
  /** The fault that strikes this request, counting it against `times`. */
  strike(method: string, path: string, turn: number, body: Buffer): Fault | undefined;
  /** Whether a new connection is reset before it can ask anything. */
  strikesConnection(): boolean;
  /** How often a fault has struck since the start. */
  struck(): number;
}

const kinds = new Set<string>([
  "hang",
  "refuse",
  "reset",
  "truncate",
  "status",
  "garbage",
  "huge-head",
  "gzip-bomb",
  "slow-first-byte",
  "slow-chunks",
  "error-event",
  "ignore-constraints",
  "die-of",
  "close-on-reuse",
] satisfies FaultKind["kind"][]);

/** Only the kind is checked: whoever breaks an engine on purpose may also get a field wrong. */
export const isFault = (value: unknown): value is Fault =>
  typeof value === "object" && value !== null && "kind" in value && kinds.has(String(value.kind));

export const freezes = (fault: Fault): boolean =>
  fault.kind === "hang" && fault.times === undefined && fault.probability === undefined;

export function createFaultPlan(random: Random): FaultPlan {
  let plan: { readonly fault: Fault; left: number }[] = [];
  let struck = 0;

  const take = (matches: (fault: Fault) => boolean): Fault | undefined => {
    const row = plan.find(
      (one) => one.left > 0 && matches(one.fault) && random() < (one.fault.probability ?? 1),
    );
    if (row === undefined) return undefined;
    row.left -= 1;
    struck += 1;
    return row.fault;
  };

  return {
    set(faults) {
      plan = faults.map((fault) => ({ fault, left: fault.times ?? Number.POSITIVE_INFINITY }));
    },
    current: () => plan.filter((row) => row.left > 0).map((row) => row.fault),
    strike: (method, path, turn, body) =>
      plan.length === 0
        ? undefined
        : take((fault) => {
            if (fault.kind === "reset" && fault.when === "connect") return false;
            if (fault.kind === "close-on-reuse" && turn < 2) return false;
            if (fault.kind === "die-of" && !body.includes(fault.text)) return false;
            if (fault.path === undefined) return method === "POST" && path.startsWith("/v1/");
            return fault.path === "*" || fault.path === path;
          }),
    strikesConnection: () =>
      plan.length > 0 && take((fault) => fault.kind === "reset" && fault.when === "connect") !== undefined,
    struck: () => struck,
  };
}
