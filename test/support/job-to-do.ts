// A job as a runner is handed it.

import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createJobIds } from "../../src/jobs/job-id.ts";
import type { HandedJob, HandedOver, JobRunner, Looked } from "../../src/jobs/runner.ts";

const nextId = createJobIds("gold-1", systemClock, seededRandom(systemClock.wallMs()));

/** `submitting`, with its first attempt counted, asking for what `says` says. */
export function jobToDo(runner: JobRunner, says = "hello", change: Partial<HandedJob> = {}): HandedJob {
  const aged = { id: nextId(), acceptedAtMs: systemClock.wallMs() };
  const messages = [{ role: "user", content: says }];
  return {
    ...aged,
    owner: "lobby",
    kind: "chat",
    model: "story-70b",
    ttlMs: 3_600_000,
    leftMs: 3_600_000,
    state: "submitting",
    attempt: 1,
    fence: 1,
    recoveries: 0,
    outputKey: runner.outputKey(aged),
    request: Buffer.from(JSON.stringify({ model: "story-70b", messages })),
    ...change,
  };
}

/** With what the store keeps of a hand-over. */
export const submittedJob = (job: HandedJob, { kind: _kind, ...kept }: HandedOver): HandedJob => ({
  ...job,
  ...kept,
  state: "submitted",
});

/** Looks until there is an end, or trouble. */
export async function lookUntilEnd(runner: JobRunner, job: HandedJob, mostMs = 5000): Promise<Looked> {
  const { signal } = new AbortController();
  for (const until = performance.now() + mostMs; ; await Bun.sleep(5)) {
    const looked = await runner.look(job, signal);
    if (looked.kind !== "absent" || performance.now() > until) return looked;
  }
}

/** What a chat completion says. */
export function textOf(result: Uint8Array): unknown {
  return JSON.parse(Buffer.from(result).toString("utf8")).choices[0].message.content;
}
