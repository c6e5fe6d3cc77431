// A lane over a real store, with a scripted runner behind it, in virtual time.

import { seededRandom } from "../../src/base/random.ts";
import type { Job } from "../../src/jobs/job.ts";
import type { Lane, LaneEvent, LaneParts, LaneRules } from "../../src/jobs/lane.ts";
import { createLane, laneRules } from "../../src/jobs/lane.ts";
import type { JobStore } from "../../src/jobs/store.ts";
import type { cleanup } from "./cleanup.ts";
import type { JobPlace } from "./job-place.ts";
import { jobPlace, newJob } from "./job-place.ts";
import { scriptedRunner } from "./scripted-runner.ts";
import { virtualClock } from "./virtual-clock.ts";

export interface LaneSceneOptions {
  readonly marginMs?: number;
  readonly place?: JobPlace;
  readonly rules?: Partial<LaneRules>;
  readonly store?: (store: JobStore) => JobStore;
  readonly closing?: LaneParts["closing"];
}

export function laneScene(own: ReturnType<typeof cleanup>, options: LaneSceneOptions = {}) {
  const clock = virtualClock();
  const place = options.place ?? own(jobPlace());
  const real = place.open();
  const store = options.store?.(real) ?? real;
  const runner = scriptedRunner(clock.now, options.marginMs);
  const events: LaneEvent[] = [];
  let lane: Lane | undefined;
  /** Begins the lane, so that a test can say first what the store holds and the runner answers. */
  const start = (): Lane => {
    const tell = (event: LaneEvent) => events.push(event);
    const rules = { ...laneRules, ...options.rules };
    const { closing } = options;
    const random = seededRandom(7);
    lane = createLane({ store, runner, clock, random, tell, rules, ...(closing && { closing }) });
    return lane;
  };
  const rowOf = (id: string): Job => {
    const found = store.get(id);
    if (found.kind !== "found" || found.value === undefined) throw new Error(`${id} is gone`);
    return found.value;
  };
  return {
    clock,
    place,
    store,
    runner,
    events,
    start,
    accept(at: number, ttlMs = 3_600_000): string {
      const { outputKey: _, ...job } = newJob(at, { acceptedAtMs: clock.wallMs(), ttlMs });
      // In virtual time nothing has taken any, so there is no rest and it is written at once.
      void (lane ?? start()).accept(job);
      return rowOf(job.id).id;
    },
    job: rowOf,
    isGone(id: string): boolean {
      const found = store.get(id);
      return found.kind === "found" && found.value === undefined;
    },
    /** What a killed process leaves: the row is `submitting`, nobody knows whether the call arrived. */
    leave(at: number, recoveries = 0): string {
      const { id } = newJob(at);
      store.accept(newJob(at, { acceptedAtMs: clock.wallMs() }));
      for (let times = 0; times < recoveries; times += 1)
        store.move(id, times, { to: "submitting", recovered: true });
      store.move(id, recoveries, { to: "submitting" });
      return id;
    },
  };
}
