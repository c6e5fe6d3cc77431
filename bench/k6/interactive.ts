// Dialogue, whole and streamed.

import { callers, optionsFor } from "./traffic.ts";

export const { dialogue, stream } = callers;
export const options = optionsFor("dialogue", "stream");
