// What everybody who plays is given: the hosts, the clock of the evening, and the book in which it is written down.

import type { Doors } from "./doors.ts";
import type { Phase } from "./evening.ts";
import type { ScoreBook } from "./scores.ts";

export interface Stage extends ScoreBook {
  readonly doors: Doors;
  readonly phases: readonly Phase[];
  /** From the beginning of the first phase; negative while they warm up. */
  nowMs(): number;
  readonly endMs: number;
  /** Else a proxy, which knows engines and nothing else. */
  readonly withRouter: boolean;
}
