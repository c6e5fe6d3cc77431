// What one run of a bench leaves behind.

import type { Machine } from "./machine.ts";
import type { Samples } from "./verdict.ts";

export type BenchKind = "proxy" | "hang" | "intents" | "result-cache" | "gossip" | "bronze" | "hedge";

export interface Results {
  readonly kind: BenchKind;
  readonly date: string;
  readonly command: string;
  readonly machine: Machine;
  /** How much was measured, in a sentence. */
  readonly extent: string;
  readonly samples: Samples;
}
