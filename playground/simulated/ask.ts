// Reads an inference request as vLLM does: what is asked, or the refusal that vLLM would give, word for word.

import { allowedAnswers } from "./constraint.ts";
import { chances, countTokens, letteredOptions, likeliestChoice, splitChoice, writeTokens } from "./text.ts";

export interface Ask {
  readonly kind: "chat" | "completion";
  readonly id: string;
  readonly model: string;
  readonly prompt: string;
  readonly promptTokens: number;
  /** The answer, decided beforehand; the scheduler only says when each token is due. */
  readonly tokens: readonly string[];
  readonly finish: "stop" | "length";
  readonly stream: boolean;
  readonly usage: "none" | "last" | "every";
  /** Alternatives to show for each token, or undefined for none at all. */
  readonly topLogprobs: number | undefined;
  /** The answers that it is held to; none: it may say anything. */
  readonly options: readonly string[];
  /** The letters among which the prompt lets it choose, where one token is wanted: it mostly says one of itself. */
  readonly leanings: readonly string[];
  readonly priority: number;
  readonly seed: number;
}

export interface Refusal {
  readonly status: number;
  readonly body: string;
}

export interface AskLimits {
  readonly model: string;
  readonly maxModelLen: number;
  /** Whether it takes no notice of what an answer is held to. */
  readonly unruly: boolean;
}

export type Body = Readonly<Record<string, unknown>>;

export function readAsk(
  kind: Ask["kind"],
  bytes: Buffer,
  headers: Readonly<Record<string, string>>,
  limits: AskLimits,
): Ask | Refusal {
  const body = readBody(bytes, headers);
  if (isRefusal(body)) return body;
  const messagesOrPrompt = kind === "chat" ? body["messages"] : body["prompt"];
  if (messagesOrPrompt === undefined) {
    return missing(kind === "chat" ? "body.messages" : "body.prompt", Object.keys(body).length);
  }
  if (kind === "chat" && !Array.isArray(messagesOrPrompt)) {
    return invalid(
      "body.messages",
      "'list_type', 'loc': 'body.messages', 'msg': 'Input should be a valid list'",
    );
  }
  const model = body["model"] ?? limits.model;
  if (model !== limits.model) {
    const message = `The model \`${String(model)}\` does not exist. Valid aliases: ${limits.model}.`;
    return refusal(404, message, "NotFoundError", "model");
  }
  if (Array.isArray(messagesOrPrompt) && messagesOrPrompt.length === 0) {
    const message = "Cannot apply chat template to an empty conversation. Provide at least one message.";
    return refusal(400, message, "BadRequestError", null);
  }
  const wanted = body["max_completion_tokens"] ?? body["max_tokens"] ?? undefined;
  const maxTokens = readMaxTokens(wanted, limits.maxModelLen);
  if (isRefusal(maxTokens)) return maxTokens;
  const temperature = body["temperature"];
  if (typeof temperature === "number" && temperature < 0) {
    const message = `temperature must be non-negative, got ${temperature}. (parameter=temperature, value=${temperature})`;
    return refusal(400, message, "BadRequestError", "temperature");
  }
  const refused = refusedConstraint(body["structured_outputs"]);
  if (refused !== undefined) return refused;

  const prompt = promptText(messagesOrPrompt);
  const promptTokens = countTokens(prompt);
  const room = limits.maxModelLen - promptTokens;
  if (room < 1) return tooLong(prompt, limits.maxModelLen);
  const seed = Bun.hash.xxHash32(prompt, typeof body["seed"] === "number" ? body["seed"] : 0);
  const limit = Math.min(room, maxTokens ?? (kind === "completion" ? 16 : room));
  const options = limits.unruly ? [] : allowedAnswers(body);
  const leanings = limit === 1 ? letteredOptions(prompt) : [];
  const whole =
    options.length > 0
      ? splitChoice(likeliestChoice(seed, options))
      : leanings.length > 0
        ? chances(seed, { options, leanings }, 1).map(({ token }) => token)
        : naturalAnswer(seed, body, limit);
  const streamOptions = asBody(body["stream_options"]);
  return {
    kind,
    id: `${kind === "chat" ? "chatcmpl" : "cmpl"}-${headers["x-request-id"] ?? randomId()}`,
    model: limits.model,
    prompt,
    promptTokens,
    tokens: whole.slice(0, limit),
    finish: whole.length > limit || body["ignore_eos"] === true ? "length" : "stop",
    stream: body["stream"] === true,
    usage:
      streamOptions["include_usage"] !== true
        ? "none"
        : streamOptions["continuous_usage_stats"] === true
          ? "every"
          : "last",
    topLogprobs: readLogprobs(kind, body),
    options,
    leanings,
    priority: typeof body["priority"] === "number" ? body["priority"] : 0,
    seed,
  };
}

export function isRefusal(value: object | number | undefined): value is Refusal {
  return typeof value === "object" && "status" in value && "body" in value;
}

function refusal(status: number, message: string, type: string, param: string | null): Refusal {
  return { status, body: JSON.stringify({ error: { message, type, param, code: status } }) };
}

export const engineDead = refusal(
  500,
  "EngineCore encountered an issue. See stack trace (above) for the root cause.",
  "InternalServerError",
  null,
);

export const engineBusy = refusal(
  503,
  "The engine is currently busy and cannot accept new requests. Please try again later or on a different instance.",
  "Service Unavailable",
  null,
);

/** Left to itself the model stops after 12 to 43 tokens, unless it is told to go on. */
function naturalAnswer(seed: number, body: Body, limit: number): string[] {
  const length = body["ignore_eos"] === true ? limit : 12 + (seed % 32);
  // One more than the limit is enough to know that the answer was cut.
  return writeTokens(seed, Math.min(length, limit + 1));
}

/** The body as a JSON object, or vLLM's refusal of what is none. */
export function readBody(bytes: Buffer, headers: Readonly<Record<string, string>>): Body | Refusal {
  if (bytes.length === 0) return missing("body", 0);
  const contentType = headers["content-type"] ?? "application/json";
  if (!contentType.includes("json")) {
    const message = "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed";
    return refusal(400, message, "Bad Request", null);
  }
  try {
    const parsed: unknown = JSON.parse(bytes.toString());
    if (isBody(parsed)) return parsed;
    return invalid(
      "body",
      "'model_attributes_type', 'loc': 'body', 'msg': 'Input should be a valid dictionary'",
    );
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const at = `body.${bytes.length}`;
    return invalid(at, `'json_invalid', 'loc': '${at}', 'msg': 'JSON decode error'`);
  }
}

function readMaxTokens(value: unknown, maxModelLen: number): number | undefined | Refusal {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value)) {
    const detail = `'int_parsing', 'loc': 'body.max_tokens', 'msg': 'Input should be a valid integer, unable to parse string as an integer', 'input': '${String(value)}'`;
    return invalid("body.max_tokens", detail);
  }
  if (value < 1) {
    const message = `max_tokens must be at least 1, got ${value}. (parameter=max_tokens, value=${value})`;
    return refusal(400, message, "BadRequestError", "max_tokens");
  }
  if (value > maxModelLen) {
    const message = `max_tokens=${value} cannot be greater than max_model_len=${maxModelLen}. Please request fewer output tokens. (parameter=max_tokens, value=${value})`;
    return refusal(400, message, "BadRequestError", "max_tokens");
  }
  return value;
}

function refusedConstraint(value: unknown): Refusal | undefined {
  if (value === undefined || value === null) return undefined;
  const structured = asBody(value);
  if (["choice", "json", "regex", "grammar", "structural_tag"].some((kind) => structured[kind] !== undefined))
    return undefined;
  const message =
    "You must use one kind of structured outputs constraint but none are specified: {'json': None, 'regex': None, 'choice': None, 'grammar': None}";
  return refusal(400, message, "BadRequestError", null);
}

function readLogprobs(kind: Ask["kind"], body: Body): number | undefined {
  const logprobs = body["logprobs"];
  if (kind === "completion") return typeof logprobs === "number" ? logprobs : undefined;
  if (logprobs !== true) return undefined;
  return typeof body["top_logprobs"] === "number" ? body["top_logprobs"] : 0;
}

/** Every text of the conversation, or of the prompt. */
function promptText(value: unknown): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(promptText).join("\n");
  const message = asBody(value);
  return promptText(message["content"] ?? message["text"] ?? "");
}

function missing(where: string, fields: number): Refusal {
  const input = where === "body" ? "'None'" : `'<dict of ${fields} items>'`;
  return invalid(where, `'missing', 'loc': '${where}', 'msg': 'Field required', 'input': ${input}`);
}

function invalid(where: string, detail: string): Refusal {
  return refusal(400, `1 validation error:\n  {'type': ${detail}}`, "Bad Request", where);
}

function tooLong(prompt: string, maxModelLen: number): Refusal {
  const message = `This model's maximum context length is ${maxModelLen} tokens. However, your prompt contains ${prompt.length} characters. Please reduce the length of the input prompt. (parameter=input_text, value=${prompt.length})`;
  return refusal(400, message, "BadRequestError", "input_text");
}

const isBody = (value: unknown): value is Body =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const asBody = (value: unknown): Body => (isBody(value) ? value : {});

const randomId = (): string =>
  Math.floor(Math.random() * 2 ** 52)
    .toString(16)
    .padStart(16, "0");
