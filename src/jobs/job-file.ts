// The job file: one connection, every commit on the disk before it returns, every refusal a value, damage found and
// remembered. What is in it is sqlite-store.ts's.

import type { SQLQueryBindings } from "bun:sqlite";
import { Database } from "bun:sqlite";
import { accessSync, constants, existsSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { migrate } from "./schema.ts";
import type { Found, Unavailable } from "./store.ts";
import type { Trouble } from "./trouble.ts";
import { troubleIn, troubleOf } from "./trouble.ts";

export const jobFileName = "jobs.db";

/** Beside the file: damage showed while it was in use. */
const damageMark = ".damaged";

/** A file up to this size is read whole at the start to find damage (about 0.3 ms a MB); a larger one shows it when read. */
const checkedBytesMost = 256 * 1024 * 1024;

/** Pages in the log before they go to the file: the default of 1000 makes one unlucky commit write 4 MB twice. */
const checkpointPages = 256;

const pageBytes = 4096;

export interface JobFile {
  prepare<Row, Asked extends SQLQueryBindings[]>(
    sql: string,
  ): ReturnType<typeof Database.prototype.prepare<Row, Asked>>;
  /**
   * Nothing has happened unless this answers what `work` did: the commit is synced by then. Inside another's `work` it is
   * part of that, and stands or falls with it.
   */
  write<T>(work: () => T): T | Unavailable;
  read<T>(work: () => T): Found<T>;
  /** Whether the file is still where it was opened: SQLite writes on to one that nobody will find again. */
  isInPlace(): boolean;
  /** Without the pages that are free again. */
  usedBytes(): number;
  close(): void;
}

export type OpenedFile =
  | { readonly ok: true; readonly file: JobFile }
  | { readonly ok: false; readonly trouble: Trouble };

/** `bytesMost` bounds the file; beyond it SQLite answers as if the disk were full. */
export function openJobFile(dir: string, bytesMost: number): OpenedFile {
  const path = join(dir, jobFileName);
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
    const isDoubted = existsSync(path + damageMark);
    if (!isNew && (isDoubted || statSync(path).size <= checkedBytesMost) && !isSound(db, isDoubted))
      return closed(db, troubleOf("corrupt"));
    if (isDoubted) isDone(() => rmSync(path + damageMark, { force: true }));
    if (migrate(db) === "newer") return closed(db, troubleOf("newer"));
    return { ok: true, file: createFile(db, path) };
  } catch (error) {
    const trouble = troubleIn(error);
    return db === undefined ? { ok: false, trouble } : closed(db, trouble);
  }
}

const inodeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.ino;

function createFile(db: Database, path: string): JobFile {
  // An open statement keeps the file open and locked beyond `close`.
  const open: { finalize(): void }[] = [];
  const prepare: JobFile["prepare"] = <Row, Asked extends SQLQueryBindings[]>(sql: string) => {
    const statement = db.prepare<Row, Asked>(sql);
    open.push(statement);
    return statement;
  };
  const inode = inodeOf(path);
  let isWriting = false;
  const begin = prepare("BEGIN IMMEDIATE");
  const commit = prepare("COMMIT");
  const rollback = prepare("ROLLBACK");
  const pages = prepare<{ used: number }, []>(
    "SELECT page_count - freelist_count AS used FROM pragma_page_count, pragma_freelist_count",
  );

  const unavailable = (error: unknown): Unavailable => {
    const trouble = troubleIn(error);
    if (trouble.kind === "corrupt") mark(path);
    return { kind: "unavailable", trouble };
  };

  return {
    prepare,
    write(work) {
      if (isWriting) return work();
      isWriting = true;
      try {
        begin.run();
        const outcome = work();
        commit.run();
        return outcome;
      } catch (error) {
        // Some refusals have rolled back already.
        if (db.inTransaction) rollback.run();
        return unavailable(error);
      } finally {
        isWriting = false;
      }
    },
    read(work) {
      try {
        return { kind: "found", value: work() };
      } catch (error) {
        return unavailable(error);
      }
    },
    isInPlace: () => inodeOf(path) === inode,
    usedBytes: () => (pages.get()?.used ?? 0) * pageBytes,
    close() {
      for (const statement of open) statement.finalize();
      db.close();
    },
  };
}

function closed(db: Database, trouble: Trouble): OpenedFile {
  db.close();
  return { ok: false, trouble };
}

const mayWrite = (path: string): boolean => isDone(() => accessSync(path, constants.W_OK));

/** So that the next start reads the file whole. Where even that cannot be written, it goes by the file's size. */
const mark = (path: string): boolean => isDone(() => writeFileSync(path + damageMark, ""));

function isSound(db: Database, isDoubted: boolean): boolean {
  const check = isDoubted ? "integrity_check" : "quick_check";
  return db.query<Record<string, string>, []>(`PRAGMA ${check}(1)`).get()?.[check] === "ok";
}

/** In place of an earlier one. Answers where it is now; undefined: it cannot be moved, and stays in the way. */
export function putAside(dir: string): string | undefined {
  const path = join(dir, jobFileName);
  const target = `${path}.set-aside`;
  const isAside = isDone(() => {
    renameSync(path, target);
    // The log belongs to the file that is gone; a new file must not find it.
    for (const suffix of ["-wal", "-shm"]) {
      rmSync(target + suffix, { force: true });
      if (existsSync(path + suffix)) renameSync(path + suffix, target + suffix);
    }
    rmSync(path + damageMark, { force: true });
  });
  return isAside ? target : undefined;
}

/** False where the system refuses. */
function isDone(act: () => void): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error) return false;
    throw error;
  }
}
