// An answer to "what now?", as numbers: written into a record that the asker hands in, because there are millions.

/** Where an answer came from. The index is the frame's code. */
export const sources = ["fresh", "stale", "engine", "peer", "default"] as const;
export type Source = (typeof sources)[number];

export interface IntentAnswer {
  /** Index into the archetype's actions. */
  action: number;
  source: Source;
  /** 0 to 1, normalised over the actions; 0 for a default. */
  confidence: number;
  /** Since the engine said so; 0 for a default. */
  ageMs: number;
  /** Until it is stale; 0 when it is, and for a default. */
  ttlMs: number;
}

export const newAnswer = (): IntentAnswer => ({
  action: 0,
  source: "default",
  confidence: 0,
  ageMs: 0,
  ttlMs: 0,
});
