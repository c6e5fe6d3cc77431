// What one router asks of another about jobs, in a caller's name: what its `x-tierline-peer` header says of it. It is one
// hop, and the seal is claim-seals.ts's.

import type { ClaimParts, ClaimSeals } from "./claim-seals.ts";
import { callerText, createClaimSeals, readCaller, writtenCaller } from "./claim-seals.ts";

const jobCallRule = {
  /** Five hundred calls a second for a minute; then the oldest are forgotten, and stale. 5 MB. */
  noncesMost: 32_768,
} as const;

export interface JobCall {
  /** The name of the caller's key at the router that asks; undefined where nobody is asked for one. */
  readonly caller: string | undefined;
}

export type JobCallSeals = ClaimSeals<JobCall>;

/** The value of `x-tierline-peer` in every answer to a call whose seal was good: it comes from a router of the fleet. */
export const answeredHere = "jobs=1";

export const createJobCallSeals = (parts: ClaimParts): JobCallSeals =>
  createClaimSeals(
    parts,
    { write: ({ caller }) => `hop=1;jobs=1${writtenCaller(caller)}`, read: readJobCall },
    jobCallRule.noncesMost,
  );

const grammar = new RegExp(`^hop=1;jobs=1(?:;caller=(${callerText}))?$`);

function readJobCall(text: string): JobCall | undefined {
  const found = grammar.exec(text);
  if (found === null) return undefined;
  const [, named] = found;
  const caller = named === undefined ? undefined : readCaller(named);
  return named !== undefined && caller === undefined ? undefined : { caller };
}
