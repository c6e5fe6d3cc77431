// One inference request as the door would have made it, for tests of dispatch.

import type { InferenceRequest } from "../../src/dispatch/inference-request.ts";
import { balancers } from "../../src/routing/balancers/balancers.ts";

const ladder = (["gold", "silver", "bronze"] as const).map((tier) => ({
  tier,
  balance: balancers["least-pressure"],
}));

export function inference(
  now: number,
  more: Partial<InferenceRequest> & { text?: string } = {},
): InferenceRequest {
  const { text = '{"model":"gold","messages":[]}', ...rest } = more;
  return {
    id: "req_1",
    path: "/v1/chat/completions",
    body: Buffer.from(text),
    modelName: "gold",
    hasPriority: false,
    headers: [["x-request-id", "req_1"]],
    sla: "realtime",
    ladder,
    model: undefined,
    stream: false,
    receivedAt: now,
    deadline: now + 2000,
    firstByteMs: 250,
    ...rest,
  };
}
