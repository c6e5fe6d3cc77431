// Accounts for each inference request once it is over: the counters always, a log line where it was not plain.

import type { Clock } from "../base/clock.ts";
import type { ErrorCode } from "../base/error-codes.ts";
import { observe } from "../base/histogram.ts";
import { tokenBucket } from "../base/token-bucket.ts";
import type { Dispatched, Journey } from "../dispatch/dispatch.ts";
import type { InferenceRequest } from "../dispatch/inference-request.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { RelayEnd } from "./relay-body.ts";

const accountRule = {
  /** One plain request in so many gets a line at level `info`; all of them do at `debug`. */
  plainSampling: 100,
  /** Lines a second that are not about plain requests, and how many may come at once. A shed storm must not become a storm of lines. */
  linesPerSecond: 50,
  linesAtOnce: 200,
  /** Above this share of its time a request is slow, and a slow one is not plain. */
  slowShare: 0.8,
} as const;

/** The first attempt succeeded where it should be made, or none was needed. */
const plainReasons: ReadonlySet<string> = new Set<Journey["because"]>(["local-first", "cached", "joined"]);

export interface RequestAccount {
  /** Refused before it was a request: unreadable, or not allowed. */
  rejected(code: ErrorCode): void;
  finished(request: InferenceRequest, dispatched: Dispatched, how: RelayEnd, status: number): void;
}

export function createRequestAccount(metrics: Metrics, log: Log, clock: Clock): RequestAccount {
  let plain = 0;
  const lines = tokenBucket(accountRule.linesPerSecond, () => accountRule.linesAtOnce, clock.now());
  let leftOut = 0;

  return {
    rejected(code) {
      metrics.requests.with("none", "none", "none", code).add(1);
    },
    finished(request, dispatched, how, status) {
      const { sla } = request;
      const { journey } = dispatched;
      const totalMs = clock.now() - request.receivedAt;
      const endpoint = dispatched.kind === "answer" ? dispatched.answeredBy : undefined;
      const tier = endpoint?.tier ?? "none";
      const outcome = how === "complete" ? (status < 400 ? "ok" : "client-error") : how;

      metrics.requests.with(sla, tier, endpoint?.locality ?? "none", outcome).add(1);
      if (dispatched.kind === "answer") {
        observe(metrics.requestSeconds.with(sla, tier), totalMs / 1000);
        const beganMs = dispatched.answeredAt - request.receivedAt;
        observe(metrics.firstByteSeconds.with(sla, tier), beganMs / 1000);
        const insideMs = beganMs - journey.queuedMs - journey.engineMs;
        observe(metrics.overheadSeconds.with(), insideMs / 1000);
      }
      // Who joined was refused by its own deadline, or after the attempts of another.
      if (dispatched.kind === "refusal" && journey.tried.length === 0 && journey.because !== "joined")
        metrics.shed.with(sla, journey.because).add(1);
      const attempts = dispatched.kind === "answer" ? dispatched.attempts : journey.tried.length;
      if (attempts > 1) metrics.retries.with().add(attempts - 1);

      const slow = totalMs > accountRule.slowShare * (request.deadline - request.receivedAt);
      const isPlain = outcome === "ok" && plainReasons.has(journey.because) && !slow;
      plain = isPlain ? (plain + 1) % accountRule.plainSampling : plain;
      const everyLine = log.isLevelEnabled("debug");
      if (isPlain && plain !== 1 && !everyLine) return;
      if (!isPlain && !everyLine && !lines.withdraw(clock.now())) {
        leftOut += 1;
        return;
      }
      log[isPlain || outcome === "left" ? "info" : "warn"](
        {
          request: request.id,
          sla,
          path: request.path,
          model: request.model ?? request.modelName,
          stream: request.stream,
          outcome,
          status,
          because: journey.because,
          endpoint: endpoint?.name,
          attempts,
          tried: journey.tried.map(({ endpoint: name, outcome: kind, ms, why }) => ({
            endpoint: name,
            outcome: kind,
            ms,
            why,
          })),
          queued_ms: journey.queuedMs,
          engine_ms: journey.engineMs,
          total_ms: totalMs,
          ...(leftOut > 0 && { left_out: leftOut }),
        },
        isPlain ? "request" : `request ${outcome}`,
      );
      leftOut = 0;
    },
  };
}
