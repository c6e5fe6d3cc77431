// The directory in which a router keeps what outlives it: one router at a time, files whole or not at all.

import {
  closeSync,
  constants,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import { libc } from "./libc.ts";

/** The file in which a running router leaves the address of its admin listener. */
export const adminUrlFile = "admin.url";

export interface StateDir {
  /**
   * After this the file is the new one, across a crash too; if it could not be written, or `stop` came first, it is
   * still the old one.
   */
  writeFile(name: string, content: string | Uint8Array, stop?: AbortSignal): Promise<Written>;
  /** A file of more than `mostBytes` is not read. */
  readFile(name: string, mostBytes: number): Promise<FileRead>;
  /** Renames it to `NAME.set-aside`, in place of an earlier one, for somebody to look at. */
  setAside(name: string): Written;
  /** It may be gone already. */
  remove(name: string): Written;
  /** Lets the next router in. */
  close(): void;
}

export type Written = { readonly ok: true } | { readonly ok: false; readonly message: string };

export type FileRead =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly why: "missing" | "too-large" }
  | { readonly ok: false; readonly why: "unreadable"; readonly message: string };

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
    async writeFile(name, content, stop) {
      const path = join(dir, name);
      const unfinished = `${path}.unfinished`;
      try {
        const file = await open(unfinished, "w", 0o600);
        try {
          // Not write, which may write a part and be content.
          await file.writeFile(content);
          await file.sync();
        } finally {
          await file.close();
        }
        if (stop?.aborted) return { ok: false, message: `Cannot write ${path}: it took too long.` };
        await rename(unfinished, path);
        // The new name is in the directory, which is written apart from the file.
        await syncDirectory(dir);
        return { ok: true };
      } catch (error) {
        return { ok: false, message: `Cannot write ${path}: ${reasonOf(error)}.` };
      }
    },
    async readFile(name, mostBytes) {
      const path = join(dir, name);
      try {
        // Opened so that a pipe of that name answers at once, for nobody may ever write to it.
        const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
        try {
          const stat = await file.stat();
          if (!stat.isFile() && !stat.isDirectory())
            return { ok: false, why: "unreadable", message: `Cannot read ${path}: it is no ordinary file.` };
          return stat.size > mostBytes
            ? { ok: false, why: "too-large" }
            : { ok: true, bytes: await file.readFile() };
        } finally {
          await file.close();
        }
      } catch (error) {
        if (errorCode(error) === "ENOENT") return { ok: false, why: "missing" };
        return { ok: false, why: "unreadable", message: `Cannot read ${path}: ${reasonOf(error)}.` };
      }
    },
    setAside: (name) => attempt("rename", join(dir, name), (path) => renameSync(path, `${path}.set-aside`)),
    remove: (name) => attempt("remove", join(dir, name), (path) => rmSync(path, { force: true })),
    close() {
      // The file stays: whoever removed it could remove the one that the next router has just locked.
      ftruncateSync(lock, 0);
      closeSync(lock);
    },
  };
}

function attempt(verb: string, path: string, act: (path: string) => void): Written {
  try {
    act(path);
    return { ok: true };
  } catch (error) {
    return { ok: false, message: `Cannot ${verb} ${path}: ${reasonOf(error)}.` };
  }
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

async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "not permitted",
  ENOTDIR: "a part of the path is a file",
  EEXIST: "there is a file of that name",
  EROFS: "the file system is read-only",
  ENOSPC: "no space left on the device",
  EISDIR: "it is a folder",
  EIO: "the device reports an error",
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
