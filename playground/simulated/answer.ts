// vLLM's answers, member for member, nulls included: whole answers and the chunks of a stream.

import type { Ask } from "./ask.ts";
import { chances } from "./text.ts";

const systemFingerprint = "vllm-0.32.0-simulated";

/** A whole answer as JSON. */
export function wholeAnswer(ask: Ask, cachedTokens: number): string {
  const text = ask.tokens.join("");
  const ending = { logprobs: logprobsOf(ask), finish_reason: ask.finish, stop_reason: null, token_ids: null };
  const choice =
    ask.kind === "chat"
      ? {
          index: 0,
          message: {
            role: "assistant",
            content: text,
            refusal: null,
            annotations: null,
            audio: null,
            function_call: null,
            reasoning: null,
          },
          ...ending,
          routed_experts: null,
        }
      : { index: 0, text, ...ending, prompt_logprobs: null, prompt_token_ids: null, routed_experts: null };
  return JSON.stringify({
    id: ask.id,
    object: ask.kind === "chat" ? "chat.completion" : "text_completion",
    created: unixSeconds(),
    model: ask.model,
    choices: [choice],
    service_tier: null,
    system_fingerprint: systemFingerprint,
    usage: usageOf(ask, ask.tokens.length, cachedTokens),
    ...(ask.kind === "chat" ? { prompt_logprobs: null, prompt_token_ids: null, prompt_text: null } : {}),
    kv_transfer_params: null,
    ec_transfer_params: null,
    metrics: null,
  });
}

/** What a chat stream says first, before any token; completions have no such thing. */
export function roleFrame(ask: Ask): string {
  const choice = { index: 0, delta: { role: "assistant", content: "" }, logprobs: null, finish_reason: null };
  return frame(ask, [choice], { ...usageSoFar(ask, 0), prompt_token_ids: null, prompt_text: null });
}

export function tokenFrame(ask: Ask, index: number): string {
  const last = index === ask.tokens.length - 1;
  const token = ask.tokens[index] ?? "";
  const choice = {
    index: 0,
    ...(ask.kind === "chat" ? { delta: { content: token } } : { text: token }),
    logprobs: logprobsOf(ask, index),
    finish_reason: last ? ask.finish : null,
    ...(last || ask.kind === "completion" ? { stop_reason: null } : {}),
    ...(ask.kind === "completion" ? { prompt_token_ids: null } : {}),
    token_ids: null,
  };
  const fingerprint = last && ask.usage === "none" ? { system_fingerprint: systemFingerprint } : {};
  return frame(ask, [choice], { ...usageSoFar(ask, index + 1), ...fingerprint });
}

/** The frame without choices that `include_usage` asks for. */
export function usageFrame(ask: Ask, cachedTokens: number): string {
  const usage = usageOf(ask, ask.tokens.length, cachedTokens);
  return frame(ask, [], { usage, system_fingerprint: systemFingerprint });
}

export const doneFrame = "data: [DONE]\n\n";

export const errorFrame = (body: string): string => `data: ${body}\n\n`;

/** One unit vector a text, the same for the same text. */
export function embeddingsAnswer(model: string, inputs: readonly string[], promptTokens: number): string {
  return JSON.stringify({
    id: `embd-${unixSeconds()}`,
    object: "list",
    created: unixSeconds(),
    model,
    data: inputs.map((input, index) => ({ index, object: "embedding", embedding: unitVector(input) })),
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens, completion_tokens: 0 },
  });
}

export function modelList(model: string, maxModelLen: number): string {
  const created = unixSeconds();
  const card = { id: model, object: "model", created, owned_by: "vllm", root: model, parent: null };
  return JSON.stringify({ object: "list", data: [{ ...card, max_model_len: maxModelLen, permission: [] }] });
}

const unixSeconds = (): number => Math.floor(Date.now() / 1000);

function frame(ask: Ask, choices: readonly object[], more: object): string {
  const object = ask.kind === "chat" ? "chat.completion.chunk" : "text_completion";
  const body = { id: ask.id, object, created: unixSeconds(), model: ask.model, choices, ...more };
  return `data: ${JSON.stringify(body)}\n\n`;
}

function usageOf(ask: Ask, written: number, cachedTokens: number): object {
  return {
    prompt_tokens: ask.promptTokens,
    total_tokens: ask.promptTokens + written,
    completion_tokens: written,
    prompt_tokens_details: { cached_tokens: cachedTokens, created_cache_tokens: 0, multimodal_tokens: null },
    completion_tokens_details: null,
  };
}

function usageSoFar(ask: Ask, written: number): object {
  return ask.usage === "every" ? { usage: usageOf(ask, written, 0) } : {};
}

const nothingInParticular = { options: [], leanings: [] };

/** Of all tokens, or of the one at `only`. */
function logprobsOf(ask: Ask, only?: number): object | null {
  const count = ask.topLogprobs;
  if (count === undefined) return null;
  const indexes = only === undefined ? ask.tokens.map((_, index) => index) : [only];
  const rows = indexes.map((index) => {
    const token = ask.tokens[index] ?? "";
    // Only the first token of a constrained answer is a real choice; the rest follows from it.
    const free = index === 0 || ask.options.length === 0;
    const alternatives = free
      ? chances(ask.seed + index, index === 0 ? ask : nothingInParticular, Math.max(1, count))
      : [];
    const top = index === 0 && ask.options.length > 0 ? alternatives : withToken(token, alternatives);
    return { token, logprob: top.find((one) => one.token === token)?.logprob ?? 0, top: top.slice(0, count) };
  });
  if (ask.kind === "completion") {
    return {
      text_offset: rows.map((_, index) => ask.tokens.slice(0, indexes[index]).join("").length),
      token_logprobs: rows.map((row) => row.logprob),
      tokens: rows.map((row) => row.token),
      top_logprobs: rows.map((row) => Object.fromEntries(row.top.map((one) => [one.token, one.logprob]))),
    };
  }
  return {
    content: rows.map((row) => ({
      token: row.token,
      logprob: row.logprob,
      bytes: [...Buffer.from(row.token)],
      top_logprobs: row.top.map((one) => ({ ...one, bytes: [...Buffer.from(one.token)] })),
    })),
  };
}

/** The token that was written heads its alternatives: the simulated model always takes the likeliest. */
function withToken(token: string, alternatives: ReturnType<typeof chances>): ReturnType<typeof chances> {
  const [first, ...rest] = alternatives;
  return [{ token, logprob: first?.logprob ?? 0 }, ...rest.filter((one) => one.token !== token)];
}

const embeddingLength = 8;

function unitVector(text: string): number[] {
  const raw = Array.from(
    { length: embeddingLength },
    (_, index) => Bun.hash.xxHash32(text, index) / 2 ** 31 - 1,
  );
  const norm = Math.hypot(...raw) || 1;
  return raw.map((value) => value / norm);
}
