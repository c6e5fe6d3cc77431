// A real llama.cpp engine, with the generated model, behind the HTTP surface of llama-server.
// Import startLlamaEngine, or run `bun playground/llama-engine.ts --port 8080 --model tiny-npc`.

import { parseArgs } from "node:util";
import type { LlamaCounts } from "./llama/generate.ts";
import { loadTinyLlama } from "./llama/generate.ts";
import { answerInference, errorAnswer } from "./llama/openai.ts";

export interface LlamaEngineOptions {
  /** 0 takes a free one. */
  readonly port: number;
  readonly hostname: string;
  /** The name that it lists and answers to. */
  readonly model: string;
  /** Sequences decoded together; the rest waits. */
  readonly slots: number;
}

export interface LlamaEngine {
  readonly url: string;
  readonly model: string;
  stats(): LlamaCounts;
  stop(): Promise<void>;
}

const defaults: LlamaEngineOptions = { port: 0, hostname: "127.0.0.1", model: "tiny-npc", slots: 4 };

/** Throws where no llama.cpp can be loaded on this machine. */
export async function startLlamaEngine(given: Partial<LlamaEngineOptions> = {}): Promise<LlamaEngine> {
  const { port, hostname, model, slots } = { ...defaults, ...given };
  const llama = await loadTinyLlama(slots);
  const card = {
    id: model,
    object: "model",
    created: 0,
    owned_by: "llamacpp",
    meta: { n_ctx_train: llama.contextTokens },
    max_model_len: llama.contextTokens,
  };
  const server = Bun.serve({
    hostname,
    port,
    idleTimeout: 0,
    routes: {
      "/health": { GET: () => Response.json({ status: "ok" }) },
      "/v1/health": { GET: () => Response.json({ status: "ok" }) },
      "/v1/models": { GET: () => Response.json({ object: "list", data: [card] }) },
      "/props": {
        GET: () =>
          Response.json({
            default_generation_settings: { n_ctx: llama.contextTokens },
            total_slots: slots,
            model_alias: model,
            build_info: "node-llama-cpp",
          }),
      },
      "/metrics": { GET: () => new Response(metricsText(llama.counts())) },
      "/control/stats": { GET: () => Response.json(llama.counts()) },
      "/v1/chat/completions": { POST: (request) => answerInference("chat", request, model, llama) },
      "/v1/completions": { POST: (request) => answerInference("completion", request, model, llama) },
    },
    fetch: () => errorAnswer(404, "not_found_error", "File Not Found"),
  });
  return {
    url: `http://${hostname}:${server.port}`,
    model,
    stats: llama.counts,
    async stop() {
      await server.stop(true);
      await llama.dispose();
    },
  };
}

function metricsText(counts: LlamaCounts): string {
  const row = (kind: string, name: string, value: number) =>
    `# TYPE llamacpp:${name} ${kind}\nllamacpp:${name} ${value}\n`;
  return [
    row("counter", "prompt_tokens_total", counts.promptTokens),
    row("counter", "tokens_predicted_total", counts.generatedTokens),
    row("gauge", "requests_processing", counts.running),
    row("gauge", "requests_deferred", counts.waiting),
  ].join("");
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "0" },
      model: { type: "string", default: defaults.model },
      slots: { type: "string", default: `${defaults.slots}` },
    },
  });
  const engine = await startLlamaEngine({
    port: Number(values.port),
    model: values.model,
    slots: Number(values.slots),
  });
  console.log(JSON.stringify({ msg: "ready", url: engine.url, control: engine.url, model: engine.model }));
  const leave = (): never => process.exit(0);
  process.on("SIGTERM", leave);
  process.on("SIGINT", leave);
}
