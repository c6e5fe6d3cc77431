// Why the job file cannot be used, in words. What SQLite or the system refuses is a value; anything else is a bug.

import { SQLiteError } from "bun:sqlite";

export type TroubleKind =
  | "disk-full"
  | "read-only"
  | "device"
  | "corrupt"
  | "cannot-open"
  | "in-use"
  | "gone"
  | "newer";

export interface Trouble {
  readonly kind: TroubleKind;
  /** What happened, what it means, what to do. */
  readonly message: string;
}

const meaning: Readonly<Record<TroubleKind, string>> = {
  "disk-full":
    "The disk under the job file is full. No new jobs are taken. Free some space, or move state.dir.",
  "read-only": "The job file cannot be written. No new jobs are taken. Let this user write to state.dir.",
  device: "The disk under the job file reports errors. No new jobs are taken. Look at the kernel's log.",
  corrupt: "The job file is damaged. No new jobs are taken. A restart sets it aside and begins an empty one.",
  "cannot-open": "The job file cannot be opened. No new jobs are taken. Let this user write to state.dir.",
  "in-use": "Another program has the job file open. No new jobs are taken. Close that program.",
  gone: "The job file was deleted or replaced while it was in use. No new jobs are taken: they would be lost with this process. Restart tierline.",
  newer: "The job file was written by a newer tierline. No new jobs are taken. Start that version again.",
};

/** By the beginning of the extended code, the longest first: SQLITE_IOERR_WRITE is an SQLITE_IOERR. */
const kinds: readonly (readonly [prefix: string, kind: TroubleKind])[] = [
  ["SQLITE_IOERR_CORRUPTFS", "corrupt"],
  ["SQLITE_IOERR", "device"],
  ["SQLITE_FULL", "disk-full"],
  ["SQLITE_READONLY", "read-only"],
  ["SQLITE_PERM", "cannot-open"],
  ["SQLITE_AUTH", "cannot-open"],
  ["SQLITE_CANTOPEN", "cannot-open"],
  ["SQLITE_CORRUPT", "corrupt"],
  ["SQLITE_NOTADB", "corrupt"],
  ["SQLITE_BUSY", "in-use"],
  ["SQLITE_LOCKED", "in-use"],
  ["SQLITE_PROTOCOL", "in-use"],
];

export function troubleOf(kind: TroubleKind, detail?: string): Trouble {
  return { kind, message: detail === undefined ? meaning[kind] : `${meaning[kind]} (${detail})` };
}

/** Rethrows what is not SQLite's or the system's refusal. */
export function troubleIn(error: unknown): Trouble {
  if (error instanceof SQLiteError) {
    const code = error.code ?? "";
    const row = kinds.find(([prefix]) => code.startsWith(prefix));
    if (row !== undefined) return troubleOf(row[1], `${code}: ${error.message}`);
  }
  throw error;
}
