// Opening the job file: one connection, every commit on the disk before it returns, a damaged file set aside.

import { Database } from "bun:sqlite";
import { accessSync, constants, existsSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { migrate } from "./schema.ts";
import type { Trouble } from "./trouble.ts";
import { troubleIn, troubleOf } from "./trouble.ts";

export const jobFileName = "jobs.db";

/** A file up to this size is read whole at the start to find damage (about 0.3 ms a MB); a larger one shows it when read. */
const checkedBytesMost = 256 * 1024 * 1024;

/** Pages in the log before they go to the file: the default of 1000 makes one unlucky commit write 4 MB twice. */
const checkpointPages = 256;

const pageBytes = 4096;

export type JobFile =
  | { readonly ok: true; readonly db: Database; readonly setAside: string | undefined }
  | { readonly ok: false; readonly trouble: Trouble };

/** `bytesMost` bounds the file; beyond it SQLite answers as if the disk were full. */
export function openJobFile(dir: string, bytesMost: number): JobFile {
  const path = join(dir, jobFileName);
  const first = open(path, bytesMost);
  if (first.ok || first.trouble.kind !== "corrupt") return first;
  const setAside = putAside(path);
  if (setAside === undefined) return first;
  const second = open(path, bytesMost);
  return second.ok ? { ...second, setAside } : second;
}

function open(path: string, bytesMost: number): JobFile {
  let db: Database | undefined;
  try {
    const isNew = !existsSync(path);
    // SQLite would open it all the same, and then fail for reasons that name no cause.
    if (!isNew && !mayWrite(path)) return { ok: false, trouble: troubleOf("read-only") };
    db = new Database(path, { create: true, readwrite: true, strict: true });
    // Nobody else may even look while we run: the log's index then lives in our memory, not in a shared mapping.
    db.run("PRAGMA locking_mode = EXCLUSIVE");
    db.run("PRAGMA journal_mode = WAL");
    // FULL: the log is synced at each commit. NORMAL may lose the last commits with the power.
    db.run("PRAGMA synchronous = FULL");
    db.run(`PRAGMA wal_autocheckpoint = ${checkpointPages}`);
    db.run(`PRAGMA max_page_count = ${Math.max(1, Math.floor(bytesMost / pageBytes))}`);
    if (!isNew && statSync(path).size <= checkedBytesMost && !isSound(db))
      return closed(db, troubleOf("corrupt"));
    if (migrate(db) === "newer") return closed(db, troubleOf("newer"));
    return { ok: true, db, setAside: undefined };
  } catch (error) {
    const trouble = troubleIn(error);
    return db === undefined ? { ok: false, trouble } : closed(db, trouble);
  }
}

function closed(db: Database, trouble: Trouble): JobFile {
  db.close();
  return { ok: false, trouble };
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error) return false;
    throw error;
  }
}

function isSound(db: Database): boolean {
  const rows = db.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").all();
  return rows[0]?.quick_check === "ok";
}

/** In place of an earlier one. Undefined: it cannot be moved, and stays in the way. */
function putAside(path: string): string | undefined {
  const target = `${path}.set-aside`;
  try {
    renameSync(path, target);
    // The log belongs to the file that is gone; a new file must not find it.
    for (const suffix of ["-wal", "-shm"]) {
      rmSync(target + suffix, { force: true });
      if (existsSync(path + suffix)) renameSync(path + suffix, target + suffix);
    }
    return target;
  } catch (error) {
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}
