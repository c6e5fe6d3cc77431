// All of it at once: dialogue must not cost the frame its answer.

import { callers, optionsFor } from "./traffic.ts";

export const { realtime, intents, dialogue, stream } = callers;
export const options = optionsFor("realtime", "intents", "dialogue", "stream");
