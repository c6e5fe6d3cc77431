// Game servers that ask for all their NPCs at once, thirty times a second each.

import { callers, optionsFor } from "./traffic.ts";

export const { intents } = callers;
export const options = optionsFor("intents");
