// The jobs of this host in an SQLite file. One connection: nobody can come between a look and the change that follows it.

import type { Job, JobState } from "./job.ts";
import { jobStates, sourcesOf, statesOf, unfinishedStates } from "./job.ts";
import type { JobFile } from "./job-file.ts";
import { openJobFile, putAside } from "./job-file.ts";
import { newestFirst, ulidOf } from "./job-id.ts";
import type { JobRow } from "./job-row.ts";
import { jobColumns, jobOf } from "./job-row.ts";
import { unfinishedSql } from "./schema.ts";
import { createStateCounts } from "./state-counts.ts";
import type {
  Accepted,
  Idempotency,
  JobPage,
  JobQuery,
  JobStore,
  Move,
  Moved,
  NewJob,
  StoreLimits,
} from "./store.ts";
import { pageMost } from "./store.ts";
import type { Trouble } from "./trouble.ts";
import { troubleIn, troubleOf } from "./trouble.ts";

export type OpenedStore =
  | { readonly ok: true; readonly store: JobStore }
  | { readonly ok: false; readonly trouble: Trouble };

const acceptShare = 7 / 8;

const endless = Number.POSITIVE_INFINITY;

/** Of a job, what the numbers need. */
interface Counted {
  readonly n: number;
  readonly owner: string | null;
  readonly state: JobState;
}

/** The directory is the caller's alone (host/state-dir.ts locks it). A damaged file is set aside and an empty one begun. */
export function openJobStore(dir: string, limits: StoreLimits): OpenedStore {
  const first = openOnce(dir, limits, undefined);
  if (first.ok || first.trouble.kind !== "corrupt") return first;
  const setAside = putAside(dir);
  if (setAside !== undefined) return openOnce(dir, limits, setAside);
  return { ok: false, trouble: troubleOf("cannot-open", "it is damaged, and could not be set aside") };
}

function openOnce(dir: string, limits: StoreLimits, setAside: string | undefined): OpenedStore {
  const opened = openJobFile(dir, limits.bytesMost);
  if (!opened.ok) return opened;
  try {
    return { ok: true, store: createStore(opened.file, limits, setAside) };
  } catch (error) {
    // A large file is not read whole when it is opened, and may show its damage only now.
    const trouble = troubleIn(error);
    opened.file.close();
    return { ok: false, trouble };
  }
}

function createStore(file: JobFile, limits: StoreLimits, setAside: string | undefined): JobStore {
  const { prepare, write, read } = file;
  const rows = <P extends (string | number | null)[]>(sql: string) => prepare<JobRow, P>(sql);

  const byId = rows<[string]>(`SELECT ${jobColumns} FROM jobs WHERE id = ?`);
  const find = (id: string): Job | undefined => {
    const row = byId.get(id);
    return row === null ? undefined : jobOf(row);
  };

  const counts = createStateCounts(file);

  const wasClean = prepare<{ clean: number }, []>("SELECT clean FROM run").get();
  const setClean = prepare<unknown, [number]>("UPDATE run SET clean = ?");
  setClean.run(0);

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
  function add(
    job: NewJob,
    queuedMost: number,
    ownerMost: number,
    attempt: number,
    idempotency?: Idempotency,
  ): Accepted {
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
      if (counts.unfinished() >= queuedMost) return { kind: "full", limit: queuedMost };
      if (counts.unfinishedOf(job.owner) >= ownerMost) return { kind: "full", limit: ownerMost, of: "owner" };
      if (!file.isInPlace()) return { kind: "unavailable", trouble: troubleOf("gone") };
      if (file.usedBytes() > limits.bytesMost * acceptShare)
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
    if (outcome.kind === "stored") counts.moved(job.owner, undefined, "accepted");
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
    if (outcome.kind === "moved" && from !== undefined)
      counts.moved(outcome.job.owner, from, outcome.job.state);
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
    const jobs = found.map(jobOf).sort(newestFirst);
    return { jobs: jobs.slice(0, many), hasMore: jobs.length > many };
  }

  const ended = prepare<Counted, [number, number]>(
    `SELECT n, owner, state FROM jobs WHERE ended_at_ms IS NOT NULL AND ended_at_ms <= ?
     ORDER BY ended_at_ms LIMIT ?`,
  );
  const deletes = ["jobs", "requests", "results", "idempotency"].map((table) =>
    prepare<unknown, [number]>(`DELETE FROM ${table} WHERE n = ?`),
  );
  const remove = (n: number): void => {
    for (const each of deletes) each.run(n);
  };
  const unfinishedRow = prepare<Counted, [string]>(
    `SELECT n, owner, state FROM jobs WHERE id = ? AND state IN (${unfinishedSql})`,
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
    together: (work) => counts.guard(() => write(() => ({ kind: "found", value: work() }) as const)),
    accept: (job, idempotency) =>
      add(job, limits.queuedMost, limits.ownerQueuedMost?.() ?? endless, 0, idempotency),
    adopt: (job) => add(job, endless, endless, 1),
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
      counts.moved(gone.row.owner, gone.row.state, undefined);
      return { kind: "found", value: "forgotten" };
    },
    sweep(endedAtMs, atMost) {
      const gone = write(() => {
        const found = ended.all(Math.round(endedAtMs), atMost);
        for (const { n } of found) remove(n);
        return found;
      });
      if ("kind" in gone) return gone;
      for (const { owner, state } of gone) counts.moved(owner, state, undefined);
      return { kind: "found", value: gone.length };
    },
    counts: () => counts.all,
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
      file.close();
    },
  };
}
