// One-token chats of Gold, as an NPC asks for its next action.

import { callers, optionsFor } from "./traffic.ts";

export const { realtime } = callers;
export const options = optionsFor("realtime");
