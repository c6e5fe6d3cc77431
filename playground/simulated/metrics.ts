// The lines of vLLM's /metrics that a router reads, from the scheduler's counts.

import type { SchedulerCounts } from "./scheduler.ts";

export interface FinishedCounts {
  readonly stop: number;
  readonly length: number;
}

/** With `frozen` the gauges read idle, as those of a vLLM whose worker hangs do. */
export function metricsText(
  model: string,
  counts: SchedulerCounts,
  finished: FinishedCounts,
  frozen: boolean,
): string {
  const labels = `engine="0",model_name="${model}"`;
  const running = frozen ? 0 : counts.running;
  const waiting = frozen ? 0 : counts.waiting;
  const row = (
    kind: "gauge" | "counter",
    name: string,
    help: string,
    ...values: [more: string, value: number][]
  ) =>
    [
      `# HELP vllm:${name} ${help}`,
      `# TYPE vllm:${name} ${kind}`,
      ...values.map(([more, value]) => `vllm:${name}{${labels}${more}} ${decimal(value)}`),
    ].join("\n");
  return `${[
    row("gauge", "num_requests_running", "Number of requests in model execution batches.", ["", running]),
    row("gauge", "num_requests_waiting", "Number of requests waiting to be processed.", ["", waiting]),
    row(
      "gauge",
      "num_requests_waiting_by_reason",
      "Number of requests waiting to be processed, by reason.",
      [',reason="capacity"', waiting],
      [',reason="deferred"', 0],
    ),
    row("gauge", "kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", [
      "",
      frozen ? 0 : counts.kvUsage,
    ]),
    row("counter", "num_preemptions_total", "Cumulative number of preemptions.", ["", counts.preemptions]),
    row("counter", "prompt_tokens_total", "Number of prefill tokens processed.", ["", counts.promptTokens]),
    row("counter", "generation_tokens_total", "Number of generation tokens processed.", [
      "",
      counts.generatedTokens,
    ]),
    row(
      "counter",
      "request_success_total",
      "Count of successfully processed requests.",
      [',finished_reason="stop"', finished.stop],
      [',finished_reason="length"', finished.length],
      // vLLM 0.32 counts aborted requests nowhere.
      [',finished_reason="abort"', 0],
    ),
  ].join("\n")}\n`;
}

/** prometheus_client writes floats. */
const decimal = (value: number): string => (Number.isInteger(value) ? `${value}.0` : `${value}`);
