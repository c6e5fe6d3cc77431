// A folder for the job file of a test, and jobs to put into it.

import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openJobStore } from "../../src/jobs/sqlite-store.ts";
import type { JobStore, NewJob, StoreLimits } from "../../src/jobs/store.ts";

export const roomy: StoreLimits = { queuedMost: 1000, bytesMost: 256 * 1024 * 1024 };

export interface JobPlace {
  readonly dir: string;
  /** Throws the trouble's message where there is one. */
  open(limits?: StoreLimits): JobStore;
  /** Another place with the files as they lie on the disk now: what a process finds that starts after a kill. */
  copy(): JobPlace;
  stop(): void;
}

/** In memory where the system has such a folder: what these tests ask does not depend on a disk. */
const parent = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

export function jobPlace(): JobPlace {
  const dir = mkdtempSync(join(parent, "tierline-jobs-"));
  return {
    dir,
    open(limits = roomy) {
      const opened = openJobStore(dir, limits);
      if (!opened.ok) throw new Error(opened.trouble.message);
      return opened.store;
    },
    copy() {
      const other = jobPlace();
      for (const name of ["jobs.db", "jobs.db-wal"])
        if (existsSync(join(dir, name))) copyFileSync(join(dir, name), join(other.dir, name));
      return other;
    },
    stop: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** `at`: the ULID's first digits, so that jobs of a test sort as it says. */
export function newJob(at: number, change: Partial<NewJob> = {}): NewJob {
  const id = `job_gold-1_${String(at).padStart(10, "0")}${"0".repeat(16)}`;
  return {
    id,
    owner: "lobby",
    kind: "chat",
    model: "story-70b",
    ttlMs: 3_600_000,
    acceptedAtMs: 1_767_225_600_000 + at,
    outputKey: `jobs/${id}.out`,
    request: Buffer.from(`{"model":"story-70b","n":${at}}`),
    ...change,
  };
}
