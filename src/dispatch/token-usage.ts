// Reads `usage` out of an answer's last bytes without parsing the answer.

export interface TokenUsage {
  readonly prompt: number;
  readonly completion: number;
}

/** `text` is the end of an answer. Undefined where it carries no usage. Embeddings have no completion tokens. */
export function usageIn(text: string): TokenUsage | undefined {
  const at = text.lastIndexOf('"usage"');
  if (at < 0) return undefined;
  const said = text.slice(at);
  const prompt = /"prompt_tokens": ?(\d{1,15})/.exec(said)?.[1];
  if (prompt === undefined) return undefined;
  const completion = /"completion_tokens": ?(\d{1,15})/.exec(said)?.[1];
  return { prompt: Number(prompt), completion: Number(completion ?? 0) };
}
