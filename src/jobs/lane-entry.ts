// A job that is not ended, as the lane has it in mind. Everything that must outlive the process is in its row.

import type { Clock, Instant } from "../base/clock.ts";
import type { Job } from "./job.ts";
import type { AnyEnding } from "./store.ts";

/**
 * `start`: to be handed over. `check`: the same, if a look finds nothing. `grace`: like check, and a wait before.
 * `watch`: to be looked for. `last`: to be looked for once more, then expired. `close`: its end is known, and others must
 * know it before it is written down. `lost`: its row is to be forgotten.
 */
export type Stage = "start" | "check" | "grace" | "watch" | "last" | "close" | "lost";

export interface LaneEntry {
  readonly id: string;
  stage: Stage;
  /** It was being handed over at a crash, and may have been the cause. */
  readonly suspect: boolean;
  /** To be handed over: it was its turn once already. */
  hadTurn: boolean;
  /** That crash is not counted in its row yet. */
  crashed: boolean;
  /** In a row, by the runner or by the disk. */
  refusals: number;
  /** In stage `close`. The flow's `hold` sets it. */
  end: AnyEnding | undefined;
  /** In stage `lost`: who has it now. */
  lostTo: string | undefined;
  lastLooks: number;
  /** When it was handed over, or accepted: how long to leave it depends on its age. */
  since: Instant;
  readonly expiresAt: Instant;
  pollMs: number;
  /** Set while the runner is asked about it. */
  cut: AbortController | undefined;
  gone: boolean;
  stopDue: () => void;
  stopExpiry: () => void;
}

const nothing = () => {};

/** `crashed`: the row is as a crash has left it. `outlives`: what the runner was handed before goes on. */
export function createEntry(job: Job, clock: Clock, crashed: boolean, outlives: boolean): LaneEntry {
  const acceptedAt = clock.now() - ageMs(job, clock);
  const wasCut = crashed && isCut(job, outlives);
  return {
    id: job.id,
    stage: stageOf(job, outlives),
    suspect: wasCut || job.recoveries > 0,
    hadTurn: job.attempt > 0,
    crashed: wasCut,
    refusals: 0,
    end: undefined,
    lostTo: undefined,
    lastLooks: 0,
    since: acceptedAt,
    expiresAt: acceptedAt + job.ttlMs,
    pollMs: 0,
    cut: undefined,
    gone: false,
    stopDue: nothing,
    stopExpiry: nothing,
  };
}

/** Where the wall clock was set back since, the job counts as new. */
const ageMs = (job: Job, clock: Clock) => Math.max(0, clock.wallMs() - job.acceptedAtMs);

/** Somebody was busy with it in a process that has ended. */
const isCut = ({ state }: Job, outlives: boolean): boolean =>
  state === "submitting" || (state === "submitted" && !outlives);

export function stageOf(job: Job, outlives: boolean): Stage {
  if (isCut(job, outlives)) return "grace";
  if (job.state === "submitted") return "watch";
  return job.attempt > 0 ? "check" : "start";
}
