// What a game night leaves behind, as JSON in bench/results; the page and the chart are written from it.

import type { Machine } from "../rig/machine.ts";
import type { Phase } from "./evening.ts";
import type { Lag } from "./headroom.ts";
import type { K6Result } from "./k6.ts";
import type { QuestLedger } from "./quests.ts";
import type { Scores } from "./scores.ts";

export interface NightResult {
  readonly scores: Scores;
  readonly quests: QuestLedger;
  /** Of the drivers' event loops. */
  readonly lag: Readonly<Record<"npcs" | "players", Lag>>;
  /** Of all CPU time of the machine. */
  readonly idleShare: number;
  /** How long the rolling restart of all three took. */
  readonly restartMs: number;
  /** What of the evening could not be done. */
  readonly trouble: readonly string[];
  readonly k6?: K6Result;
}

export interface GameNight {
  readonly date: string;
  readonly command: string;
  readonly machine: Machine;
  readonly short: boolean;
  readonly phases: readonly Phase[];
  /** Why nobody could be cut off, where that is so. */
  readonly whole?: string;
  /** One is absent with `--only`. */
  readonly tierline?: NightResult;
  readonly haproxy?: NightResult;
}
