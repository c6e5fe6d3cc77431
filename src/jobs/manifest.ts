// A job's manifest: what a host must know to finish the job of another. Its text in S3 and back; how it changes hands is
// manifests.ts's.

import { asBuffer } from "../base/as-buffer.ts";
import { isRecord } from "../base/is-record.ts";
import { parseJson } from "../base/parse-json.ts";
import type { EndState, JobEnd, JobError, JobKind } from "./job.ts";
import { endStates, isJobKind } from "./job.ts";

/**
 * `open`: it goes on, or waits for somebody to take it up. `withdrawn`: it was not accepted, as its caller was told, and
 * nobody does it unless it is ordered once more under the same key.
 */
export type ManifestState = "open" | "withdrawn" | EndState;

/** A job is worked on so long after its acceptance and no longer: the longest ttl, the last look, and clocks that differ. */
export const manifestReachMs = 6 * 3_600_000 + 10 * 60_000;

export interface Manifest {
  readonly id: string;
  /** The host that may act on it. */
  readonly member: string;
  /** Rises with every change of hands. */
  readonly fence: number;
  readonly state: ManifestState;
  /** The caller's key name. */
  readonly owner: string | null;
  readonly kind: JobKind;
  readonly model: string;
  readonly ttlMs: number;
  readonly acceptedAtMs: number;
  readonly outputKey: string;
  /** `s3://…`: the request, as it is sent. */
  readonly input: string;
  readonly error?: JobError;
  /** By the wall clock of the host that wrote the end. */
  readonly endedAtMs?: number;
}

/** Undefined: it has none. */
export function endOf({ state, error, outputKey, acceptedAtMs, endedAtMs }: Manifest): JobEnd | undefined {
  if (state === "open" || state === "withdrawn") return undefined;
  return { state, outputKey, endedAtMs: endedAtMs ?? acceptedAtMs, ...(error !== undefined && { error }) };
}

export const wireOf = (manifest: Manifest) => ({
  version: 1,
  id: manifest.id,
  member: manifest.member,
  fence: manifest.fence,
  state: manifest.state,
  owner: manifest.owner,
  kind: manifest.kind,
  model: manifest.model,
  ttl_ms: manifest.ttlMs,
  accepted_at_ms: manifest.acceptedAtMs,
  output_key: manifest.outputKey,
  input: manifest.input,
  ...(manifest.error !== undefined && { error: manifest.error }),
  ...(manifest.endedAtMs !== undefined && { ended_at_ms: manifest.endedAtMs }),
});

const states: ReadonlySet<unknown> = new Set<ManifestState>(["open", "withdrawn", ...endStates]);

/** JSON has numbers that are none: 1e400. */
const isFigure = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

const isState = (value: unknown): value is ManifestState => states.has(value);

/** Undefined for anything that this version did not write or a later one writes otherwise. */
export function readManifest(bytes: Uint8Array): Manifest | undefined {
  const wire = parseJson(asBuffer(bytes).toString("utf8"));
  if (!isRecord(wire) || wire["version"] !== 1) return undefined;
  const { id, member, fence, state, owner, kind, model, input } = wire;
  const { ttl_ms: ttlMs, accepted_at_ms: acceptedAtMs, output_key: outputKey } = wire;
  const { ended_at_ms: endedAtMs } = wire;
  const isRight =
    typeof id === "string" &&
    typeof member === "string" &&
    Number.isSafeInteger(fence) &&
    typeof fence === "number" &&
    isState(state) &&
    (owner === null || typeof owner === "string") &&
    isJobKind(kind) &&
    typeof model === "string" &&
    isFigure(ttlMs) &&
    isFigure(acceptedAtMs) &&
    typeof outputKey === "string" &&
    typeof input === "string";
  if (!isRight) return undefined;
  const error = errorOf(wire["error"]);
  return {
    id,
    member,
    fence,
    state,
    owner,
    kind,
    model,
    ttlMs,
    acceptedAtMs,
    outputKey,
    input,
    ...(error !== undefined && { error }),
    ...(isFigure(endedAtMs) && { endedAtMs }),
  };
}

function errorOf(value: unknown): JobError | undefined {
  if (!isRecord(value)) return undefined;
  const { code, message } = value;
  return typeof code === "string" && typeof message === "string" ? { code, message } : undefined;
}
