// What a router remembers of its fleet from one run to the next: how high its incarnation was, and whom it knew. With
// the file gone it costs a moment at the next start and nothing else.

import { isRecord } from "./base/is-record.ts";
import { parseJson } from "./base/parse-json.ts";
import { incarnationMost } from "./cluster/incarnation.ts";
import type { StateDir, Written } from "./host/state-dir.ts";

export interface ClusterMemory {
  readonly incarnation: number | undefined;
  /** Addresses of gossip listeners. */
  readonly peers: readonly string[];
}

const file = "cluster.json";
/** Some hundred addresses of 300 characters at most. */
const fileBytesMost = 64 * 1024;
const nothing: ClusterMemory = { incarnation: undefined, peers: [] };

/** What cannot be read is as good as nothing: the wall clock and the seeds do the same, a little later. */
export async function readClusterMemory(state: StateDir): Promise<ClusterMemory> {
  const read = await state.readFile(file, fileBytesMost);
  if (!read.ok) return nothing;
  const value = parseJson(new TextDecoder().decode(read.bytes));
  if (!isRecord(value)) return nothing;
  const { incarnation, peers } = value;
  const isCount = typeof incarnation === "number" && Number.isSafeInteger(incarnation);
  return {
    incarnation: isCount && incarnation >= 0 && incarnation < incarnationMost ? incarnation : undefined,
    peers: Array.isArray(peers) ? peers.filter((peer) => typeof peer === "string") : [],
  };
}

export const writeClusterMemory = (state: StateDir, memory: ClusterMemory): Promise<Written> =>
  state.writeFile(file, `${JSON.stringify(memory)}\n`);
