// What callers ask to have written down is written together with what else has arrived, in one synced transaction: a sync
// each would hold the loop for as long as a crowd keeps asking. Nobody is answered before the commit.

import type { Clock } from "../base/clock.ts";
import type { Rests } from "./rests.ts";
import type { JobStore, Unavailable } from "./store.ts";

export interface TogetherRule {
  /** In one transaction. What is larger alone is written alone. */
  readonly manyMost: number;
  readonly bytesMost: number;
  /** What is left then waits for the next transaction. */
  readonly batchMs: number;
  /** The callers of more are sent away. */
  readonly waitingMost: number;
  readonly waitingBytesMost: number;
}

export const togetherRule: TogetherRule = {
  manyMost: 64,
  bytesMost: 256 * 1024,
  batchMs: 2,
  waitingMost: 1000,
  waitingBytesMost: 64 * 1024 * 1024,
};

/** Nothing was written: too much waits to be. */
export interface Crowded {
  readonly kind: "crowded";
}

export interface Together {
  /**
   * `work` changes the store, and may come to nothing without harm to the others. `bytes`: of what it brings. `written` is
   * called with its answer as soon as that is on the disk. Rejects where one of the two throws, as bugs do.
   */
  write<T>(bytes: number, work: () => T, written: (answer: T) => void): Promise<T | Unavailable | Crowded>;
  /** Writes what waits. What comes later is written at once. */
  stop(): void;
}

interface Waiting {
  readonly bytes: number;
  /** Answers how to tell the caller, once there is a commit. */
  readonly work: () => () => void;
  readonly refuse: (why: Unavailable) => void;
  readonly fail: (error: unknown) => void;
}

export interface TogetherParts {
  readonly store: Pick<JobStore, "together">;
  readonly rests: Rests;
  readonly clock: Pick<Clock, "now">;
  readonly rule?: TogetherRule;
}

export function createTogether({ store, rests, clock, rule = togetherRule }: TogetherParts): Together {
  let waiting: Waiting[] = [];
  let waitingBytes = 0;
  let leaveLine: (() => void) | undefined;
  let isStopped = false;

  function begin(): void {
    if (isStopped) writeAll();
    if (waiting.length === 0 || leaveLine !== undefined) return;
    if (rests.attempt(next)) begin();
    else {
      leaveLine = rests.line(() => {
        leaveLine = undefined;
        next();
        begin();
      });
    }
  }

  function writeAll(): void {
    while (waiting.length > 0) next();
  }

  /** How many of those who wait fit into one transaction. */
  function fitting(): number {
    let bytes = 0;
    const end = waiting.findIndex((each, index) => {
      bytes += each.bytes;
      return index > 0 && (index >= rule.manyMost || bytes > rule.bytesMost);
    });
    return end < 0 ? waiting.length : end;
  }

  function next(): void {
    const batch = waiting.splice(0, fitting());
    const endBy = clock.now() + rule.batchMs;
    let many = batch.length;
    try {
      const done = store.together(() => {
        const worked: { readonly tell: () => void; readonly fail: Waiting["fail"] }[] = [];
        for (const { work, fail } of batch) {
          if (worked.length > 0 && clock.now() >= endBy) break;
          worked.push({ tell: work(), fail });
        }
        return worked;
      });
      if (done.kind === "found") {
        many = done.value.length;
        for (const { tell, fail } of done.value) {
          // It is on the disk: whoever breaks over it is the only one who hears of that.
          try {
            tell();
          } catch (error) {
            fail(error);
          }
        }
      } else for (const { refuse } of batch) refuse(done);
    } catch (error) {
      for (const { fail } of batch) fail(error);
    }
    const left = batch.slice(many);
    if (left.length > 0) waiting = [...left, ...waiting];
    waitingBytes = waiting.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  return {
    async write(bytes, work, written) {
      const isFull = waiting.length >= rule.waitingMost || waitingBytes + bytes > rule.waitingBytesMost;
      if (waiting.length > 0 && isFull) return { kind: "crowded" };
      return await new Promise((resolve, reject) => {
        waiting.push({
          bytes,
          work() {
            const answer = work();
            return () => {
              written(answer);
              resolve(answer);
            };
          },
          refuse: resolve,
          fail: reject,
        });
        waitingBytes += bytes;
        begin();
      });
    },
    stop() {
      isStopped = true;
      leaveLine?.();
      writeAll();
    },
  };
}
