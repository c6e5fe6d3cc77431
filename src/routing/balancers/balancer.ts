// What a balancer is: a way to choose among one tier's endpoints that all have room.

import type { Instant } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { EndpointView } from "../../fleet/endpoint-view.ts";

/** `candidates` has at least one member; the answer is one of them. Nothing is kept between calls. */
export type Balancer = (
  candidates: readonly [EndpointView, ...EndpointView[]],
  now: Instant,
  random: Random,
) => EndpointView;
