// An object store in memory that keeps S3's conditions, and that a test can make fail.

import type { CallTrouble, Objects } from "../../src/jobs/objects.ts";

export interface MemoryObjects extends Objects {
  /** Keys in the order of their bytes. */
  keys(): readonly string[];
  text(key: string): string | undefined;
  /** As a rule of the bucket's lifecycle does. */
  remove(key: string): void;
  /** The next calls come back with it, or come back with it though they were done. */
  fail(trouble: CallTrouble["trouble"], times: number, though?: "done"): void;
  /** Runs before each put that is done. */
  beforePut: ((key: string) => Promise<void> | void) | undefined;
}

export function memoryObjects(pageMost = 1000): MemoryObjects {
  const all = new Map<string, { readonly bytes: Uint8Array; readonly etag: string }>();
  let failing: { readonly answer: CallTrouble; left: number; readonly isDone: boolean } | undefined;
  let versions = 0;

  const troubled = <Answer>(answer: () => Answer): Answer | CallTrouble => {
    if (failing === undefined || failing.left === 0) return answer();
    failing.left -= 1;
    if (failing.isDone) answer();
    return failing.answer;
  };

  const memory: MemoryObjects = {
    beforePut: undefined,
    keys: () => [...all.keys()].sort(),
    text(key) {
      const found = all.get(key);
      return found === undefined ? undefined : Buffer.from(found.bytes).toString("utf8");
    },
    remove: (key) => void all.delete(key),
    fail(trouble, times, though) {
      failing = {
        answer: { kind: "trouble", trouble, why: "as asked for" },
        left: times,
        isDone: though === "done",
      };
    },
    isSurelyMissing: async ({ key }) => !all.has(key),
    get: async ({ key }, bytesMost) =>
      troubled(() => {
        const found = all.get(key);
        if (found === undefined) return { kind: "missing" };
        const bytes = found.bytes.byteLength;
        return bytes > bytesMost ? { kind: "too-large", bytes } : { kind: "found", ...found };
      }),
    async put({ key }, bytes, condition) {
      await memory.beforePut?.(key);
      return troubled(() => {
        const before = all.get(key)?.etag;
        const isOvertaken =
          (condition === "absent" && before !== undefined) ||
          (typeof condition === "object" && condition.etag !== before);
        if (isOvertaken) return { kind: "overtaken" };
        versions += 1;
        const etag = `"${versions}"`;
        all.set(key, { bytes: bytes.slice(), etag });
        return { kind: "stored" };
      });
    },
    list: async ({ key: prefix }, after = "") =>
      troubled(() => {
        const keys = memory.keys().filter((key) => key.startsWith(prefix) && key > after);
        return { kind: "listed", keys: keys.slice(0, pageMost), isCut: keys.length > pageMost };
      }),
  };
  return memory;
}
