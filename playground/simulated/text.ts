// What a simulated model says: noise with the right shape, the same for the same prompt.
// Also how sure it claims to be, so that log-probabilities over a set of options add up.

import { seededRandom } from "../../src/base/random.ts";

/** vLLM writes -9999 where a token is ruled out. */
const excludedLogprob = -9999;

const words = (
  "the guard looks up and says nothing a torch burns low by the gate rain runs off old stone you hear steps " +
  "behind the door someone laughs far away she counts her coins twice he knows your name keep your hands " +
  "where I can see them the road north is closed wolves came last night bring me the letter and we shall talk"
).split(" ");

/** Tokens in a text, as a rough tokenizer would count them. */
export const countTokens = (text: string): number => Math.max(1, Math.ceil(text.length / 4));

/** `count` tokens; the first without a leading space, as tokenizers have it. */
export function writeTokens(seed: number, count: number): string[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, index) => {
    const word = words[Math.floor(random() * words.length)] ?? "the";
    return index === 0 ? word : ` ${word}`;
  });
}

export interface TokenChance {
  readonly token: string;
  readonly logprob: number;
}

/** What an answer is held to, else what it leans to, else nothing in particular. */
export interface Inclination {
  readonly options: readonly string[];
  readonly leanings: readonly string[];
}

/** Beside a letter, what the same letter after a space is worth, and what any other word is. */
const spacedShare = 0.3;
const wordShare = 0.02;

/** The likeliest first tokens, most likely first. */
export function chances(seed: number, { options, leanings }: Inclination, count: number): TokenChance[] {
  const random = seededRandom(seed);
  const weights = new Map<string, number>();
  // The fourth power makes one option stand out, as a model that has an opinion does.
  const add = (token: string, share: number): number => {
    const weight = (random() ** 4 + 1e-4) * share;
    weights.set(token, (weights.get(token) ?? 0) + weight);
    return weight;
  };
  if (options.length > 0) for (const option of options) add(splitChoice(option)[0] ?? option, 1);
  else {
    // The same dice for the letters: held to them or not, the model is of one opinion.
    for (const letter of leanings) weights.set(` ${letter}`, add(letter, 1) * spacedShare);
    for (const word of words) add(word, leanings.length > 0 ? wordShare : 1);
  }
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  const ranked = [...weights]
    .map(([token, weight]) => ({ token, logprob: Math.log(weight / total) }))
    .sort((a, b) => b.logprob - a.logprob)
    .slice(0, count);
  for (let filler = 33; ranked.length < count; filler += 1) {
    ranked.push({ token: String.fromCharCode(filler), logprob: excludedLogprob });
  }
  return ranked;
}

/** The option the model would pick at temperature 0. */
export function likeliestChoice(seed: number, options: readonly string[]): string {
  const first = chances(seed, { options, leanings: [] }, 1)[0]?.token ?? "";
  return options.find((option) => option.startsWith(first)) ?? "";
}

/** The letters of a prompt's list of options: lines "A: …", "B: …" and so on, at least two. */
export function letteredOptions(prompt: string): string[] {
  const listed = [...prompt.matchAll(/^\s*([A-Z])[:.)] /gm)].map((match) => match[1] ?? "");
  const end = listed.findIndex((letter, index) => letter !== String.fromCharCode(65 + index));
  const letters = end < 0 ? listed : listed.slice(0, end);
  return letters.length > 1 ? letters : [];
}

/** A choice as its tokens: up to four letters each. */
export const splitChoice = (choice: string): string[] => choice.match(/[\s\S]{1,4}/g) ?? [""];
