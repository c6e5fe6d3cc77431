// vLLM (V1 engine), as seen on 0.29 to 0.32.

import { parseJson } from "../base/parse-json.ts";
import type { Dialect } from "./dialect.ts";
import type { EngineGauges } from "./gauges.ts";
import { unlessEmpty } from "./gauges.ts";
import type { IntentConstraint } from "./intent-constraint.ts";
import { unconstrained } from "./intent-constraint.ts";
import {
  figure,
  member,
  oneToken,
  readErrorBody,
  readHealthStatus,
  readModelList,
  readStatus,
} from "./openai-wire.ts";
import { maxOf, sumOf } from "./prometheus-text.ts";

/** Log-probabilities are taken after the letters have been enforced: one alternative a letter is all there is. */
const choice: IntentConstraint = {
  name: "structured_outputs.choice",
  binds: true,
  members: (letters) => ({ structured_outputs: { choice: letters } }),
};

/** What it was called before 0.10.2; gone since 0.12, where it is silently ignored. */
const guidedChoice: IntentConstraint = {
  name: "guided_choice",
  binds: true,
  members: (letters) => ({ guided_choice: letters }),
};

/** Lower is first. Interactive, the default, says nothing: what the engine gets is then exactly what the caller sent. */
const priorities = { realtime: -10, interactive: undefined, async: 10 } as const;

export const vllm: Dialect = {
  kind: "vllm",
  // 503 here is a dead engine core; on an inference path it is a full queue.
  health: { path: "/health", read: readHealthStatus },
  models: { path: "/v1/models", read: readModelList },
  gauges: { path: "/metrics", timeoutMs: 2000, everyMs: 2000, read: readMetrics },
  requestHeaders: [["endpoint-load-metrics-format", "JSON"]],
  loadHeader: { name: "endpoint-load-metrics", read: readLoadHeader },
  // Ignored by an engine that runs without `--scheduling-policy priority`.
  priority: (sla) => priorities[sla],
  readError: readErrorBody,
  verdict: readStatus,
  oneToken,
  intentConstraints: [choice, guidedChoice, unconstrained],
};

/** The second spelling of a series is Ray's, which turns the colon into an underscore. */
function readMetrics(status: number, body: string): EngineGauges | undefined {
  if (status !== 200) return undefined;
  const name = (series: string): [string, string] => [`vllm:${series}`, `vllm_${series}`];
  return unlessEmpty({
    running: sumOf(body, ...name("num_requests_running")),
    waiting: sumOf(body, ...name("num_requests_waiting")),
    // A ratio despite its name; the other is what it was called before 0.9.
    kvUsage: maxOf(body, ...name("kv_cache_usage_perc"), ...name("gpu_cache_usage_perc")),
    generatedTokens: sumOf(body, ...name("generation_tokens_total")),
  });
}

/** `JSON {"named_metrics":{…}}` or `TEXT named_metrics.k=v, …`: the format word comes first. Never on a stream. */
function readLoadHeader(value: string): EngineGauges | undefined {
  const format = value.slice(0, 5);
  const rest = value.slice(5);
  const read = format === "JSON " ? namedInJson(rest) : format === "TEXT " ? namedInText(rest) : undefined;
  if (read === undefined) return undefined;
  return unlessEmpty({ waiting: read("num_requests_waiting"), kvUsage: read("kv_cache_usage_perc") });
}

type ReadFigure = (name: string) => number | undefined;

function namedInJson(text: string): ReadFigure {
  const named = member(parseJson(text), "named_metrics");
  return (name) => figure(member(named, name));
}

function namedInText(text: string): ReadFigure {
  const pairs = new Map<string, number>();
  for (const pair of text.split(",")) {
    const [key, value] = pair.trim().split("=", 2);
    if (key !== undefined && value !== undefined && value !== "") pairs.set(key, Number(value));
  }
  return (name) => figure(pairs.get(`named_metrics.${name}`));
}
