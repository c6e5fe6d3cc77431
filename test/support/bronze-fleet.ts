// Three compiled routers that are one fleet, with Bronze on the stand-in for AWS and manifests in its S3: what befalls them
// and their disks, and callers that remember what they were promised. The model never says the same thing twice.

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Aws } from "../../playground/aws.ts";
import { startAws } from "../../playground/aws.ts";
import { createInTurn } from "../../src/jobs/in-turn.ts";
import { jobFileName } from "../../src/jobs/job-file.ts";
import { readJobId } from "../../src/jobs/job-id.ts";
import { awsEnv, sageMakerToml } from "./bronze.ts";
import { until } from "./chat.ts";
import { showFigures } from "./failures.ts";
import type { FleetHost } from "./fleet.ts";
import { startFleet } from "./fleet.ts";
import type { PromisedJobs } from "./promised-jobs.ts";
import { promisedJobs } from "./promised-jobs.ts";

export interface BronzeFleet {
  readonly aws: Aws;
  readonly hosts: readonly [FleetHost, FleetHost, FleetHost];
  readonly jobs: PromisedJobs;
  /** Those that run, and are not frozen. */
  here(): readonly FleetHost[];
  /** kill -9. */
  kill(host: FleetHost, disk: "kept" | "lost" | "damaged"): Promise<void>;
  freeze(host: FleetHost): void;
  thaw(host: FleetHost): void;
  end(host: FleetHost): Promise<void>;
  /** Under the name that it had, or another. */
  start(host: FleetHost, name?: string): Promise<void>;
  /** Everybody who is here takes all of these for dead. */
  knownDead(...hosts: readonly FleetHost[]): Promise<void>;
  /** Of those who are here. */
  sum(metric: string): Promise<number>;
  /** How often each job was handed over, by id. */
  handedOver(id: string): number;
  /** The manifest of a job as it is in S3. */
  manifest(id: string): Readonly<Record<string, unknown>>;
}

const config = sageMakerToml(`input = "s3://bucket/inputs"\nmanifests = "s3://bucket/manifests"`);

/** Twenty routers that read the AWS SDK at one time take each other's time until S3 is late. */
const inTurn = createInTurn();

const leases = (aws: Aws): readonly string[] =>
  aws.objects.keys("bucket").filter((key) => key.startsWith("manifests/leases/"));

/** A test of its own fleet, that ends with every promise kept: no job lost, none shown with two ends. */
export const withBronzeFleet = (act: (fleet: BronzeFleet) => Promise<void>) => async (): Promise<void> => {
  const model = startStoryteller();
  const aws = startAws({ engine: model.url });
  const away = new Set<FleetHost>();
  const fleet = await inTurn("start", async () => {
    const started = await startFleet({
      hosts: ["story-1", "story-2", "story-3"].map((name) => ({ name, tiers: [] })),
      config,
      env: awsEnv(aws),
    });
    await until("they speak to S3", () => leases(aws).length === started.hosts.length, 60_000).catch(
      async (error: unknown) => {
        await started.stop();
        throw error;
      },
    );
    return started;
  });
  const here = (): readonly FleetHost[] => fleet.hosts.filter((host) => !away.has(host));
  const jobs = promisedJobs(here);
  const [first, second, third] = fleet.hosts;
  try {
    if (first === undefined || second === undefined || third === undefined)
      throw new Error("not three hosts");
    await fleet.told(async () => {
      await act({
        aws,
        hosts: [first, second, third],
        jobs,
        here,
        ...fates(away, here, jobs),
        ...seenIn(aws, here),
      });
      if (jobs.wrongs.length > 0) throw new Error(`shown wrongly: ${jobs.wrongs.slice(0, 10).join("\n")}`);
    })();
  } finally {
    await jobs.stop();
    aws.fault();
    await fleet.stop();
    await aws.stop();
    await model.stop();
  }
};

function fates(away: Set<FleetHost>, here: () => readonly FleetHost[], jobs: PromisedJobs) {
  return {
    async kill(host: FleetHost, disk: "kept" | "lost" | "damaged") {
      away.add(host);
      const state = join(host.router.dir, "state");
      await host.kill();
      if (disk === "lost") rmSync(state, { recursive: true });
      if (disk === "damaged") {
        for (const more of ["-wal", "-shm"]) rmSync(join(state, jobFileName + more), { force: true });
        writeFileSync(join(state, jobFileName), "no database at all ".repeat(1000));
      }
    },
    freeze(host: FleetHost) {
      away.add(host);
      host.freeze();
    },
    thaw(host: FleetHost) {
      jobs.returned(host);
      host.thaw();
      away.delete(host);
    },
    async end(host: FleetHost) {
      away.add(host);
      const code = await host.end();
      if (code !== 0) throw new Error(`${host.name} ended with ${code}`);
    },
    async start(host: FleetHost, name?: string) {
      jobs.returned(host);
      await host.start(name);
      away.delete(host);
    },
    knownDead: (...hosts: readonly FleetHost[]) =>
      until(
        `${hosts.map(({ name }) => name).join()} known to be dead`,
        async () => {
          await Bun.sleep(100);
          const seen = await Promise.all(here().flatMap((each) => hosts.map(({ name }) => each.sees(name))));
          return seen.every((state) => state === "dead");
        },
        30_000,
      ),
  };
}

const ulidOf = (id: string): string => id.slice(id.lastIndexOf("_") + 1);

const seenIn = (aws: Aws, here: () => readonly FleetHost[]) => ({
  async sum(metric: string) {
    const each = await Promise.all(here().map(({ router }) => router.metric(metric)));
    return each.reduce((one, other) => one + other, 0);
  },
  handedOver: (id: string) =>
    aws.invocations.filter(({ inferenceId }) => inferenceId.startsWith(ulidOf(id))).length,
  manifest(id: string): Readonly<Record<string, unknown>> {
    const key = `manifests/jobs/${readJobId(id)?.member}/${ulidOf(id)}`;
    const object = aws.objects.get("bucket", key);
    return object === undefined ? {} : JSON.parse(Buffer.from(object.bytes).toString("utf8"));
  },
});

/** What is computed twice does not come out the same. */
function startStoryteller() {
  let told = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { messages } = JSON.parse(await request.text());
      const message = { role: "assistant", content: `You said: ${messages.at(-1).content}` };
      told += 1;
      return Response.json({
        id: `telling-${told}`,
        object: "chat.completion",
        model: "story-70b",
        choices: [{ index: 0, message, finish_reason: "stop" }],
      });
    },
  });
  return { url: server.url.origin, stop: () => server.stop(true) };
}

/** Notes how long things took since the last one; shown with the figures. */
export function stopwatch(what: string) {
  const figures: Record<string, unknown> = {};
  let since = performance.now();
  return {
    lap(name: string): number {
      const seconds = Math.round((performance.now() - since) / 100) / 10;
      since = performance.now();
      figures[`${name}_s`] = seconds;
      return seconds;
    },
    note(name: string, value: unknown): void {
      figures[name] = value;
    },
    show: () => showFigures(what, figures),
  };
}
