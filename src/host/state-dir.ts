// The directory in which a router keeps what outlives it: one router at a time, files whole or not at all.

import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { libc } from "./libc.ts";

/** The file in which a running router leaves the address of its admin listener. */
export const adminUrlFile = "admin.url";

export interface StateDir {
  /** After this the file is the new one, across a crash too; if it could not be written, it is still the old one. */
  writeFile(name: string, text: string): Written;
  /** It may be gone already. */
  remove(name: string): void;
  /** Lets the next router in. */
  close(): void;
}

export type Written = { readonly ok: true } | { readonly ok: false; readonly message: string };

export type Opened =
  | { readonly ok: true; readonly state: StateDir }
  | { readonly ok: false; readonly message: string };

const lockFile = "lock";

/** Creates the directory where it is missing, for this user only. The refusal is a sentence for the operator. */
export function openStateDir(dir: string): Opened {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const lock = openSync(join(dir, lockFile), "a+", 0o600);
    if (!takeLock(lock, join(dir, lockFile))) {
      closeSync(lock);
      return { ok: false, message: heldBy(dir, pidIn(join(dir, lockFile))) };
    }
    ftruncateSync(lock, 0);
    writeSync(lock, `${process.pid}\n`);
    return { ok: true, state: stateDir(dir, lock) };
  } catch (error) {
    const why = `Cannot use ${dir} as state.dir: ${reasonOf(error)}.`;
    return {
      ok: false,
      message: `${why} Make it a directory that this user may write, or set another state.dir.`,
    };
  }
}

function stateDir(dir: string, lock: number): StateDir {
  return {
    writeFile(name, text) {
      const unfinished = join(dir, `${name}.unfinished`);
      try {
        const file = openSync(unfinished, "w", 0o600);
        try {
          // Not writeSync, which may write a part and be content.
          writeFileSync(file, text);
          fsyncSync(file);
        } finally {
          closeSync(file);
        }
        renameSync(unfinished, join(dir, name));
        // The new name is in the directory, which is written apart from the file.
        syncDirectory(dir);
        return { ok: true };
      } catch (error) {
        return { ok: false, message: `Cannot write ${join(dir, name)}: ${reasonOf(error)}.` };
      }
    },
    remove(name) {
      try {
        rmSync(join(dir, name), { force: true });
      } catch (error) {
        // On a disk that has become read-only it stays, and whoever reads it finds nobody there.
        reasonOf(error);
      }
    },
    close() {
      // The file stays: whoever removed it could remove the one that the next router has just locked.
      ftruncateSync(lock, 0);
      closeSync(lock);
    },
  };
}

const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * The kernel drops a flock with the process that held it, however it ended. Without flock (not Linux) the process
 * id in the file has to do: a router that was killed leaves one behind, which counts only while such a process runs.
 */
function takeLock(lock: number, path: string): boolean {
  const c = libc();
  if (c !== undefined) return c.flock(lock, LOCK_EX | LOCK_NB) === 0;
  const pid = pidIn(path);
  return pid === undefined || pid === process.pid || !isRunning(pid);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Not ours to signal is still running.
    return errorCode(error) === "EPERM";
  }
}

function pidIn(path: string): number | undefined {
  const pid = Number.parseInt(readFileSync(path, "utf8"), 10);
  return pid > 0 ? pid : undefined;
}

function heldBy(dir: string, pid: number | undefined): string {
  const other = pid === undefined ? "Another router" : `Another router (process ${pid})`;
  return `${other} already uses the state.dir ${dir}. Stop it, or give this router a state.dir of its own.`;
}

function syncDirectory(dir: string): void {
  const handle = openSync(dir, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "not permitted",
  ENOTDIR: "a part of the path is a file",
  EEXIST: "there is a file of that name",
  EROFS: "the file system is read-only",
  ENOSPC: "no space left on the device",
};

/** What the system said. Anything that is not its refusal is a bug and goes on. */
function reasonOf(error: unknown): string {
  const code = errorCode(error);
  if (code === undefined) throw error;
  return reasons[code] ?? code;
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
