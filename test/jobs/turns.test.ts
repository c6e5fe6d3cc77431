import { expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { LaneEntry } from "../../src/jobs/lane-entry.ts";
import { createEntry } from "../../src/jobs/lane-entry.ts";
import { againRule } from "../../src/jobs/lane-flow.ts";
import { createRests } from "../../src/jobs/rests.ts";
import { createTurns } from "../../src/jobs/turns.ts";
import { until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { jobPlace, newJob } from "../support/job-place.ts";
import { scriptedRunner } from "../support/scripted-runner.ts";

const own = cleanup();

test("jobs that are looked for without end do not keep others from being handed over, nor those them", async () => {
  const store = own(jobPlace()).open();
  const entryOf = (at: number): LaneEntry => {
    const accepted = store.accept(newJob(at));
    if (accepted.kind !== "stored") throw new Error(accepted.kind);
    return createEntry(accepted.job, systemClock, false, true);
  };
  const counts = { looks: 0, begun: 0 };
  const turns = createTurns({
    runner: scriptedRunner(systemClock.now),
    rests: createRests(systemClock),
    clock: systemClock,
    random: seededRandom(1),
    submitsMost: 8,
    looksMost: 16,
    rule: againRule,
    begin(entry) {
      counts.begun += 1;
      turns.call({
        what: "submit",
        entry,
        ask: () => Promise.resolve({ kind: "submitted" }),
        cameBack: () => turns.line(entry),
      });
    },
    look(entry) {
      counts.looks += 1;
      turns.call({
        what: "look",
        entry,
        ask: () => Promise.resolve({ kind: "absent" }),
        cameBack: () => turns.line(entry),
      });
    },
    broke: (_, error) => {
      throw error;
    },
  });
  for (let at = 0; at < 100; at += 1) turns.line(Object.assign(entryOf(at), { stage: "watch" }));
  turns.line(entryOf(1000));
  turns.next();
  await until("both go on", () => counts.looks > 500 && counts.begun > 50);
  await turns.stop();
  store.close();
  expect(counts.begun).toBeLessThan(counts.looks * 2);
});
