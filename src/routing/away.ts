// Why a request leaves this host for a peer: what stood against each endpoint here, summed up in one word.

import type { AwayReason, Exclusion } from "./decision.ts";

const awayReasons: Readonly<Record<Exclusion, AwayReason>> = {
  full: "peer-less-pressed",
  "share-full": "peer-less-pressed",
  pressed: "peer-less-pressed",
  "over-share": "peer-less-pressed",
  "pushed-back": "peer-less-pressed",
  "too-slow": "peer-less-pressed",
  "breaker-open": "breaker-open-locally",
  unhealthy: "local-unhealthy",
  silent: "local-unhealthy",
  barred: "local-unhealthy",
  "models-unknown": "local-unhealthy",
  draining: "draining",
  "other-model": "not-local",
  "already-tried": "not-local",
  // These are said of peers only.
  stale: "not-local",
  "troubled-there": "not-local",
  suspect: "not-local",
  joining: "not-local",
  "spoken-for": "not-local",
};

/** An engine that is merely full shows that the tier works here; another one, broken, does not matter beside it. */
const gravity: Readonly<Record<AwayReason, number>> = {
  "not-local": 0,
  "local-unhealthy": 1,
  "breaker-open-locally": 2,
  "peer-less-pressed": 3,
  draining: 4,
};

/** The word for all so far, and one more. */
export function andAway(soFar: AwayReason, exclusion: Exclusion): AwayReason {
  const reason = awayReasons[exclusion];
  return gravity[reason] > gravity[soFar] ? reason : soFar;
}
