// Lane, runner, SDK and stand-in together: what the lane does with the runner's answers.

import { afterAll, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createJobIds, ulidOf } from "../../src/jobs/job-id.ts";
import { createLane } from "../../src/jobs/lane.ts";
import { cleanup } from "../support/cleanup.ts";
import { jobPlace, newJob } from "../support/job-place.ts";
import { textOf } from "../support/job-to-do.ts";
import { sageMakerScene } from "../support/sagemaker-scene.ts";

const own = cleanup();
const { runner, standIn, stop } = sageMakerScene({ instances: 0, scaleUpMs: 50 });
afterAll(stop);

test("twelve jobs come to one result each through throttling, lost answers, a machine that is not there yet, and a duplicate", async () => {
  standIn.fault(
    { kind: "throttle", times: 1 },
    { kind: "accept-then-reset", times: 1 },
    { kind: "duplicate", times: 2 },
    { kind: "late-output", delayMs: 100, times: 1 },
    { kind: "status", status: 503, on: "get", times: 2 },
  );
  const random = seededRandom(11);
  const store = own(jobPlace()).open();
  const lane = own(createLane({ store, runner, clock: systemClock, random }));
  const nextId = createJobIds("gold-1", systemClock, random);
  const orders = Array.from({ length: 12 }, async (_, index) => {
    const request = Buffer.from(JSON.stringify({ messages: [{ role: "user", content: `job ${index}` }] }));
    const acceptedAtMs = systemClock.wallMs();
    const { outputKey: _place, ...job } = newJob(index, { id: nextId(), acceptedAtMs, request });
    expect((await lane.accept(job)).kind).toBe("stored");
    return job.id;
  });
  const ids = await Promise.all(orders);
  await Promise.all(ids.map((id) => new Promise<void>((resolve) => void lane.onEnd(id, resolve))));
  for (const [index, id] of ids.entries()) {
    const result = store.result(id);
    if (result.kind !== "found" || result.value === undefined) throw new Error(`${id} has no result`);
    expect(textOf(result.value)).toBe(`You said: job ${index}`);
    expect(standIn.objects.keys("bucket").filter((key) => key.includes(ulidOf(id)))).toHaveLength(1);
  }
  await lane.stop();
  store.close();
}, 15_000);
