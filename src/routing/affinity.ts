// Where a session's requests meet: by rendezvous hashing, so that an endpoint that comes or goes moves only the sessions
// that are or were its own; within a bound on pressure, so that a popular session crowds nobody.

import type { Instant } from "../base/clock.ts";
import { hash32, mix32 } from "../base/hash32.ts";
import type { EndpointView } from "../fleet/endpoint-view.ts";

const affinityRule = {
  /** Times the mean pressure that an endpoint may bear and still be chosen. */
  overMean: 1.25,
  /** Below this nobody is crowded, whatever the mean: a warm prefix is worth more than a few places. */
  easy: 0.25,
} as const;

/** Where it would be if nobody were pressed. */
export function homeOf(endpoints: readonly [EndpointView, ...EndpointView[]], session: string): EndpointView {
  const sessionHash = hash32(session);
  let best = endpoints[0];
  for (const endpoint of endpoints)
    if (mix32(sessionHash, endpoint.nameHash) > mix32(sessionHash, best.nameHash)) best = endpoint;
  return best;
}

export function byAffinity(
  candidates: readonly [EndpointView, ...EndpointView[]],
  session: string,
  now: Instant,
): EndpointView {
  let sum = 0;
  for (const candidate of candidates) sum += candidate.pressure(now);
  const most = Math.max(affinityRule.easy, (affinityRule.overMean * sum) / candidates.length);
  const sessionHash = hash32(session);
  let best = candidates[0];
  let bestScore = -1;
  for (const candidate of candidates) {
    const score = mix32(sessionHash, candidate.nameHash);
    if (score > bestScore && candidate.pressure(now) <= most) {
      best = candidate;
      bestScore = score;
    }
  }
  return best;
}
