// The thousand NPCs: what they are, what they see, and how that changes from one decision to the next.

import { cast } from "./cast.ts";

interface Feature {
  readonly name: string;
  readonly edges?: readonly number[];
  readonly words?: readonly string[];
  /** Of a number: how far it goes, and how far it moves between two decisions. */
  readonly most?: number;
  readonly step?: number;
}

interface Kind {
  readonly name: string;
  readonly prompt: string;
  readonly actions: readonly string[];
  readonly features: readonly Feature[];
}

const nearness: Feature = { name: "player_distance", edges: [2, 5, 10, 20], most: 30, step: 2 };
const weather: Feature = { name: "weather", words: ["clear", "rain", "fog"] };

/** Ids are their places here, as in the frame. */
const npcKinds: readonly Kind[] = [
  {
    name: "guard",
    prompt: "A castle guard on the wall at night. Loyal, and no hero.",
    actions: ["patrol", "investigate", "attack", "take_cover", "flee", "call_help"],
    features: [
      { name: "threat", edges: [0.2, 0.5, 0.8], most: 1, step: 0.15 },
      nearness,
      { name: "allies", edges: [1, 3, 6], most: 8, step: 1 },
      weather,
    ],
  },
  {
    name: "villager",
    prompt: "A villager at the market. Curious, thrifty, afraid of wolves.",
    actions: ["work", "gossip", "trade", "hide", "run_home"],
    features: [
      nearness,
      { name: "danger", edges: [0.3, 0.7], most: 1, step: 0.15 },
      { name: "hour", edges: [6, 9, 17, 21], most: 24, step: 0.5 },
      weather,
    ],
  },
  {
    name: "wolf",
    prompt: "A wolf at the edge of the wood, one of a pack.",
    actions: ["prowl", "stalk", "howl", "attack", "flee"],
    features: [
      { name: "hunger", edges: [0.3, 0.6, 0.9], most: 1, step: 0.1 },
      nearness,
      { name: "pack", edges: [2, 4], most: 6, step: 1 },
      weather,
    ],
  },
];

/** `[intents]` of the routers. */
export function intentsToml(deadlineMs: number): string {
  const list = (words: readonly string[]): string => JSON.stringify(words);
  const kinds = npcKinds.map(({ name, prompt, actions, features }) => {
    const rows = features.map((feature) =>
      feature.edges === undefined
        ? `${feature.name} = { oneof = ${list(feature.words ?? [])} }`
        : `${feature.name} = { buckets = ${JSON.stringify(feature.edges)} }`,
    );
    return `[intents.archetype.${name}]
prompt = ${JSON.stringify(prompt)}
actions = ${list(actions)}
default = ${JSON.stringify(actions[0])}
pick = "sample"
[intents.archetype.${name}.feature]
${rows.join("\n")}`;
  });
  return `[intents]\ndeadline_ms = ${deadlineMs}\n${kinds.join("\n")}\n`;
}

export interface Npc {
  readonly id: number;
  readonly kind: number;
  /** One for each feature: the number, or the place of the word. */
  readonly sees: number[];
}

export function bornNpc(id: number, random: () => number): Npc {
  // Not `id %`: by that the game servers share them out, and each has all kinds.
  const kind = Math.floor(id / cast.gameServers) % npcKinds.length;
  const sees = (npcKinds[kind]?.features ?? []).map(({ most, words }) =>
    words === undefined ? random() * (most ?? 1) : Math.floor(random() * words.length),
  );
  return { id, kind, sees };
}

/** What has changed since its last decision: a little. */
export function live(npc: Npc, random: () => number): void {
  const { features } = kindOf(npc);
  for (const [index, { most = 1, step = 0, words }] of features.entries()) {
    const now = npc.sees[index] ?? 0;
    if (words === undefined) npc.sees[index] = Math.min(most, Math.max(0, now + (random() - 0.5) * 2 * step));
    else if (random() < 0.01) npc.sees[index] = Math.floor(random() * words.length);
  }
}

/** The situation code: the buckets in mixed radix, the first feature the lowest digit. */
export function situationOf(npc: Npc): number {
  return kindOf(npc).features.reduceRight((code, { edges, words }, index) => {
    const value = npc.sees[index] ?? 0;
    return edges === undefined
      ? code * (words?.length ?? 1) + value
      : code * (edges.length + 1) + edges.filter((edge) => edge <= value).length;
  }, 0);
}

/** What a game without a router asks the engine: one letter, out of as many as there are actions. */
export function questionOf(npc: Npc): { readonly prompt: string; readonly letters: readonly string[] } {
  const { prompt, actions, features } = kindOf(npc);
  const letters = actions.map((_, index) => String.fromCharCode(65 + index));
  const sees = features.map(({ name, words }, index) => {
    const value = npc.sees[index] ?? 0;
    return `${name}: ${words === undefined ? value.toFixed(1) : words[value]}`;
  });
  const options = actions.map((action, index) => `${letters[index]}: ${action}`);
  return { prompt: [prompt, ...sees, "What now?", ...options].join("\n"), letters };
}

function kindOf({ kind }: Npc): Kind {
  const found = npcKinds[kind];
  if (found === undefined) throw new Error(`no such kind of NPC: ${kind}`);
  return found;
}
