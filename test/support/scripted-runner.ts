// A runner that does what a test says, and remembers what it was asked.

import type { Job } from "../../src/jobs/job.ts";
import type { HandedJob, JobRunner, Looked, Submitted } from "../../src/jobs/runner.ts";

export interface ScriptedRunner extends JobRunner {
  /** What it was asked, in order: `submit ID` and `look ID`, with the instant. */
  readonly calls: { readonly what: "submit" | "look"; readonly id: string; readonly at: number }[];
  /** Calls under way at once, the most. */
  readonly most: { submit: number; look: number };
  /** What the next answers are; both may be changed at any time. */
  onSubmit: (job: HandedJob, signal: AbortSignal, began: () => void) => Submitted | Promise<Submitted>;
  onLook: (job: Job, signal: AbortSignal) => Looked | Promise<Looked>;
  busy: number | undefined;
  asked(what: "submit" | "look", id?: string): number[];
}

/** Without a margin nothing of it outlives the process. */
export function scriptedRunner(now: () => number, marginMs = 60_000): ScriptedRunner {
  const calls: ScriptedRunner["calls"] = [];
  const most = { submit: 0, look: 0 };
  const underWay = { submit: 0, look: 0 };

  async function ask<T>(what: "submit" | "look", job: Job, answer: () => T | Promise<T>): Promise<T> {
    calls.push({ what, id: job.id, at: now() });
    underWay[what] += 1;
    most[what] = Math.max(most[what], underWay[what]);
    try {
      return await answer();
    } finally {
      underWay[what] -= 1;
    }
  }

  const runner: ScriptedRunner = {
    name: "sagemaker",
    outlives: marginMs > 0,
    marginMs,
    calls,
    most,
    busy: undefined,
    onSubmit: () => ({ kind: "submitted" }),
    onLook: () => ({ kind: "absent" }),
    busyMs: () => runner.busy,
    outputKey: (job) => `jobs/${job.id}.out`,
    submit: (job, signal, began = () => {}) => ask("submit", job, () => runner.onSubmit(job, signal, began)),
    look: (job, signal) => ask("look", job, () => runner.onLook(job, signal)),
    asked: (what, id) =>
      calls.filter((call) => call.what === what && (id === undefined || call.id === id)).map(({ at }) => at),
  };
  return runner;
}
