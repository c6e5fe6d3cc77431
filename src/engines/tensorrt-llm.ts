// TensorRT-LLM behind `trtllm-serve`.

import { parseJson } from "../base/parse-json.ts";
import type { Dialect } from "./dialect.ts";
import type { EngineGauges } from "./gauges.ts";
import { unlessEmpty } from "./gauges.ts";
import type { IntentConstraint } from "./intent-constraint.ts";
import { alternativesMost, unconstrained } from "./intent-constraint.ts";
import {
  figure,
  member,
  oneToken,
  readErrorBody,
  readHealthStatus,
  readModelList,
  readStatus,
} from "./openai-wire.ts";

/**
 * `ResponseFormat` in NVIDIA/TensorRT-LLM's tensorrt_llm/serve/openai_protocol.py. Without `guided_decoding_backend` in the
 * server's YAML it is ignored by some versions (NVIDIA/TensorRT#4855) and refused by others (NVIDIA/TensorRT-LLM#2624).
 * The odds are those of all tokens, whatever the expression forbids; before its PR 7756 the PyTorch backend gave one only.
 */
const regex: IntentConstraint = {
  name: "response_format.regex",
  binds: true,
  members: (letters) => ({
    response_format: { type: "regex", regex: `(${letters.join("|")})` },
    top_logprobs: alternativesMost,
  }),
};

export const tensorrtLlm: Dialect = {
  kind: "tensorrt-llm",
  health: { path: "/health", read: readHealthStatus },
  models: { path: "/v1/models", read: readModelList },
  // With an idle queue the answer is held back for 2 s; twice that is a time limit which means something.
  gauges: { path: "/metrics", timeoutMs: 4000, everyMs: 4000, read: readIterations },
  requestHeaders: [],
  readError: readErrorBody,
  verdict: readStatus,
  oneToken,
  intentConstraints: [regex, unconstrained],
};

/** Statistics of the iterations since the last question, oldest first; the last row is the state now. */
function readIterations(status: number, body: string): EngineGauges | undefined {
  if (status !== 200) return undefined;
  const iterations = parseJson(body);
  if (!Array.isArray(iterations)) return undefined;
  const last: unknown = iterations.at(-1);
  const cache = member(last, "kvCacheStats");
  const usedBlocks = figure(member(cache, "usedNumBlocks"));
  const allBlocks = figure(member(cache, "maxNumBlocks"));
  return unlessEmpty({
    running: figure(member(last, "numActiveRequests")),
    waiting: figure(member(last, "numQueuedRequests")),
    kvUsage: usedBlocks !== undefined && allBlocks ? usedBlocks / allBlocks : undefined,
  });
}
