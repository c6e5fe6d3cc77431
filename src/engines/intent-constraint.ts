// How an engine can be held to a few letters: a row says what a request then carries. Each dialect has a table of them.

export interface IntentConstraint {
  /** In log lines. */
  readonly name: string;
  /** Whether it rules out every other token. Otherwise the letters are looked for among the likeliest. */
  readonly binds: boolean;
  /** Top-level members of the body, over those that every such request has; undefined leaves one out. */
  members(letters: readonly string[]): Readonly<Record<string, unknown>>;
}

/** OpenAI gives no more alternatives, and vLLM neither unless told to (`--max-logprobs`). */
export const alternativesMost = 20;

/** Letters compete with every other token here, so all alternatives are wanted, not one a letter. */
export const unconstrained: IntentConstraint = {
  name: "none",
  binds: false,
  members: () => ({ top_logprobs: alternativesMost }),
};

/** For an engine that refuses to give so many log-probabilities, or any: the one letter that it says has to do. */
export const withoutOdds = ({ name, binds, members }: IntentConstraint): IntentConstraint => ({
  name: `${name}, without log-probabilities`,
  binds,
  members: (letters) => ({ ...members(letters), logprobs: undefined, top_logprobs: undefined }),
});
