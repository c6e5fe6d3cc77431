// The question for an NPC's intent as engines get it: one token, one of a few letters. And the odds in their answers.
// What the letters stand for is not its business.

import { parseJson } from "../base/parse-json.ts";
import { letters } from "../intents/prompt.ts";
import type { IntentConstraint } from "./intent-constraint.ts";
import { member } from "./openai-wire.ts";

export interface IntentQuestion {
  /** Names the options by their letters. */
  readonly prompt: string;
  /** 1 to as many as there are letters. */
  readonly options: number;
  readonly temperature: number;
}

/** An answer with twenty alternatives is 3 kB. */
const answerLimitBytes = 64 * 1024;
/** vLLM writes -9999 where a token was ruled out, llama.cpp the lowest float there is. */
const ruledOut = -9999;

const lettersOf = (options: number): readonly string[] => letters.slice(0, options);

/** The body for `POST /v1/chat/completions`. Without a model it names none. */
export function intentBody(
  model: string | undefined,
  { prompt, options, temperature }: IntentQuestion,
  constraint: IntentConstraint,
): Uint8Array {
  const allowed = lettersOf(options);
  const body = {
    model,
    messages: [{ role: "user", content: prompt }],
    max_tokens: 1,
    temperature,
    logprobs: true,
    top_logprobs: allowed.length,
    stream: false,
    ...constraint.members(allowed),
  };
  return Buffer.from(JSON.stringify(body));
}

/** The odds of the options, summing to 1; undefined where the answer names none of them, or cannot be read. */
export function readIntentOdds(body: Uint8Array, options: number): number[] | undefined {
  const choice = choiceOf(body);
  const allowed = lettersOf(options);
  const heard = heardOf(first(member(member(choice, "logprobs"), "content")), allowed);
  const chosen = heard.length > 0 ? -1 : chosenIn(choice, allowed);
  if (chosen >= 0) heard.push({ option: chosen, logprob: 0 });
  if (heard.length === 0) return undefined;

  // Relative to the likeliest, so that options which are all unlikely do not vanish together.
  const likeliest = Math.max(...heard.map(({ logprob }) => logprob));
  const odds = Array<number>(allowed.length).fill(0);
  let sum = 0;
  for (const { option, logprob } of heard) {
    const weight = Math.exp(logprob - likeliest);
    odds[option] = (odds[option] ?? 0) + weight;
    sum += weight;
  }
  return odds.map((weight) => weight / sum);
}

/** The option that the engine took, by its text alone. */
export function readChosenOption(body: Uint8Array, options: number): number | undefined {
  const chosen = chosenIn(choiceOf(body), lettersOf(options));
  return chosen < 0 ? undefined : chosen;
}

interface Heard {
  readonly option: number;
  readonly logprob: number;
}

/** Each token that is an option's letter. "A" and " A" are two tokens and one option, so an option may come twice. */
function heardOf(said: unknown, allowed: readonly string[]): Heard[] {
  const top = member(said, "top_logprobs");
  const rows: unknown[] = Array.isArray(top) ? [...top] : [];
  // llama-server ranks all tokens, whatever its grammar forbids: the one that was let through may be far down.
  const chosen = member(said, "token");
  if (!rows.some((row) => member(row, "token") === chosen)) rows.push(said);
  const heard: Heard[] = [];
  for (const row of rows) {
    const option = optionOf(member(row, "token"), allowed);
    const logprob = member(row, "logprob");
    if (option < 0 || typeof logprob !== "number") continue;
    if (logprob > ruledOut && logprob < Number.POSITIVE_INFINITY) heard.push({ option, logprob });
  }
  return heard;
}

const optionOf = (text: unknown, allowed: readonly string[]): number =>
  typeof text === "string" ? allowed.indexOf(text.trim()) : -1;

const chosenIn = (choice: unknown, allowed: readonly string[]): number =>
  optionOf(member(member(choice, "message"), "content"), allowed);

const decoder = new TextDecoder();

function choiceOf(body: Uint8Array): unknown {
  if (body.byteLength > answerLimitBytes) return undefined;
  return first(member(parseJson(decoder.decode(body)), "choices"));
}

const first = (value: unknown): unknown => (Array.isArray(value) ? value[0] : undefined);
