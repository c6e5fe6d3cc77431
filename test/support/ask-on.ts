// One caller who asks again as soon as it is answered: what others notice of whatever goes on beside it.

import { percentile } from "../../bench/rig/statistics.ts";
import { chat, messages } from "./chat.ts";

export interface AskedOn {
  readonly p99Ms: number;
  readonly failed: number;
}

/** Of the model `silver`, for as long as `goesOn`. */
export async function askOn(url: string, goesOn: () => boolean): Promise<AskedOn> {
  const ms: number[] = [];
  let failed = 0;
  while (goesOn()) {
    const began = performance.now();
    const response = await chat(url, { model: "silver", messages, max_tokens: 4 });
    await response.text();
    if (response.status !== 200) failed += 1;
    ms.push(performance.now() - began);
    await Bun.sleep(5);
  }
  return { p99Ms: percentile(ms, 0.99), failed };
}
