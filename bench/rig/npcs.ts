// The NPCs of the intent bench: their archetypes as configuration, and what they see as JSON items and as asks.

import type { Ask } from "../../playground/npc/frames.ts";

interface Kind {
  readonly name: string;
  readonly situations: number;
}

/** Four features of ten buckets each. */
export const guard: Kind = { name: "guard", situations: 10_000 };
/** The same four and a fifth of twenty: more situations than anybody fills by hand. */
export const scout: Kind = { name: "scout", situations: 200_000 };

/** Nothing goes stale while it is measured. */
const ttlMs = 3_600_000;
const weather = ["clear", "cloud", "mist", "fog", "drizzle", "rain", "storm", "snow", "hail", "dusk"];
const hours = Array.from({ length: 19 }, (_, index) => index + 1);

const archetype = (name: string, more: string): string => `
[intents.archetype.${name}]
prompt = "A castle guard at the north gate. He is loyal, and no hero."
actions = ["patrol", "investigate", "attack", "take_cover", "flee", "call_help"]
default = "patrol"
pick = "sample"
ttl_ms = ${ttlMs}
[intents.archetype.${name}.feature]
threat = { buckets = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9] }
player_distance = { buckets = [2, 4, 6, 8, 10, 15, 20, 30, 50], unit = "m" }
allies = { buckets = [1, 2, 3, 4, 5, 6, 7, 8, 9] }
weather = { oneof = ${JSON.stringify(weather)} }
${more}`;

/** Their ids are 0 and 1, as the frame has them. */
export const npcConfig =
  archetype(guard.name, "") + archetype(scout.name, `hour = { buckets = ${JSON.stringify(hours)} }`);

const distances = [1, 3, 5, 7, 9, 12, 17, 25, 40, 80];

/** The item whose situation code this is. */
export function itemOf(kind: Kind, situation: number, npc: number): object {
  const digit = (place: number): number => Math.floor(situation / 10 ** place) % 10;
  const features = {
    threat: digit(0) / 10 + 0.05,
    player_distance: distances[digit(1)],
    allies: digit(2),
    weather: weather[digit(3)],
    ...(kind === scout ? { hour: Math.floor(situation / 10_000) } : {}),
  };
  return { archetype: kind.name, npc, features };
}

export const askOf = (kind: Kind, situation: number, npc: number): Ask => ({
  situation,
  npc,
  archetype: kind === guard ? 0 : 1,
});
