// Takes the caches over a restart: saves them when the router leaves, brings them back, a slice at a time, once the
// next one serves. Nothing here is worth a failed start or a late end: what goes wrong is a line in the log.

import type { CacheName } from "./base/cache-control.ts";
import type { CacheRestore, RestoreRefusal } from "./base/cache-restore.ts";
import type { Clock } from "./base/clock.ts";
import { readSnapshot, snapshotBytesMost, snapshotName, writeSnapshot } from "./host/snapshot-file.ts";
import type { StateDir } from "./host/state-dir.ts";
import type { Log } from "./telemetry/log.ts";

/** A cache that can be written down and read back. */
export interface SavedCache {
  readonly name: CacheName;
  /** The most recently used entries, as many as fit. */
  encode(mostBytes: number): Uint8Array;
  /** `elapsedMs`: how long ago it was saved, by which every entry is older. Checks, and brings nothing back yet. */
  restore(payload: Uint8Array, elapsedMs: number): CacheRestore | RestoreRefusal;
}

export interface Snapshots {
  /** One cache after the other, each until it is whole or forgotten. */
  load(): Promise<void>;
  /** Resolves when all are saved, or at once when `stop` is: what is not on the disk by then stays as it was. */
  save(stop: AbortSignal): Promise<void>;
  /** What was saved of it shall not come back, nor what of it is still being loaded. */
  forget(cache: CacheName): void;
}

export interface SnapshotParts {
  readonly state: StateDir;
  readonly clock: Clock;
  readonly log: Log;
  readonly caches: readonly SavedCache[];
}

const loadRule = {
  /** After so much work others have their turn; a frame of a game lasts 16. */
  sliceMs: 2,
  /** Entries between two looks at the clock; an answer may be a megabyte. */
  stepEntries: 8,
} as const;

export function createSnapshots({ state, clock, log, caches }: SnapshotParts): Snapshots {
  /** What they hold is less than the file does, so the file must stay. */
  const notYetBack = new Set(caches.map(({ name }) => name));
  const pause = (): Promise<void> => new Promise((resolve) => void clock.after(0, resolve));

  const setAside = (cache: CacheName, because: string): void => {
    const moved = state.setAside(snapshotName(cache));
    const found = { cache, because, file: `${snapshotName(cache)}.set-aside` };
    if (moved.ok) log.warn(found, "what was saved of the cache is of no use: set aside, starting empty");
    else log.warn({ cache, because, reason: moved.message }, "what was saved of the cache is of no use");
  };

  const load = async (cache: SavedCache): Promise<void> => {
    const { name } = cache;
    const began = clock.now();
    const read = await readSnapshot(state, name, pause);
    // Cleared meanwhile.
    if (!notYetBack.has(name)) return;
    if (!read.ok) {
      if (read.why === "missing") log.debug({ cache: name }, "nothing was saved of the cache");
      else if (read.why === "unreadable") log.warn({ cache: name, reason: read.message }, "starting empty");
      else setAside(name, read.why);
      return;
    }
    // A clock that was set back makes nothing younger.
    const ageMs = Math.max(0, clock.wallMs() - read.savedAtMs);
    const restore = cache.restore(read.payload, ageMs);
    if (typeof restore === "string") {
      setAside(name, restore);
      return;
    }
    while (takeSlice(restore)) {
      await pause();
      if (!notYetBack.has(name)) return;
    }
    const { restored: entries, dropped } = restore;
    const tookMs = Math.round(clock.now() - began);
    log.info({ cache: name, entries, dropped, age_ms: Math.round(ageMs), took_ms: tookMs }, "cache is back");
  };

  /** False: there is no more. */
  const takeSlice = (restore: CacheRestore): boolean => {
    const until = clock.now() + loadRule.sliceMs;
    while (clock.now() < until) if (!restore.step(loadRule.stepEntries)) return false;
    return true;
  };

  const save = async (cache: SavedCache, stop: AbortSignal): Promise<void> => {
    const { name } = cache;
    if (notYetBack.has(name)) {
      log.info({ cache: name }, "cache not saved: it was not yet back, so the file of before stays");
      return;
    }
    const began = clock.now();
    const payload = cache.encode(snapshotBytesMost);
    const written = await writeSnapshot(state, name, { payload, savedAtMs: clock.wallMs() }, stop);
    const tookMs = Math.round(clock.now() - began);
    if (written.ok) log.info({ cache: name, bytes: payload.length, took_ms: tookMs }, "cache saved");
    else log.warn({ cache: name, reason: written.message }, "cache not saved");
  };

  return {
    async load() {
      try {
        for (const cache of caches) {
          await load(cache);
          notYetBack.delete(cache.name);
        }
      } finally {
        notYetBack.clear();
      }
    },
    async save(stop) {
      const stopped = new Promise<"stopped">((resolve) => {
        if (stop.aborted) resolve("stopped");
        stop.addEventListener("abort", () => resolve("stopped"), { once: true });
      });
      for (const cache of caches) {
        // A disk that hangs must not hold up the end.
        const end = stop.aborted ? "stopped" : await Promise.race([save(cache, stop), stopped]);
        if (end === "stopped") log.warn({ cache: cache.name }, "cache not saved: no time was left");
      }
    },
    forget(cache) {
      notYetBack.delete(cache);
      const removed = state.remove(snapshotName(cache));
      if (removed.ok) return;
      const { message: reason } = removed;
      log.warn({ cache, reason }, "what was saved of the cache is still there, and may come back");
    },
  };
}
