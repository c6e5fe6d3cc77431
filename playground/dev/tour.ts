// The tour: what a newcomer sees in the first minute, each step shown as it happens and checked.

import type { House } from "./house.ts";
import type { Screen } from "./screen.ts";
import { crowdDecides } from "./tour-crowd.ts";
import { hostDrains, hostIsKilled, hostsReturn, lastGoldIsKilled, theyAreOne } from "./tour-fleet.ts";
import { questIsOrdered, questIsThere } from "./tour-jobs.ts";
import { goldAnswers, llamaAnswers, silverStreams } from "./tour-questions.ts";

const steps = [
  goldAnswers,
  silverStreams,
  llamaAnswers,
  theyAreOne,
  crowdDecides,
  questIsOrdered,
  hostIsKilled,
  lastGoldIsKilled,
  hostsReturn,
  questIsThere,
  hostDrains,
];

/** Walks through the steps; false if one of them did not end as it should. */
export async function tour(house: House, screen: Screen): Promise<boolean> {
  const kept: boolean[] = [];
  for (const step of steps) kept.push(await step(house, screen));
  return kept.every(Boolean);
}
