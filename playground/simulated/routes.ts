// The paths of the simulated engine, one row each, and the life of an inference request.

import {
  doneFrame,
  embeddingsAnswer,
  modelList,
  roleFrame,
  tokenFrame,
  usageFrame,
  wholeAnswer,
} from "./answer.ts";
import type { Ask, AskLimits } from "./ask.ts";
import { engineBusy, isRefusal, readAsk, readBody } from "./ask.ts";
import type { Exchange, HeaderRow } from "./http-listener.ts";
import type { Journal } from "./journal.ts";
import { metricsText } from "./metrics.ts";
import type { PrefixCache } from "./prefix-cache.ts";
import type { Scheduler } from "./scheduler.ts";
import { countTokens } from "./text.ts";

/** What the answers are made from. */
export interface Inside {
  readonly options: Omit<AskLimits, "unruly"> & {
    readonly maxQueued: number;
    readonly apiKey: string | undefined;
    readonly earlyHead: boolean;
  };
  readonly scheduler: Scheduler;
  readonly journal: Journal;
  readonly prefixes: PrefixCache;
  /** The worker hangs: gauges read idle. */
  readonly frozen: boolean;
  /** This request's answer is held to nothing. */
  readonly unruly: boolean;
}

export const streamHeaders: HeaderRow[] = [["content-type", "text/event-stream; charset=utf-8"]];
const jsonHeaders: HeaderRow[] = [["content-type", "application/json"]];
const metricsHeaders: HeaderRow[] = [["content-type", "text/plain; version=1.0.0; charset=utf-8"]];

interface Route {
  readonly method: "GET" | "POST";
  answer(exchange: Exchange, inside: Inside): void;
}

const routes: Readonly<Record<string, Route>> = {
  "/health": { method: "GET", answer: (exchange) => exchange.answer(200, [], "") },
  "/ping": { method: "GET", answer: (exchange) => exchange.answer(200, [], "") },
  "/version": {
    method: "GET",
    answer: (exchange) => exchange.answer(200, jsonHeaders, '{"version":"0.32.0"}'),
  },
  // A constant, as vLLM's own without --enable-server-load-tracking.
  "/load": { method: "GET", answer: (exchange) => exchange.answer(200, jsonHeaders, '{"server_load":0}') },
  "/metrics": { method: "GET", answer: metrics },
  "/v1/models": { method: "GET", answer: models },
  "/v1/chat/completions": { method: "POST", answer: (exchange, inside) => infer(exchange, "chat", inside) },
  "/v1/completions": { method: "POST", answer: (exchange, inside) => infer(exchange, "completion", inside) },
  "/v1/embeddings": { method: "POST", answer: embed },
};

export function answerRequest(exchange: Exchange, inside: Inside): void {
  const { method, path, headers } = exchange.request;
  const { apiKey } = inside.options;
  const route = routes[path];
  if (path.startsWith("/v1/") && apiKey !== undefined && headers["authorization"] !== `Bearer ${apiKey}`) {
    exchange.answer(401, jsonHeaders, '{"error":"Unauthorized"}');
  } else if (route === undefined) {
    exchange.answer(404, jsonHeaders, '{"detail":"Not Found"}');
  } else if (route.method !== method) {
    exchange.answer(405, [["allow", route.method], ...jsonHeaders], '{"detail":"Method Not Allowed"}');
  } else {
    route.answer(exchange, inside);
  }
}

function metrics(exchange: Exchange, { options, scheduler, journal, frozen }: Inside): void {
  exchange.answer(
    200,
    metricsHeaders,
    metricsText(options.model, scheduler.counts(), journal.finishReasons(), frozen),
  );
}

function models(exchange: Exchange, { options }: Inside): void {
  exchange.answer(200, jsonHeaders, modelList(options.model, options.maxModelLen));
}

function infer(exchange: Exchange, kind: Ask["kind"], inside: Inside): void {
  const { options, scheduler, journal, prefixes, unruly } = inside;
  const ask = readAsk(kind, exchange.request.body, exchange.request.headers, { ...options, unruly });
  if (isRefusal(ask)) {
    exchange.answer(ask.status, jsonHeaders, ask.body);
    return;
  }
  const { running, waiting } = scheduler.counts();
  if (options.maxQueued > 0 && running + waiting >= options.maxQueued) {
    exchange.answer(engineBusy.status, jsonHeaders, engineBusy.body);
    return;
  }
  const cachedTokens = prefixes.admit(ask.prompt, ask.promptTokens);
  if (ask.stream && options.earlyHead) exchange.begin(200, streamHeaders);
  const abort = scheduler.submit({
    promptTokens: ask.promptTokens,
    cachedTokens,
    tokens: ask.tokens.length,
    priority: ask.priority,
    onToken(index) {
      const last = index === ask.tokens.length - 1;
      if (last) journal.finished(ask.finish);
      if (ask.stream) {
        if (index === 0 && !options.earlyHead) exchange.begin(200, streamHeaders);
        streamToken(exchange, ask, index, cachedTokens);
      } else if (last) {
        exchange.answer(
          200,
          [...loadHeaders(exchange, scheduler), ...jsonHeaders],
          wholeAnswer(ask, cachedTokens),
        );
      }
    },
  });
  exchange.onGone(abort);
}

function streamToken(exchange: Exchange, ask: Ask, index: number, cachedTokens: number): void {
  if (index === 0 && ask.kind === "chat") exchange.chunk(roleFrame(ask));
  exchange.chunk(tokenFrame(ask, index));
  if (index < ask.tokens.length - 1) return;
  if (ask.usage !== "none") exchange.chunk(usageFrame(ask, cachedTokens));
  exchange.chunk(doneFrame);
  exchange.end();
}

/** `endpoint-load-metrics`, in the format that the request names; vLLM puts the format's name first. */
function loadHeaders(exchange: Exchange, scheduler: Scheduler): HeaderRow[] {
  const format = exchange.request.headers["endpoint-load-metrics-format"]?.toUpperCase();
  if (format !== "JSON" && format !== "TEXT") return [];
  const { waiting, kvUsage } = scheduler.counts();
  const value =
    format === "JSON"
      ? `JSON {"named_metrics": {"num_requests_waiting": ${waiting.toFixed(1)}, "kv_cache_usage_perc": ${kvUsage}}}`
      : `TEXT named_metrics.num_requests_waiting=${waiting.toFixed(1)}, named_metrics.kv_cache_usage_perc=${kvUsage}`;
  return [["endpoint-load-metrics", value]];
}

/** Embeddings take one forward pass, as a sequence of one token does. */
function embed(exchange: Exchange, { options, scheduler }: Inside): void {
  const body = readBody(exchange.request.body, exchange.request.headers);
  if (isRefusal(body)) {
    exchange.answer(body.status, jsonHeaders, body.body);
    return;
  }
  const input = body["input"];
  const inputs = Array.isArray(input) ? input.map(String) : [String(input)];
  const promptTokens = inputs.reduce((sum, text) => sum + countTokens(text), 0);
  const onToken = (): void =>
    exchange.answer(200, jsonHeaders, embeddingsAnswer(options.model, inputs, promptTokens));
  exchange.onGone(scheduler.submit({ promptTokens, cachedTokens: 0, tokens: 1, priority: 0, onToken }));
}
