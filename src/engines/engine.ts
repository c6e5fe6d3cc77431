// The kinds of engine that tierline can stand beside: one row each.

import type { Dialect } from "./dialect.ts";
import { llamaCpp } from "./llama-cpp.ts";
import { openai } from "./openai.ts";
import { tensorrtLlm } from "./tensorrt-llm.ts";
import { vllm } from "./vllm.ts";

/** The values of `kind` in the configuration. */
export const engineKinds = ["vllm", "tensorrt-llm", "llama-cpp", "openai"] as const;
export type EngineKind = (typeof engineKinds)[number];

export const dialects: Readonly<Record<EngineKind, Dialect>> = {
  vllm,
  "tensorrt-llm": tensorrtLlm,
  "llama-cpp": llamaCpp,
  openai,
};
