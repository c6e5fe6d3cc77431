// The prompt of a situation: what is the same in all situations of an archetype comes first, byte for byte, so that the
// engine's prefix cache has read it already. The answer is one letter, one token.

import type { Archetype } from "./archetype.ts";
import { actionsMost } from "./archetype.ts";
import { bucketName } from "./feature.ts";
import { unpackSituation } from "./situation.ts";

/** "A" … "T": what the actions are called, in their order. */
export const letters: readonly string[] = Array.from({ length: actionsMost }, (_, index) =>
  String.fromCharCode(65 + index),
);

/** One text, to be sent as one user message. */
export const promptOf = (archetype: Archetype, situation: number): string =>
  `${stablePart(archetype)}${situationPart(archetype, situation)}Your action:`;

const stablePart = ({ prompt, actions }: Archetype): string =>
  `${prompt.trim()}

What you can do:
${actions.map((action, index) => `${letters[index]}: ${action}\n`).join("")}
Choose the one action that suits the situation. Answer with its letter and nothing else.

`;

function situationPart(archetype: Archetype, situation: number): string {
  if (archetype.features.length === 0) return "";
  const buckets = unpackSituation(situation, archetype);
  const lines = archetype.features.map((feature, index) => `${bucketName(feature, buckets[index] ?? 0)}\n`);
  return `The situation:\n${lines.join("")}\n`;
}
