// Hosts with jobs over one S3 and one SageMaker: each with its own disk, and all heard of as a test says.

import type { Clock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createAdoption } from "../../src/jobs/adoption.ts";
import type { AdoptionEvent } from "../../src/jobs/adoption-event.ts";
import type { Aws } from "../../src/jobs/aws.ts";
import type { JobDesk, Ordered } from "../../src/jobs/desk.ts";
import { createJobIds } from "../../src/jobs/job-id.ts";
import type { JobKeeping } from "../../src/jobs/keeping.ts";
import { createKeeping } from "../../src/jobs/keeping.ts";
import type { Lane, LaneEvent } from "../../src/jobs/lane.ts";
import { createLane } from "../../src/jobs/lane.ts";
import { createLaneDesk } from "../../src/jobs/lane-desk.ts";
import type { KnownMember } from "../../src/jobs/members.ts";
import { below } from "../../src/jobs/objects.ts";
import { createSageMakerRunner } from "../../src/jobs/sagemaker.ts";
import type { JobStore } from "../../src/jobs/store.ts";
import { answer } from "./desk-scene.ts";
import type { JobPlace } from "./job-place.ts";
import { jobPlace } from "./job-place.ts";
import type { MemoryObjects } from "./memory-objects.ts";
import { memoryObjects } from "./memory-objects.ts";
import type { VirtualClock } from "./virtual-clock.ts";
import { virtualClock } from "./virtual-clock.ts";

export interface JobHost {
  readonly name: string;
  readonly desk: JobDesk;
  readonly lane: Lane;
  readonly store: JobStore;
  readonly keeping: JobKeeping;
  readonly told: AdoptionEvent[];
  readonly laneTold: LaneEvent[];
  /** False while it drains: it does nothing then but renew its lease. */
  mayAdopt: boolean;
  /** Orders a job for `lobby`; its id. */
  order(idempotencyKey?: string): Promise<string>;
}

export interface JobHosts {
  /** What gossip says, to everybody alike. */
  readonly heard: Map<string, KnownMember["state"]>;
  /** Begins a host that is then heard of as alive; `disk`: what a run before has left. */
  host(name: string, disk?: JobPlace): JobHost;
  /** As by SIGKILL. Nobody has heard of it yet. Answers what lies on its disk. */
  kill(host: JobHost): JobPlace;
  stop(): Promise<void>;
}

/** In virtual time, with nothing behind it but memory. What is computed again does not come out the same. */
export interface JobFleet extends JobHosts {
  readonly clock: VirtualClock;
  readonly objects: MemoryObjects;
  /** What SageMaker was handed: the inference ids. */
  readonly invoked: string[];
  /** Whether SageMaker finishes what it was handed, a second later or whenever it works again. */
  works: boolean;
}

export const fleetPlaces = {
  manifests: { bucket: "bucket", key: "m" },
  input: { bucket: "bucket", key: "in" },
};
const { signal: never } = new AbortController();
const output = { bucket: "bucket", key: "results" };

export function jobFleet(): JobFleet {
  const clock = virtualClock();
  const objects = memoryObjects();
  const aws: Aws = {
    objects,
    async invokeAsync({ inferenceId, outputPath, filename }) {
      fleet.invoked.push(inferenceId);
      const ulid = filename.slice(0, filename.indexOf("."));
      const times = fleet.invoked.filter((each) => each.startsWith(ulid)).length;
      const told = times === 1 ? answer : Buffer.from(answer.toString().replace("Hm.", `Hm ${times}.`));
      const place = below(output, outputPath, filename);
      const work = async (): Promise<void> => {
        const put = fleet.works && (await objects.put(place, told, "always", never));
        if (put === false || put.kind === "trouble") clock.after(1000, () => void work());
      };
      clock.after(1000, () => void work());
      return { kind: "taken", inferenceId, outputLocation: undefined, failureLocation: undefined };
    },
    describeEndpoint: () => Promise.resolve({ kind: "trouble", trouble: "denied", why: "nobody asks" }),
    close() {},
  };
  const fleet: JobFleet = { ...jobHosts(aws, clock), clock, objects, invoked: [], works: true };
  return fleet;
}

export function jobHosts(aws: Aws, clock: Clock): JobHosts {
  const { objects } = aws;
  const heard: JobHosts["heard"] = new Map();
  const running = new Map<JobHost, { readonly place: JobPlace; end(): Promise<void> }>();
  const places: JobPlace[] = [];
  let seed = 1;

  return {
    heard,
    host(name, place = jobPlace()) {
      const random = seededRandom(seed++);
      const members = () => [...heard].map(([each, state]) => ({ name: each, state }));
      const keeping = createKeeping({ places: fleetPlaces, member: name, members, objects, clock, random });
      const runner = createSageMakerRunner(
        { endpoint: "story-bronze", output, input: fleetPlaces.input, inputIsThere: true },
        aws,
        clock,
        () => {},
      );
      const store = place.open();
      const laneTold: LaneEvent[] = [];
      const lane = createLane({
        store,
        runner,
        clock,
        random,
        closing: keeping.closing,
        tell: (event) => laneTold.push(event),
      });
      const events: AdoptionEvent[] = [];
      const adoption = createAdoption({
        keeping,
        lane,
        store,
        members,
        member: name,
        mayAdopt: () => host.mayAdopt,
        clock,
        random,
        tell: (event) => events.push(event),
      });
      const desk = createLaneDesk({
        member: name,
        store,
        lane,
        runner,
        newId: createJobIds(name, clock, random),
        models: ["story-70b"],
        requestBytesMost: 100_000,
        resultCache: { enabled: true, maxEntries: 100, maxBytes: 1_000_000, ttlMs: 60_000 },
        keeping,
        clock,
        random,
      });
      const host: JobHost = {
        name,
        desk,
        lane,
        store,
        keeping,
        told: events,
        laneTold,
        mayAdopt: true,
        order: async (idempotencyKey) => idOf(await desk.order({ ...asked, idempotencyKey })),
      };
      running.set(host, {
        place,
        async end() {
          adoption.stop();
          await lane.stop();
          store.close();
        },
      });
      places.push(place);
      heard.set(name, "alive");
      adoption.start();
      return host;
    },
    kill(host) {
      const { place, end } = running.get(host) ?? {};
      if (place === undefined || end === undefined) throw new Error(`${host.name} does not run`);
      const left = place.copy();
      places.push(left);
      running.delete(host);
      void end();
      return left;
    },
    async stop() {
      for (const { end } of running.values()) await end();
      for (const place of places) place.stop();
    },
  };
}

const asked = {
  caller: "lobby",
  kind: "chat",
  model: undefined,
  modelName: undefined,
  request: Buffer.from('{"messages":[{"role":"user","content":"A tale."}]}'),
  ttlMs: 3_600_000,
} as const;

function idOf(ordered: Ordered): string {
  if (ordered.kind === "refused" || ordered.kind === "elsewhere") throw new Error(JSON.stringify(ordered));
  return ordered.job.id;
}
