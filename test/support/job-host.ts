// A program that takes jobs and does them until it is killed: the real store and lane, and a service whose inbox and outputs
// are files, so that both outlive it, or no service but the program itself. Ends are known to a file before they are
// written down. Lines on stdout are what a caller would have been told by then.
// Arguments: the folder; the first job's number, or `drain` to take none and end when all have ended; a seed; `service` or
// `itself`, who does the jobs.

import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Job } from "../../src/jobs/job.ts";
import { createJobIds } from "../../src/jobs/job-id.ts";
import { createLane, laneRules } from "../../src/jobs/lane.ts";
import type { Closing } from "../../src/jobs/lane-ends.ts";
import type { JobRunner, Submitted } from "../../src/jobs/runner.ts";
import { openJobStore } from "../../src/jobs/sqlite-store.ts";
import type { AnyEnding } from "../../src/jobs/store.ts";

const [dir = "", from = "0", seed = "0", by = "service"] = process.argv.slice(2);
const random = seededRandom(Number(seed));
/** A refusal shuts the lane for a second, longer than most of these lives. */
const refusals = from === "drain" ? 0 : 0.02;
const hangs = from === "drain" ? 0 : 0.05;
/** As the books have it: kill.test.ts. */
const burstMost = 6;
const say = (line: string) => writeSync(1, `${line}\n`);

const opened = openJobStore(join(dir, "state"), { queuedMost: 100_000, bytesMost: 2 ** 30 });
if (!opened.ok) throw new Error(opened.trouble.message);
const { store } = opened;
const unfinished = store.unfinished();
const underWay = new Set(
  unfinished.kind === "found"
    ? unfinished.value.filter(({ attempt }) => attempt > 0).map(({ id }) => id)
    : [],
);
const hadWork = underWay.size > 0;

const inbox = (id: string) => join(dir, "service", `${id}.in`);
const output = (id: string) => join(dir, "service", `${id}.out`);

/** What the service has done by now. It does a job anew for every time it was handed over. */
function serve(id: string): void {
  if (!existsSync(inbox(id))) return;
  const lines = readFileSync(inbox(id), "utf8").split("\n").slice(0, -1);
  for (const [index, line] of lines.entries()) {
    const { readyAt, n } = JSON.parse(line);
    if (readyAt > Date.now() || existsSync(`${output(id)}.${index}`)) continue;
    writeFileSync(`${output(id)}.new`, JSON.stringify({ n, run: index, by: process.pid }));
    renameSync(`${output(id)}.new`, output(id));
    // Last: a kill before it has the service do the job once more, not never.
    writeFileSync(`${output(id)}.${index}`, "");
  }
}

const touched = (id: string) => {
  if (underWay.delete(id) && underWay.size === 0) say(`resumed ${Math.ceil(performance.now())}`);
};

const onService: JobRunner = {
  name: "sagemaker",
  outlives: true,
  marginMs: 30,
  busyMs: () => undefined,
  outputKey: ({ id }) => id,
  async submit(job, signal): Promise<Submitted> {
    touched(job.id);
    const { n } = JSON.parse(Buffer.from(job.request).toString());
    const dice = random();
    if (dice < refusals) return { kind: "again", about: "runner", afterMs: 5, why: "throttled" };
    appendFileSync(inbox(job.id), `${JSON.stringify({ n, readyAt: Date.now() + random() * 40 })}\n`);
    if (dice < refusals * 2)
      return { kind: "again", about: "runner", afterMs: 5, why: "500 after accepting" };
    await Bun.sleep(random() * 10);
    if (dice > 1 - hangs) await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return { kind: "submitted" };
  },
  async look(job) {
    touched(job.id);
    serve(job.id);
    if (random() < refusals) return { kind: "again", about: "runner", afterMs: 5, why: "no network" };
    if (random() < 0.5) await Bun.sleep(random() * 5);
    if (!existsSync(output(job.id))) return { kind: "absent" };
    return { kind: "done", result: readFileSync(output(job.id)) };
  },
};

const inItself: JobRunner = {
  name: "local",
  outlives: false,
  marginMs: 0,
  busyMs: () => undefined,
  outputKey: ({ id }) => id,
  async submit(job, signal, began): Promise<Submitted> {
    touched(job.id);
    const { n } = JSON.parse(Buffer.from(job.request).toString());
    await Bun.sleep(random());
    began?.();
    await Bun.sleep(random() * 4);
    const madeRoom = random() < 0.1;
    if (madeRoom || signal.aborted)
      return { kind: "again", about: madeRoom ? "room" : "job", afterMs: 5, why: "made room" };
    return { kind: "done", result: Buffer.from(JSON.stringify({ n, by: process.pid })) };
  },
  look: () => Promise.resolve({ kind: "absent" }),
};

/** As a manifest: the first end that is written there, result and all, is the one that others know. */
async function closing(job: Job, end: AnyEnding): Promise<Closing> {
  await Bun.sleep(random() * 2);
  if (random() < refusals) return { kind: "again", about: "job", afterMs: 5, why: "no S3" };
  const file = join(dir, "ends", job.id);
  if (!existsSync(file)) {
    writeFileSync(
      `${file}.new`,
      JSON.stringify(end.to === "done" ? { ...end, result: textOf(end.result) } : end),
    );
    renameSync(`${file}.new`, file);
  }
  await Bun.sleep(random() * 2);
  const there = JSON.parse(readFileSync(file, "utf8"));
  return {
    kind: "closed",
    end: there.to === "done" ? { ...there, result: Buffer.from(there.result) } : there,
  };
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

const lane = createLane({
  store,
  runner: by === "service" ? onService : inItself,
  closing,
  clock: systemClock,
  random,
  rules: { ...laneRules, submitsMost: 16, looksMost: 64 },
  tell(event) {
    if (event.kind !== "ended") return;
    const result = store.result(event.job.id);
    const bytes = result.kind === "found" ? result.value : undefined;
    say(`end ${event.job.id} ${event.job.state} ${Buffer.from(bytes ?? []).toString("base64")}`);
  },
});
say(`ready ${hadWork ? "with" : "without"} work`);

if (from === "drain") {
  const isOver = () => {
    const { accepted, submitting, submitted } = store.counts();
    return accepted + submitting + submitted === 0;
  };
  while (!isOver()) await Bun.sleep(5);
  await lane.stop();
  store.close();
  say("drained");
} else {
  const nextId = createJobIds("gold-1", systemClock, random);
  const take = async (n: number): Promise<string> => {
    const accepted = await lane.accept(
      {
        id: nextId(),
        owner: "lobby",
        kind: "chat",
        model: "story-70b",
        ttlMs: 3_600_000,
        acceptedAtMs: Date.now(),
        request: Buffer.from(JSON.stringify({ n, filling: "x".repeat(Math.floor(random() * 3000)) })),
      },
      { caller: "lobby", key: `key-${n}`, bodyHash: `body-${n}` },
    );
    if (accepted.kind !== "stored" && accepted.kind !== "same") throw new Error(accepted.kind);
    return accepted.job.id;
  };
  for (let n = Number(from); ; ) {
    // Some come alone, some together.
    const many = random() < 0.5 ? 1 : Math.ceil(random() * burstMost);
    const ids = await Promise.all(Array.from({ length: many }, (_, at) => take(n + at)));
    // The answer's way to the caller: a kill within it has him ask again.
    await Bun.sleep(random() * 3);
    for (const id of ids) say(`ack ${n++} ${id}`);
    await Bun.sleep(random() * 4);
  }
}
