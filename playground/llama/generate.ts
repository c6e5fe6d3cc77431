// llama.cpp in this process: a few sequences that decode together, a queue before them, and one generation.

import type { GbnfJsonObjectSchema, Token } from "node-llama-cpp";
import { getLlama, LlamaGrammarEvaluationState, LlamaLogLevel } from "node-llama-cpp";
import { tinyModelContext, tinyModelFile } from "../tiny-model.ts";

export interface Generation {
  readonly prompt: string;
  /** Undefined: until the context is full. */
  readonly maxTokens: number | undefined;
  readonly temperature: number;
  readonly seed: number | undefined;
  readonly stop: readonly string[];
  /** A JSON schema or a GBNF grammar that the answer must follow. */
  readonly constraint: { readonly schema: GbnfJsonObjectSchema } | { readonly grammar: string } | undefined;
  /** Alternatives to give for each token; undefined for none at all. */
  readonly topLogprobs: number | undefined;
}

/** A step of the answer. Text may be empty where a token ends inside a character. */
export interface Piece {
  readonly text: string;
  readonly logprob: TokenLogprob | undefined;
}

export interface TokenLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly top: readonly { readonly token: string; readonly logprob: number }[];
}

export interface Ending {
  readonly finish: "stop" | "length";
  readonly promptTokens: number;
  readonly completionTokens: number;
}

export interface LlamaCounts {
  readonly slots: number;
  readonly running: number;
  readonly waiting: number;
  readonly started: number;
  readonly finished: number;
  readonly aborted: number;
  readonly promptTokens: number;
  readonly generatedTokens: number;
}

export interface TinyLlama {
  readonly contextTokens: number;
  countTokens(text: string): number;
  /**
   * Writes piece by piece and returns how it ended, or undefined where the signal ended it. Throws InvalidConstraint
   * before the first piece.
   */
  generate(what: Generation, signal: AbortSignal): AsyncGenerator<Piece, Ending | undefined, void>;
  counts(): LlamaCounts;
  dispose(): Promise<void>;
}

/** The grammar or schema that the caller gave cannot be read. */
export class InvalidConstraint extends Error {
  override readonly name = "InvalidConstraint";
}

export async function loadTinyLlama(slots: number): Promise<TinyLlama> {
  // More threads than cores make a small model a thousand times slower: they wait for each other in a spin.
  const llama = await getLlama({ gpu: false, build: "never", maxThreads: 1, logLevel: LlamaLogLevel.error });
  const model = await llama.loadModel({ modelPath: await tinyModelFile() });
  const context = await model.createContext({ contextSize: tinyModelContext, sequences: slots, threads: 1 });
  const free = Array.from({ length: slots }, () => context.getSequence());
  const queue: (() => void)[] = [];
  const count = { started: 0, finished: 0, aborted: 0, promptTokens: 0, generatedTokens: 0 };

  const constraintState = async (constraint: NonNullable<Generation["constraint"]>) => {
    try {
      const grammar =
        "grammar" in constraint
          ? await llama.createGrammar({ grammar: constraint.grammar })
          : await llama.createGrammarForJsonSchema(constraint.schema);
      return new LlamaGrammarEvaluationState({ model, grammar });
    } catch (error) {
      throw new InvalidConstraint(error instanceof Error ? error.message : String(error));
    }
  };

  /** A free sequence, or undefined where the caller left first. */
  const take = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      const sequence = free.pop();
      if (sequence !== undefined) return sequence;
      const woken = Promise.withResolvers<void>();
      queue.push(woken.resolve);
      signal.addEventListener("abort", () => woken.resolve(), { once: true });
      await woken.promise;
      const at = queue.indexOf(woken.resolve);
      if (at >= 0) queue.splice(at, 1);
    }
    return undefined;
  };

  async function* generate(
    what: Generation,
    signal: AbortSignal,
  ): AsyncGenerator<Piece, Ending | undefined, void> {
    const grammarEvaluationState = what.constraint && (await constraintState(what.constraint));
    const prompt = model.tokenize(what.prompt, false);
    const limit = Math.min(what.maxTokens ?? tinyModelContext, tinyModelContext - prompt.length);
    count.started += 1;
    const sequence = await take(signal);
    let ended = false;
    try {
      if (sequence === undefined) return undefined;
      await sequence.clearHistory();
      count.promptTokens += prompt.length;
      const endless = what.constraint !== undefined && "schema" in what.constraint;
      const text = createTextCutter(endless ? [...what.stop, schemaEnd] : what.stop);
      const written: Token[] = [];
      let unspoken: Token[] = [];
      const output = sequence.evaluateWithMetadata(
        prompt,
        { probabilities: what.topLogprobs !== undefined },
        {
          temperature: what.temperature,
          ...(what.seed === undefined ? {} : { seed: what.seed }),
          ...(grammarEvaluationState === undefined ? {} : { grammarEvaluationState }),
        },
      );
      const ending = (finish: Ending["finish"]): Ending => {
        ended = true;
        return { finish, promptTokens: prompt.length, completionTokens: written.length };
      };
      for await (const step of output) {
        if (signal.aborted) return undefined;
        if (model.isEogToken(step.token)) return ending("stop");
        const spoken = model.detokenize(
          [...unspoken, step.token],
          false,
          written.slice(-1 - unspoken.length),
        );
        written.push(step.token);
        count.generatedTokens += 1;
        const probabilities = "probabilities" in step ? step.probabilities : undefined;
        const logprob =
          what.topLogprobs === undefined || !(probabilities instanceof Map)
            ? undefined
            : tokenLogprob(step.token, probabilities, what.topLogprobs);
        const whole = !spoken.endsWith("\uFFFD") || unspoken.length >= utf8BytesMax;
        unspoken = whole ? [] : [...unspoken, step.token];
        const last = written.length >= limit;
        const cut = text.add(whole || last ? spoken : "", last);
        yield { text: cut.text, logprob };
        if (cut.stopped) return ending("stop");
        if (last) return ending("length");
      }
      return ending("stop");
    } finally {
      if (ended) count.finished += 1;
      else count.aborted += 1;
      if (sequence !== undefined) free.push(sequence);
      // Also where nothing was taken: who was woken and had already left passes the place on.
      if (free.length > 0) queue.shift()?.();
    }
  }

  // After the grammar, where llama-server gives those before it: node-llama-cpp tells no others.
  const tokenLogprob = (chosen: Token, probabilities: Map<Token, number>, top: number): TokenLogprob => {
    const row = (token: Token, probability: number) => ({
      token: model.detokenize([token]),
      logprob: Math.max(impossibleLogprob, Math.log(probability)),
    });
    const likeliest = [...probabilities].slice(0, top).map(([token, probability]) => row(token, probability));
    return { ...row(chosen, probabilities.get(chosen) ?? 0), top: likeliest };
  };

  return {
    contextTokens: tinyModelContext,
    countTokens: (text) => model.tokenize(text, false).length,
    generate,
    counts: () => ({
      ...count,
      slots,
      running: slots - free.length,
      waiting: count.started - count.finished - count.aborted - (slots - free.length),
    }),
    dispose: () => llama.dispose(),
  };
}

/** A grammar made from a schema lets a model that never stops end with these. */
const schemaEnd = "\n\n\n\n";
/** After so many tokens without a whole character, the broken one is let out. */
const utf8BytesMax = 4;
const impossibleLogprob = -9999;

/** Ends a text before the first stop string, and holds back what may be the beginning of one. */
function createTextCutter(stops: readonly string[]) {
  let held = "";
  return {
    add(text: string, last: boolean): { readonly text: string; readonly stopped: boolean } {
      held += text;
      const cuts = stops.map((stop) => held.indexOf(stop)).filter((at) => at >= 0);
      if (cuts.length > 0) return { text: held.slice(0, Math.min(...cuts)), stopped: true };
      let keep = 0;
      for (const stop of last ? [] : stops) {
        for (let length = Math.min(stop.length - 1, held.length); length > keep; length -= 1) {
          if (held.endsWith(stop.slice(0, length))) keep = length;
        }
      }
      const spoken = held.slice(0, held.length - keep);
      held = held.slice(held.length - keep);
      return { text: spoken, stopped: false };
    },
  };
}
