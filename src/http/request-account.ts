// Accounts for each inference request once it is over: the counters always, a log line where it was not plain.

import type { Clock, Instant } from "../base/clock.ts";
import type { ErrorCode } from "../base/error-codes.ts";
import { observe } from "../base/histogram.ts";
import { onceIn } from "../base/once-in.ts";
import { tokenBucket } from "../base/token-bucket.ts";
import type { Dispatched, Journey } from "../dispatch/dispatched.ts";
import type { InferenceRequest } from "../dispatch/inference-request.ts";
import type { SlaClass } from "../routing/sla.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Arrival } from "./arrival.ts";
import type { RelayEnd } from "./relay-body.ts";

const accountRule = {
  /** One plain request in so many gets a line at level `info`; all of them do at `debug`. */
  plainSampling: 100,
  /** Lines a second that are not about plain requests, and how many may come at once. A shed storm must not become a storm of lines. */
  linesPerSecond: 50,
  linesAtOnce: 200,
  /** Above this share of its time a request is slow, and a slow one is not plain. */
  slowShare: 0.8,
  /** Between two lines about one key that is over its limit. */
  overLimitEveryMs: 60_000,
} as const;

/** The first attempt succeeded where it should be made, or none was needed: a fleet that works as it is meant to. */
const plainReasons: ReadonlySet<string> = new Set<Journey["because"]>([
  "local-first",
  "local-only",
  // Whether it waited too long is told by its time.
  "local-full",
  "affinity",
  "not-local",
  "peer-less-pressed",
  "draining",
  "cached",
  "joined",
  "deferred",
]);

/** Refusals for others' sake: what they say of one request is likely to hold for the next. */
export const crowdReasons: ReadonlySet<string> = new Set<Journey["because"]>([
  "pool-full",
  "queue-full",
  "over-share",
]);

type Origin = Pick<Arrival, "trace" | "fromPeer">;

/** What is told of a request; of one whose body was not read its class may not be known. */
export type Accounted = Pick<
  InferenceRequest,
  "id" | "path" | "model" | "modelName" | "stream" | "receivedAt" | "deadline"
> & {
  readonly sla: InferenceRequest["sla"] | "none";
  /** It was refused by its headers alone. */
  readonly unread?: boolean;
};

export interface RequestAccount {
  /** When a caller was last refused because of others, its body read; and when one was last answered as another was. */
  readonly lastShedAt: Instant;
  readonly lastReusedAt: Instant;
  /** Refused before it was a request: unreadable, or not allowed. */
  rejected(code: ErrorCode, origin?: Origin): void;
  /** Refused because the key has used up its limit. `sla`: as far as is known before anything is read. */
  limited(key: string, sla: SlaClass | "none"): void;
  finished(request: Accounted, dispatched: Dispatched, how: RelayEnd, status: number, origin: Origin): void;
}

export function createRequestAccount(metrics: Metrics, log: Log, clock: Clock): RequestAccount {
  let plain = 0;
  const lines = tokenBucket(accountRule.linesPerSecond, () => accountRule.linesAtOnce, clock.now());
  let leftOut = 0;
  const overLimit = onceIn(accountRule.overLimitEveryMs);
  let lastShedAt = Number.NEGATIVE_INFINITY;
  let lastReusedAt = Number.NEGATIVE_INFINITY;

  const count = (
    { sla, receivedAt }: Accounted,
    dispatched: Dispatched,
    outcome: string,
    totalMs: number,
  ): void => {
    const { journey } = dispatched;
    const endpoint = dispatched.kind === "answer" ? dispatched.answeredBy : undefined;
    const tier = endpoint?.tier ?? (dispatched.kind === "defer" ? "bronze" : "none");
    metrics.requests.with(sla, tier, endpoint?.locality ?? "none", outcome).add(1);
    if (dispatched.kind === "answer") {
      observe(metrics.requestSeconds.with(sla, tier), totalMs / 1000);
      const beganMs = dispatched.answeredAt - receivedAt;
      observe(metrics.firstByteSeconds.with(sla, tier), beganMs / 1000);
      const insideMs = beganMs - journey.queuedMs - journey.engineMs;
      observe(metrics.overheadSeconds.with(), insideMs / 1000);
    }
    // Who joined was refused by its own deadline, or after the attempts of another.
    if (dispatched.kind === "refusal" && journey.tried.length === 0 && journey.because !== "joined")
      metrics.shed.with(sla, journey.because).add(1);
    const attempts = dispatched.kind === "answer" ? dispatched.attempts : journey.tried.length;
    const retries = attempts - 1 - (journey.hedge === undefined ? 0 : 1);
    if (retries > 0) metrics.retries.with().add(retries);
  };

  return {
    get lastShedAt() {
      return lastShedAt;
    },
    get lastReusedAt() {
      return lastReusedAt;
    },
    rejected(code, origin) {
      const forwarded = origin?.fromPeer?.forwarded;
      if (forwarded !== undefined) metrics.forwarded.with(forwarded.tier, forwarded.body, code).add(1);
      else metrics.requests.with("none", "none", "none", code).add(1);
    },
    limited(key, sla) {
      metrics.requests.with("none", "none", "none", "rate_limited").add(1);
      metrics.shed.with(sla, "rate-limited").add(1);
      if (overLimit.isDue(key, clock.now())) log.warn({ key }, "a key is over its rate limit");
    },
    finished(request, dispatched, how, status, origin) {
      const { journey } = dispatched;
      const forwarded = origin.fromPeer?.forwarded;
      const totalMs = clock.now() - request.receivedAt;
      const outcome = how === "complete" ? (status < 400 ? "ok" : "client-error") : how;
      const attempts = dispatched.kind === "answer" ? dispatched.attempts : journey.tried.length;
      const isUntried = dispatched.kind === "refusal" && journey.tried.length === 0;
      if (isUntried && forwarded === undefined && !request.unread && crowdReasons.has(journey.because))
        lastShedAt = clock.now();
      if (dispatched.kind === "answer" && (dispatched.cache === "hit" || dispatched.cache === "join"))
        lastReusedAt = clock.now();

      if (forwarded !== undefined) metrics.forwarded.with(forwarded.tier, forwarded.body, outcome).add(1);
      else count(request, dispatched, outcome, totalMs);

      const slow = totalMs > accountRule.slowShare * (request.deadline - request.receivedAt);
      const isAsMeant = outcome === "ok" && plainReasons.has(journey.because) && !slow;
      // What a peer sent and finds no room for goes elsewhere: that peer has the whole story.
      const isPlain = isAsMeant || (isUntried && forwarded !== undefined);
      plain = isPlain ? (plain + 1) % accountRule.plainSampling : plain;
      const everyLine = log.isLevelEnabled("debug");
      // Questions come by the thousand; this host's own have no line either.
      const isUntold = forwarded?.body === "question" || (isPlain && plain !== 1);
      if (isUntold && !everyLine) return;
      if (!isPlain && !everyLine && !lines.withdraw(clock.now())) {
        leftOut += 1;
        return;
      }
      const endpoint = dispatched.kind === "answer" ? dispatched.answeredBy : undefined;
      log[isPlain || outcome === "left" ? "info" : "warn"](
        {
          request: request.id,
          trace: origin.trace.own.slice(3, 35),
          ...(origin.fromPeer !== undefined && { from: origin.fromPeer.from }),
          sla: request.sla,
          path: request.path,
          model: request.model ?? request.modelName,
          stream: request.stream,
          outcome,
          status,
          because: journey.because,
          endpoint: endpoint?.name,
          locality: endpoint?.locality,
          attempts,
          tried: journey.tried.map(({ endpoint: name, outcome: kind, ms, why }) => ({
            endpoint: name,
            outcome: kind,
            ms: hundredths(ms),
            why: besides(kind, why),
          })),
          queued_ms: hundredths(journey.queuedMs),
          engine_ms: hundredths(journey.engineMs),
          total_ms: hundredths(totalMs),
          ...(leftOut > 0 && { left_out: leftOut }),
        },
        isAsMeant ? "request" : `request ${outcome}`,
      );
      leftOut = 0;
    },
  };
}

const hundredths = (ms: number): number => Math.round(ms * 100) / 100;

/** Many a reason begins with the outcome, which stands beside it in the line. */
const besides = (outcome: string, why: string): string =>
  why.startsWith(`${outcome}: `) ? why.slice(outcome.length + 2) : why;
