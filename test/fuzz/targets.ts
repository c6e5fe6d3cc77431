// Every parser of ours that reads what somebody else wrote.

import type { Target } from "./target.ts";
import { bodies } from "./targets/bodies.ts";
import { chunks } from "./targets/chunks.ts";
import { answers, metricPages } from "./targets/engine-answers.ts";
import { gossip, loadHints } from "./targets/gossip.ts";
import { headers } from "./targets/headers.ts";
import { frames, items } from "./targets/intents.ts";
import { jsonBytes } from "./targets/json-bytes.ts";
import { responses } from "./targets/responses.ts";
import { seals } from "./targets/seals.ts";
import { config, keysFiles, scalars } from "./targets/settings.ts";
import { results, tables } from "./targets/snapshots.ts";
import { streams } from "./targets/streams.ts";

/** `weight`: its part of the cases of a run over all, the dear ones having less. */
export const targets: readonly { readonly target: Target; readonly weight: number }[] = [
  { target: responses, weight: 12 },
  { target: chunks, weight: 8 },
  { target: streams, weight: 10 },
  { target: bodies, weight: 10 },
  { target: headers, weight: 6 },
  { target: frames, weight: 12 },
  { target: items, weight: 8 },
  { target: gossip, weight: 6 },
  { target: loadHints, weight: 4 },
  { target: seals, weight: 6 },
  { target: answers, weight: 8 },
  { target: metricPages, weight: 6 },
  { target: jsonBytes, weight: 4 },
  { target: tables, weight: 3 },
  { target: results, weight: 4 },
  { target: keysFiles, weight: 4 },
  { target: scalars, weight: 4 },
  { target: config, weight: 1 },
];

const weights = targets.reduce((sum, { weight }) => sum + weight, 0);

/** How many of `cases` fall to each. */
export const shares = (cases: number): { readonly target: Target; readonly cases: number }[] =>
  targets.map(({ target, weight }) => ({ target, cases: Math.ceil((cases * weight) / weights) }));
