// The jobs of this host on its disk: every change is one transaction that is synced before it returns, and happens only
// from a state and with a fence that allow it. When to change what is lane.ts's.

import type { Database, SQLQueryBindings } from "bun:sqlite";
import { statSync } from "node:fs";
import type { Job, JobError, JobKind, JobState, JobStatus, JobToDo } from "./job.ts";
import { jobStates, sourcesOf, statesOf, unfinishedStates } from "./job.ts";
import { openJobFile } from "./job-file.ts";
import { ulidOf } from "./job-id.ts";
import type { JobRow } from "./job-row.ts";
import { jobColumns, jobOf } from "./job-row.ts";
import type { HandedOver } from "./runner.ts";
import { unfinishedSql } from "./schema.ts";
import type { Trouble } from "./trouble.ts";
import { troubleIn, troubleOf } from "./trouble.ts";

/** What a door hands in; the rest of a job begins at zero. */
export interface NewJob {
  readonly id: string;
  readonly owner: string | null;
  readonly kind: JobKind;
  readonly model: string;
  readonly ttlMs: number;
  readonly acceptedAtMs: number;
  readonly outputKey: string;
  readonly request: Uint8Array;
}

export interface Idempotency {
  readonly caller: string | null;
  readonly key: string;
  readonly bodyHash: string;
}

export interface Unavailable {
  readonly kind: "unavailable";
  readonly trouble: Trouble;
}

export type Accepted =
  | { readonly kind: "stored"; readonly job: Job }
  /** The key, or the id, is known: nothing was stored. */
  | { readonly kind: "same"; readonly job: Job }
  | { readonly kind: "mismatch" }
  | { readonly kind: "full"; readonly limit: number }
  | Unavailable;

export type Moved =
  | { readonly kind: "moved"; readonly job: Job }
  /** The fence or the state was not as the caller thought: what it is; undefined, it is gone. */
  | { readonly kind: "refused"; readonly job: Job | undefined }
  | Unavailable;

export type Found<T> = { readonly kind: "found"; readonly value: T } | Unavailable;

export interface JobQuery {
  /** Only the jobs of this key name; null, of callers without one; absent, all. */
  readonly owner?: string | null;
  readonly status?: JobStatus;
  /** The id with which the page before ended. */
  readonly after?: string;
  readonly limit: number;
}

export interface JobPage {
  readonly jobs: readonly Job[];
  readonly hasMore: boolean;
}

/** What a move writes beside the state; all of it is the caller's who holds the fence. */
export type Move =
  /** Begins an attempt and takes a new fence. `recovered`: it was found `submitting` after a crash. */
  | { readonly to: "submitting"; readonly recovered?: boolean }
  | { readonly to: "accepted" }
  | { readonly to: "submitted"; readonly handedOver: HandedOver }
  | Ending;

export type Ending =
  | { readonly to: "done"; readonly result: Uint8Array; readonly endedAtMs: number }
  | {
      readonly to: "failed" | "expired" | "poisoned";
      readonly error: JobError;
      readonly endedAtMs: number;
    };

export interface JobStore {
  /** Where a damaged file of before was put. */
  readonly setAside: string | undefined;
  /** The run before did not end by `close`. */
  readonly crashed: boolean;
  accept(job: NewJob, idempotency?: Idempotency): Accepted;
  /** Another host's job, which may have been handed over there. `queuedMost` does not hold for it. */
  adopt(job: NewJob): Accepted;
  get(id: string): Found<Job | undefined>;
  /** With the bytes of the request. */
  toDo(id: string): Found<JobToDo | undefined>;
  /** The bytes of a job that is `done`. */
  result(id: string): Found<Uint8Array | undefined>;
  list(query: JobQuery): Found<JobPage>;
  /** The oldest first. At most as many as may be queued. */
  unfinished(): Found<readonly Job[]>;
  move(id: string, fence: number, move: Move): Moved;
  /** Whoever holds the fence: he will find it changed. */
  cancel(id: string, endedAtMs: number): Moved;
  /** Of a job that is not ended: nothing of it is left. What has ended has been seen, and stays. */
  forget(id: string): Found<"forgotten" | "not-there">;
  /** Forgets up to `atMost` jobs that ended at or before `endedAtMs`, the earliest first; how many it were. */
  sweep(endedAtMs: number, atMost: number): Found<number>;
  counts(): Readonly<Record<JobState, number>>;
  /** Of the jobs that are not ended. */
  oldestAcceptedAtMs(): number | undefined;
  /** From acceptance to result, of the jobs that were done last. */
  recentDurationsMs(atMost: number): readonly number[];
  /** The next start will know that this was no crash. */
  close(): void;
}

export interface StoreLimits {
  /** Jobs that are not ended. */
  readonly queuedMost: number;
  /** Of the file. New jobs are refused above seven eighths of it, so that those inside can still end. */
  readonly bytesMost: number;
}

export type OpenedStore =
  | { readonly ok: true; readonly store: JobStore }
  | { readonly ok: false; readonly trouble: Trouble };

/** A page is at most so long, whatever is asked. */
export const pageMost = 100;

const acceptShare = 7 / 8;
const pageBytes = 4096;

/** The directory is the caller's alone (host/state-dir.ts locks it). */
export function openJobStore(dir: string, limits: StoreLimits): OpenedStore {
  const file = openJobFile(dir, limits.bytesMost);
  if (!file.ok) return file;
  try {
    return { ok: true, store: createStore(file.db, limits, file.setAside) };
  } catch (error) {
    const trouble = troubleIn(error);
    file.db.close();
    return { ok: false, trouble };
  }
}

const inodeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.ino;

function createStore(db: Database, limits: StoreLimits, setAside: string | undefined): JobStore {
  // An open statement keeps the file open and locked beyond `close`.
  const open: { finalize(): void }[] = [];
  const prepare = <R, P extends SQLQueryBindings[]>(sql: string) => {
    const statement = db.prepare<R, P>(sql);
    open.push(statement);
    return statement;
  };
  const rows = <P extends SQLQueryBindings[]>(sql: string) => prepare<JobRow, P>(sql);
  const file = inodeOf(db.filename);
  const begin = prepare("BEGIN IMMEDIATE");
  const commit = prepare("COMMIT");
  const rollback = prepare("ROLLBACK");

  /** Nothing has happened unless this answers what `work` did: the commit is synced by then. */
  function write<T>(work: () => T): T | Unavailable {
    try {
      begin.run();
      const outcome = work();
      commit.run();
      return outcome;
    } catch (error) {
      // Some refusals have rolled back already.
      if (db.inTransaction) rollback.run();
      return { kind: "unavailable", trouble: troubleIn(error) };
    }
  }

  function read<T>(work: () => T): Found<T> {
    try {
      return { kind: "found", value: work() };
    } catch (error) {
      return { kind: "unavailable", trouble: troubleIn(error) };
    }
  }

  const byId = rows<[string]>(`SELECT ${jobColumns} FROM jobs WHERE id = ?`);
  const find = (id: string): Job | undefined => {
    const row = byId.get(id);
    return row === null ? undefined : jobOf(row);
  };

  // Kept beside the table, for counting ten thousand rows at each acceptance would cost more than the acceptance.
  const counts: Record<JobState, number> = {
    accepted: 0,
    submitting: 0,
    submitted: 0,
    done: 0,
    failed: 0,
    expired: 0,
    cancelled: 0,
    poisoned: 0,
  };
  const countByState = prepare<{ many: number }, [string]>(
    "SELECT count(*) AS many FROM jobs WHERE state = ?",
  );
  for (const state of jobStates) counts[state] = countByState.get(state)?.many ?? 0;

  const wasClean = prepare<{ clean: number }, []>("SELECT clean FROM run").get();
  const setClean = prepare<unknown, [number]>("UPDATE run SET clean = ?");
  setClean.run(0);

  const pages = prepare<{ used: number }, []>(
    "SELECT page_count - freelist_count AS used FROM pragma_page_count, pragma_freelist_count",
  );
  const nearlyFull = () => (pages.get()?.used ?? 0) * pageBytes > limits.bytesMost * acceptShare;

  const knownKey = prepare<JobRow & { readonly body_hash: string }, [string, string]>(
    `SELECT body_hash, ${jobColumns} FROM idempotency JOIN jobs USING (n) WHERE caller = ? AND key = ?`,
  );
  const keepKey = prepare<unknown, [string, string, string, number]>(
    "INSERT INTO idempotency (caller, key, body_hash, n) VALUES (?, ?, ?, ?)",
  );
  const insertJob = prepare<
    JobRow & { readonly n: number },
    [string, string, string | null, string, string, number, number, string, number]
  >(
    `INSERT INTO jobs (id, ulid, owner, kind, model, ttl_ms, accepted_at_ms, output_key,
       state, attempt, fence, recoveries)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'accepted', ?, 0, 0) RETURNING n, ${jobColumns}`,
  );
  const insertRequest = prepare<unknown, [number, Uint8Array]>(
    "INSERT INTO requests (n, bytes) VALUES (?, ?)",
  );

  /** `attempt`: hand-overs that may have been begun elsewhere. */
  function add(job: NewJob, queuedMost: number, attempt: number, idempotency?: Idempotency): Accepted {
    const outcome = write((): Accepted => {
      const caller = idempotency?.caller ?? "";
      if (idempotency !== undefined) {
        const known = knownKey.get(caller, idempotency.key);
        if (known !== null)
          return known.body_hash === idempotency.bodyHash
            ? { kind: "same", job: jobOf(known) }
            : { kind: "mismatch" };
      }
      const there = find(job.id);
      if (there !== undefined) return { kind: "same", job: there };
      if (unfinishedStates.reduce((sum, state) => sum + counts[state], 0) >= queuedMost)
        return { kind: "full", limit: queuedMost };
      // SQLite writes on to a file that nobody will find again.
      if (inodeOf(db.filename) !== file) return { kind: "unavailable", trouble: troubleOf("gone") };
      if (nearlyFull())
        return { kind: "unavailable", trouble: troubleOf("disk-full", "the bound of the job file is near") };
      const row = insertJob.get(
        job.id,
        ulidOf(job.id),
        job.owner,
        job.kind,
        job.model,
        Math.round(job.ttlMs),
        Math.round(job.acceptedAtMs),
        job.outputKey,
        attempt,
      );
      if (row === null) throw new Error("An insert has returned no row.");
      insertRequest.run(row.n, job.request);
      if (idempotency !== undefined) keepKey.run(caller, idempotency.key, idempotency.bodyHash, row.n);
      return { kind: "stored", job: jobOf(row) };
    });
    if (outcome.kind === "stored") counts.accepted += 1;
    return outcome;
  }

  const setState = rows<
    [
      string,
      number,
      number,
      number,
      string | null,
      string | null,
      string | null,
      string | null,
      string | null,
      number | null,
      string,
    ]
  >(
    // What is null stays as it is.
    `UPDATE jobs SET state = ?, attempt = attempt + ?, fence = fence + ?, recoveries = recoveries + ?,
       inference_id = coalesce(?, inference_id), output_key = coalesce(?, output_key),
       failure_location = coalesce(?, failure_location),
       error_code = ?, error_message = ?, ended_at_ms = ?
     WHERE id = ? RETURNING ${jobColumns}`,
  );
  const insertResult = prepare<unknown, [Uint8Array, string]>(
    "INSERT INTO results (n, bytes) SELECT n, ? FROM jobs WHERE id = ?",
  );
  // Once there is a result the request, often the larger part, has done its work. The others may be tried anew.
  const dropRequest = prepare<unknown, [string]>(
    "DELETE FROM requests WHERE n = (SELECT n FROM jobs WHERE id = ?)",
  );

  function change(
    id: string,
    fence: number | undefined,
    move: Move | { to: "cancelled"; endedAtMs: number },
  ): Moved {
    let from: JobState | undefined;
    const outcome = write((): Moved => {
      const job = find(id);
      // One connection: nobody can come between this look and the change.
      if (job === undefined || (fence !== undefined && job.fence !== fence)) return { kind: "refused", job };
      if (!sourcesOf(move.to).includes(job.state)) return { kind: "refused", job };
      const begins = move.to === "submitting";
      const handed = move.to === "submitted" ? move.handedOver : undefined;
      const error = "error" in move ? move.error : undefined;
      const row = setState.get(
        move.to,
        begins ? 1 : 0,
        begins || move.to === "cancelled" ? 1 : 0,
        begins && move.recovered === true ? 1 : 0,
        handed?.inferenceId ?? null,
        handed?.outputKey ?? null,
        handed?.failureLocation ?? null,
        error?.code ?? null,
        error?.message ?? null,
        "endedAtMs" in move ? Math.round(move.endedAtMs) : null,
        id,
      );
      if (row === null) throw new Error("An update has returned no row.");
      if (move.to === "done") {
        insertResult.run(move.result, id);
        dropRequest.run(id);
      }
      from = job.state;
      return { kind: "moved", job: jobOf(row) };
    });
    if (outcome.kind === "moved" && from !== undefined) {
      counts[from] -= 1;
      counts[outcome.job.state] += 1;
    }
    return outcome;
  }

  const withRequest = prepare<JobRow & { readonly bytes: Uint8Array }, [string]>(
    `SELECT ${jobColumns}, bytes FROM jobs JOIN requests USING (n) WHERE id = ?`,
  );
  const resultOf = prepare<{ bytes: Uint8Array }, [string]>(
    "SELECT bytes FROM results JOIN jobs USING (n) WHERE id = ?",
  );
  const unfinishedRows = rows<[]>(
    `SELECT ${jobColumns} FROM jobs WHERE state IN (${unfinishedSql}) ORDER BY ulid`,
  );
  const pageOfAll = rows<[string, string, number]>(
    `SELECT ${jobColumns} FROM jobs WHERE state = ? AND ulid < ? ORDER BY ulid DESC LIMIT ?`,
  );
  const pageOfOwner = rows<[string | null, string, string, number]>(
    `SELECT ${jobColumns} FROM jobs WHERE owner IS ? AND state = ? AND ulid < ? ORDER BY ulid DESC LIMIT ?`,
  );

  /** One short walk along an index a state, then the newest of what they found: no walk is longer than a page. */
  function list({ owner, status, after, limit }: JobQuery): JobPage {
    const many = Math.max(1, Math.min(limit, pageMost));
    // Above every digit of an id.
    const below = after === undefined ? "~" : ulidOf(after);
    const found = (status === undefined ? jobStates : statesOf(status)).flatMap((state) =>
      owner === undefined
        ? pageOfAll.all(state, below, many + 1)
        : pageOfOwner.all(owner, state, below, many + 1),
    );
    const jobs = found.map(jobOf).sort((a, b) => (ulidOf(a.id) < ulidOf(b.id) ? 1 : -1));
    return { jobs: jobs.slice(0, many), hasMore: jobs.length > many };
  }

  const ended = prepare<{ n: number; state: JobState }, [number, number]>(
    `SELECT n, state FROM jobs WHERE ended_at_ms IS NOT NULL AND ended_at_ms <= ?
     ORDER BY ended_at_ms LIMIT ?`,
  );
  const deletes = ["jobs", "requests", "results", "idempotency"].map((table) =>
    prepare<unknown, [number]>(`DELETE FROM ${table} WHERE n = ?`),
  );
  const remove = (n: number): void => {
    for (const each of deletes) each.run(n);
  };
  const unfinishedRow = prepare<{ n: number; state: JobState }, [string]>(
    `SELECT n, state FROM jobs WHERE id = ? AND state IN (${unfinishedSql})`,
  );

  // Along an index: a minimum over ten thousand rows would hold the loop for two milliseconds at each look at /health.
  const oldest = prepare<{ at: number }, [string]>(
    "SELECT accepted_at_ms AS at FROM jobs WHERE state = ? ORDER BY ulid LIMIT 1",
  );
  const recent = prepare<{ ms: number }, [number]>(
    `SELECT ended_at_ms - accepted_at_ms AS ms FROM jobs
     WHERE ended_at_ms IS NOT NULL AND state = 'done' ORDER BY ended_at_ms DESC LIMIT ?`,
  );

  return {
    setAside,
    crashed: wasClean?.clean === 0,
    accept: (job, idempotency) => add(job, limits.queuedMost, 0, idempotency),
    adopt: (job) => add(job, Number.POSITIVE_INFINITY, 1),
    get: (id) => read(() => find(id)),
    toDo: (id) =>
      read(() => {
        const row = withRequest.get(id);
        return row === null ? undefined : { ...jobOf(row), request: row.bytes };
      }),
    result: (id) => read(() => resultOf.get(id)?.bytes),
    list: (query) => read(() => list(query)),
    unfinished: () => read(() => unfinishedRows.all().map(jobOf)),
    move: change,
    cancel: (id, endedAtMs) => change(id, undefined, { to: "cancelled", endedAtMs }),
    forget(id) {
      const gone = write(() => {
        const row = unfinishedRow.get(id);
        if (row !== null) remove(row.n);
        return { row };
      });
      if ("kind" in gone) return gone;
      if (gone.row === null) return { kind: "found", value: "not-there" };
      counts[gone.row.state] -= 1;
      return { kind: "found", value: "forgotten" };
    },
    sweep(endedAtMs, atMost) {
      const gone = write(() => {
        const found = ended.all(Math.round(endedAtMs), atMost);
        for (const { n } of found) remove(n);
        return found;
      });
      if ("kind" in gone) return gone;
      for (const { state } of gone) counts[state] -= 1;
      return { kind: "found", value: gone.length };
    },
    counts: () => counts,
    oldestAcceptedAtMs() {
      const found = read(() => unfinishedStates.flatMap((state) => oldest.all(state)));
      return found.kind === "found" && found.value.length > 0
        ? Math.min(...found.value.map(({ at }) => at))
        : undefined;
    },
    recentDurationsMs(atMost) {
      const found = read(() => recent.all(atMost).map(({ ms }) => Math.max(0, ms)));
      return found.kind === "found" ? found.value : [];
    },
    close() {
      // On a full disk the mark is not set, and the next start is the more careful one.
      write(() => setClean.run(1));
      for (const statement of open) statement.finalize();
      db.close();
    },
  };
}
