// A desk over a real store and a real lane, with a scripted runner behind them.

import type { Clock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { JobDesk, JobOrder } from "../../src/jobs/desk.ts";
import { createJobIds } from "../../src/jobs/job-id.ts";
import type { Lane } from "../../src/jobs/lane.ts";
import { createLane } from "../../src/jobs/lane.ts";
import type { LaneDesk, LaneDeskParts } from "../../src/jobs/lane-desk.ts";
import { createLaneDesk } from "../../src/jobs/lane-desk.ts";
import type { JobStore, StoreLimits } from "../../src/jobs/store.ts";
import { jobPlace } from "./job-place.ts";
import type { ScriptedRunner } from "./scripted-runner.ts";
import { scriptedRunner } from "./scripted-runner.ts";

export interface DeskScene {
  readonly desk: LaneDesk;
  readonly lane: Lane;
  readonly store: JobStore;
  readonly runner: ScriptedRunner;
  /** Of ends that have not come. */
  listeners(): number;
  order(change?: Partial<JobOrder> & { readonly body?: object }): ReturnType<JobDesk["order"]>;
  stop(): Promise<void>;
}

export interface DeskOptions extends Partial<LaneDeskParts> {
  readonly limits?: StoreLimits;
}

export const answer = Buffer.from('{"object":"chat.completion","choices":[{"message":{"content":"Hm."}}]}');

export function deskScene(clock: Clock, { limits, ...parts }: DeskOptions = {}): DeskScene {
  const place = jobPlace();
  const store = place.open(limits);
  const random = seededRandom(3);
  const runner = scriptedRunner(clock.now);
  const lane = createLane({ store, runner, clock, random });
  let listeners = 0;
  const watched: Lane = {
    ...lane,
    onEnd(id, listener) {
      listeners += 1;
      const forget = lane.onEnd(id, listener);
      return () => {
        listeners -= 1;
        forget();
      };
    },
  };
  const desk = createLaneDesk({
    member: "gold-1",
    store,
    lane: watched,
    runner,
    newId: createJobIds("gold-1", clock, random),
    models: ["story-70b", "story-8b"],
    requestBytesMost: 100_000,
    resultCache: { enabled: true, maxEntries: 100, maxBytes: 1_000_000, ttlMs: 60_000 },
    clock,
    random,
    ...parts,
  });
  return {
    desk,
    lane,
    store,
    runner,
    listeners: () => listeners,
    order({ body = { messages: [{ role: "user", content: "A tale." }] }, ...change } = {}) {
      return desk.order({
        caller: "lobby",
        kind: "chat",
        model: undefined,
        modelName: undefined,
        request: Buffer.from(JSON.stringify(body)),
        ttlMs: 3_600_000,
        ...change,
      });
    },
    async stop() {
      await lane.stop();
      store.close();
      place.stop();
    },
  };
}
