// What SageMaker's way to do jobs asks of their requests.

import { expect, test } from "bun:test";
import { startAws } from "../playground/aws.ts";
import { systemClock } from "../src/base/clock.ts";
import { seededRandom } from "../src/base/random.ts";
import type { WayParts } from "../src/job-ways.ts";
import { wayOf } from "../src/job-ways.ts";
import { createManifests } from "../src/jobs/manifests.ts";
import { createPlayersFirst } from "../src/jobs/players-first.ts";
import { createLog } from "../src/telemetry/log.ts";
import { cleanup } from "./support/cleanup.ts";
import { fleetPlaces } from "./support/job-fleet.ts";
import { newJob } from "./support/job-place.ts";
import { localPolicy, localScene } from "./support/local-scene.ts";
import { memoryObjects } from "./support/memory-objects.ts";

const ends = cleanup();

function requestBytesMost(places: { readonly input?: string; readonly manifests?: string }): number {
  const standIn = ends(startAws());
  const { dispatch, fleet } = localScene(systemClock);
  const random = seededRandom(1);
  const parts: WayParts = {
    member: "gold-1",
    members: () => [],
    env: standIn.env,
    dispatch,
    playersFirst: createPlayersFirst({ fleet, clock: systemClock, random }),
    fleet,
    policy: () => localPolicy,
    clock: systemClock,
    random,
    log: createLog("silent").log,
  };
  const way = wayOf(
    {
      runner: "sagemaker",
      endpoint: "story-bronze",
      region: "us-east-1",
      output: "s3://bucket/results",
      models: ["story-70b"],
      maxQueued: 100,
      retentionMs: 1000,
      ...places,
    },
    parts,
  );
  way.close();
  return way.requestBytesMost;
}

const input = "s3://bucket/in";

test("the longest request that a host takes can be read by whoever adopts its job, and by SageMaker where it is sent along", async () => {
  expect(requestBytesMost({})).toBeLessThan(128_000);
  expect(requestBytesMost({ input })).toBe(Number.POSITIVE_INFINITY);
  const most = requestBytesMost({ input, manifests: "s3://bucket/m" });
  const objects = memoryObjects();
  const host = (name: string) => createManifests(fleetPlaces, name, objects);
  const { signal } = new AbortController();
  const start = '{"model":"story-70b","prompt":"';
  const request = Buffer.from(`${start}${"x".repeat(most - start.length - 2)}"}`);
  expect(request.byteLength).toBe(most);
  const job = newJob(1, { request });
  expect(await host("gold-1").keep(job, signal)).toBeUndefined();
  expect((await host("gold-2").take(job.id, "gold-1", signal)).kind).toBe("taken");
});
