// How often one key may ask: a bucket of requests, and what every answer says of it, in OpenAI's words and in those of the
// IETF (draft-ietf-httpapi-ratelimit-headers-11).

import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { tokenBucket } from "../base/token-bucket.ts";
import { errorResponse } from "./errors.ts";

export interface Rate {
  /** May be a fraction. */
  readonly perSecond: number;
  /** Requests at once, at least 1. */
  readonly burst: number;
}

export interface RateLimit {
  /** Takes one request, or says that there is none left. */
  take(): boolean;
  /** The answer to a request for which there was none left. */
  refusal(): Response;
  /** Puts the limit, as it stands now, into the headers of an answer. */
  tell(headers: Headers): void;
  /** What is left. */
  level(): number;
}

const limitRule = {
  /** SDKs ignore a longer wait, and come at once. */
  retryAfterMostMs: 60_000,
  /** On top of the wait, so that those who were refused together do not return together. */
  jitter: 0.25,
} as const;

/** `level`: what is left at the beginning; not given, it is full. */
export function createRateLimit(
  key: string,
  { perSecond, burst }: Rate,
  { now }: Pick<Clock, "now">,
  random: Random,
  level = burst,
): RateLimit {
  const bucket = tokenBucket(perSecond, () => burst, now(), Math.min(burst, level));
  // A window is whole seconds, and no shorter than an empty bucket takes to be full.
  const windowSeconds = Math.max(1, Math.ceil(burst / perSecond));
  const policy = `"${key}";q=${Math.max(1, Math.floor(perSecond * windowSeconds))};w=${windowSeconds}`;
  const msUntil = (tokens: number): number =>
    Math.max(0, Math.ceil(((tokens - bucket.level(now())) / perSecond) * 1000));

  const tell = (headers: Headers): void => {
    const left = Math.floor(bucket.level(now()));
    const fullMs = msUntil(burst);
    headers.set("x-ratelimit-limit-requests", String(burst));
    headers.set("x-ratelimit-remaining-requests", String(left));
    headers.set("x-ratelimit-reset-requests", durationText(fullMs));
    headers.set("ratelimit-policy", policy);
    headers.set("ratelimit", `"${key}";r=${left};t=${Math.ceil(fullMs / 1000)}`);
  };

  return {
    take: () => bucket.withdraw(now()),
    refusal() {
      const waitMs = Math.max(1, msUntil(1));
      const retryAfterMs = Math.min(
        limitRule.retryAfterMostMs,
        Math.ceil(waitMs * (1 + limitRule.jitter * random())),
      );
      const message = `The key ${key} may make ${perSecond} requests a second here, ${burst} at once, and has made them. Try again in ${durationText(waitMs)}.`;
      const response = errorResponse("rate_limited", message, {
        retryAfterMs,
        headers: { "x-tierline-because": "rate-limited" },
      });
      tell(response.headers);
      return response;
    },
    tell,
    level: () => bucket.level(now()),
  };
}

/** As OpenAI writes it: `17ms`, `1.5s`, `6m0s`, `2h3m0s`. */
export function durationText(ms: number): string {
  if (ms === 0) return "0s";
  if (ms < 1000) return `${ms}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor((ms % 3_600_000) / 60_000);
  const seconds = `${(ms % 60_000) / 1000}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}
