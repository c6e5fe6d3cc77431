// The inference request that a question about a situation becomes. No caller stands behind it, so the router signs it.

import type { Instant } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Archetype } from "../intents/archetype.ts";
import { promptOf } from "../intents/prompt.ts";
import type { RoutingRequest } from "../routing/request.ts";
import type { InferenceRequest } from "./inference-request.ts";

export type WriteIntentRequest = (
  archetype: Archetype,
  situation: number,
  routing: RoutingRequest,
  now: Instant,
) => InferenceRequest;

const noBody = new Uint8Array();

export function createIntentRequests(random: Random): WriteIntentRequest {
  // Drawn once and counted on: a drawn id for each would cost more than it tells.
  const run = Array.from({ length: 16 }, () => Math.floor(random() * 16).toString(16)).join("");
  let count = 0;

  return (archetype, situation, routing, now) => {
    count += 1;
    const id = `intent_${run}_${count}`;
    const serial = count.toString(16).padStart(16, "0");
    return {
      ...routing,
      id,
      path: "/v1/chat/completions",
      body: noBody,
      question: {
        prompt: promptOf(archetype, situation),
        options: archetype.actions.length,
        temperature: archetype.temperature,
      },
      modelName: undefined,
      hasPriority: false,
      headers: [
        ["x-request-id", id],
        // Not sampled: thousands of one-token questions would bury the traces of players' requests.
        ["traceparent", `00-${run}${serial}-${serial}-00`],
        ["accept-encoding", "identity"],
        ["content-type", "application/json"],
      ],
      firstByteMs: routing.deadline - now,
      receivedAt: now,
    };
  };
}
