// kill -9 at random moments, a start after each, and at the end the books: what was acknowledged has ended, once.
// JOB_KILLS=10000 is the long run, JOB_KILL_SEED repeats one.

import { expect, test } from "bun:test";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { percentile } from "../../bench/rig/statistics.ts";
import { seededRandom } from "../../src/base/random.ts";
import { jobPlace } from "../support/job-place.ts";
import { measured } from "../support/measured.ts";

const kills = Number(process.env["JOB_KILLS"] ?? 200);
const seed = Number(process.env["JOB_KILL_SEED"] ?? Math.floor(Math.random() * 1e9));

/** A host's life: its file grows with every job, and its starts are to be many. */
const killsAHost = 100;
const hosts = Math.ceil(kills / killsAHost);
const hostsAtOnce = 2;
/** Orders that job-host.ts has under way at once. */
const burstMost = 6;
/** On a fast machine, of a host from its start to its first acknowledged order. */
const usualStartMs = 35;

/** How much slower this machine is: a host must live long enough to promise something. */
async function slowness(): Promise<number> {
  const took: number[] = [];
  for (let n = 0; n < 5; n += 1) {
    const place = jobPlace();
    for (const part of ["state", "service", "ends"]) mkdirSync(join(place.dir, part));
    const began = performance.now();
    const host = join(import.meta.dir, "../support/job-host.ts");
    const child = Bun.spawn([process.execPath, host, place.dir, "0", String(n), "service"], {
      stdout: "pipe",
    });
    for await (const bytes of child.stdout) if (Buffer.from(bytes).includes("ack ")) break;
    took.push(performance.now() - began);
    child.kill("SIGKILL");
    await child.exited;
    place.stop();
  }
  return Math.max(1, percentile(took, 0.75) / usualStartMs);
}

interface Books {
  killed: number;
  acknowledged: number;
  lost: number;
  duplicated: number;
  changed: number;
  poisoned: number;
  /** Starts that found jobs under way, and the longest until all of them were taken up. */
  resumed: number;
  slowestResumeMs: number;
  faults: string[];
}

async function hostsLife(
  hostSeed: number,
  by: "service" | "itself",
  slow: number,
  books: Books,
): Promise<void> {
  const random = seededRandom(hostSeed);
  const place = jobPlace();
  for (const part of ["state", "service", "ends"]) mkdirSync(join(place.dir, part));
  const acknowledged = new Map<number, string>();
  const ends = new Map<string, string>();
  let next = 0;

  const start = (from: string) =>
    Bun.spawn(
      [
        process.execPath,
        join(import.meta.dir, "../support/job-host.ts"),
        place.dir,
        from,
        String(Math.floor(random() * 2 ** 31)),
        by,
      ],
      {
        stdout: "pipe",
        stderr: "pipe",
      },
    );

  /** What callers were told. A line that was cut by the kill was not told. */
  const read = (text: string) => {
    for (const line of text.split("\n").slice(0, -1)) {
      const [what, first = "", second = "", third = ""] = line.split(" ");
      if (what === "ack") {
        const n = Number(first);
        const known = acknowledged.get(n);
        if (known !== undefined && known !== second) books.faults.push(`job ${n} has two ids`);
        acknowledged.set(n, second);
        next = Math.max(next, n + 1);
      } else if (what === "end") {
        const end = `${second} ${third}`;
        if (ends.has(first)) books.duplicated += 1;
        ends.set(first, end);
      } else if (what === "resumed") {
        books.resumed += 1;
        books.slowestResumeMs = Math.max(books.slowestResumeMs, Number(first));
      }
    }
  };

  try {
    for (let times = 0; times < killsAHost; times += 1) {
      // The caller who got no answer asks again with the same key: what he heard last is where he goes on.
      const child = start(String(next));
      const text = new Response(child.stdout).text();
      const errors = new Response(child.stderr).text();
      await Bun.sleep((10 + random() * 90) * slow);
      child.kill("SIGKILL");
      await child.exited;
      if (child.signalCode !== "SIGKILL") books.faults.push(`it ended by itself: ${await errors}`);
      books.killed += 1;
      read(await text);
    }
    const last = start("drain");
    const errors = new Response(last.stderr).text();
    read(await new Response(last.stdout).text());
    if ((await last.exited) !== 0) books.faults.push(await errors);

    books.acknowledged += acknowledged.size;
    const dir = join(place.dir, "state");
    const store = (await import("../../src/jobs/sqlite-store.ts")).openJobStore(dir, {
      queuedMost: 1,
      bytesMost: 2 ** 30,
    });
    if (!store.ok) throw new Error(store.trouble.message);
    for (const [n, id] of acknowledged) {
      const found = store.store.get(id);
      const job = found.kind === "found" ? found.value : undefined;
      const result = store.store.result(id);
      const bytes = Buffer.from((result.kind === "found" ? result.value : undefined) ?? []);
      if (job?.state === "poisoned") {
        books.poisoned += 1;
        if (job.recoveries < 2 || job.attempt < 3)
          books.faults.push(`${id} was poisoned after ${job.attempt} tries`);
      } else if (job?.state !== "done" || JSON.parse(bytes.toString()).n !== n) books.lost += 1;
      if (job?.endedAtMs !== undefined && !existsSync(join(place.dir, "ends", id)))
        books.faults.push(`${id} is ${job.state}, and others were not told before`);
      const told = ends.get(id);
      if (told !== undefined && told !== `${job?.state} ${bytes.toString("base64")}`) books.changed += 1;
    }
    // One job a key, also where the answer to the first call was lost; those of the last burst were told to nobody.
    const { counts } = store.store;
    const stored = Object.values(counts()).reduce((sum, many) => sum + many, 0);
    if (stored < acknowledged.size || stored > acknowledged.size + burstMost)
      books.faults.push(`${stored} jobs are stored for ${acknowledged.size} keys`);
    store.store.close();
  } finally {
    place.stop();
  }
}

test(
  `${kills} kills at random moments: no acknowledged job lost, none shown twice, work taken up within 2 s of the start (fault 35)`,
  async () => {
    const books: Books = {
      killed: 0,
      acknowledged: 0,
      lost: 0,
      duplicated: 0,
      changed: 0,
      poisoned: 0,
      resumed: 0,
      slowestResumeMs: 0,
      faults: [],
    };
    let begun = 0;
    const slow = await slowness();
    await Promise.all(
      Array.from({ length: hostsAtOnce }, async () => {
        while (begun < hosts) {
          begun += 1;
          // Every other host has no service that outlives it.
          await hostsLife(seed + begun, begun % 2 === 0 ? "itself" : "service", slow, books);
        }
      }),
    );
    console.log(`JOB_KILL_SEED=${seed}`, JSON.stringify({ ...books, slow }));
    expect(books.faults).toEqual([]);
    expect(books).toMatchObject({ lost: 0, duplicated: 0, changed: 0 });
    expect(books.killed).toBeGreaterThanOrEqual(kills);
    expect(books.acknowledged).toBeGreaterThan(kills);
    // How many depends on how fast the machine starts them.
    expect(books.resumed).toBeGreaterThan(kills / 50);
    expect(books.slowestResumeMs).toBeLessThanOrEqual(2000);
    measured(
      35,
      `${books.killed} kills of the lane: of ${books.acknowledged} jobs 0 lost, 0 shown twice, taken up within ${Math.round(books.slowestResumeMs)} ms of the start`,
    );
  },
  60_000 + kills * 500,
);
