// The caches over a restart: what comes back, what is set aside, and that nobody waits for it.

import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { snapshotName } from "../src/host/snapshot-file.ts";
import type { StateDir } from "../src/host/state-dir.ts";
import type { SavedCache } from "../src/snapshots.ts";
import { createSnapshots } from "../src/snapshots.ts";
import { createLog } from "../src/telemetry/log.ts";
import { cleanup } from "./support/cleanup.ts";
import { statePlace } from "./support/state-place.ts";
import type { VirtualClock } from "./support/virtual-clock.ts";
import { virtualClock } from "./support/virtual-clock.ts";

const ends = cleanup();
const never = (): AbortSignal => new AbortController().signal;

interface TestCache extends SavedCache {
  /** One byte an entry; an odd one is dropped when it comes back. */
  entries: number[];
  readonly restored: { elapsedMs: number }[];
}

/** `stepMs`: what a step costs, on a clock that it moves itself. */
function testCache(name: "intents" | "results", clock: { spent: number }, stepMs = 0): TestCache {
  const restored: { elapsedMs: number }[] = [];
  const cache: TestCache = {
    name,
    entries: [],
    restored,
    encode: (mostBytes) => Uint8Array.from(cache.entries.slice(0, mostBytes)),
    restore(payload, elapsedMs) {
      if (payload[0] === 99) return "foreign-epoch";
      restored.push({ elapsedMs });
      let at = 0;
      let back = 0;
      return {
        get restored() {
          return back;
        },
        get dropped() {
          return Math.min(at, payload.length) - back;
        },
        step(count) {
          clock.spent += stepMs;
          const even = [...payload.subarray(at, at + count)].filter((entry) => entry % 2 === 0);
          cache.entries.push(...even);
          back += even.length;
          at += count;
          return at < payload.length;
        },
      };
    },
  };
  return cache;
}

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

function router({ state }: { readonly state: StateDir }, clock: VirtualClock = virtualClock(), stepMs = 0) {
  const lines: Line[] = [];
  const { log } = createLog("silent");
  const keep = (level: string) => (fields: object, msg: string) => void lines.push({ level, msg, ...fields });
  Object.assign(log, { info: keep("info"), warn: keep("warn") });
  const spending = { spent: 0 };
  const intents = testCache("intents", spending, stepMs);
  const results = testCache("results", spending, stepMs);
  /** How much of the intents was back at each pause. */
  const pausedAt: number[] = [];
  const hooks: { onPause?: () => void } = {};
  const snapshots = createSnapshots({
    state,
    clock: {
      ...clock,
      now: () => clock.now() + spending.spent,
      after(delayMs, action) {
        pausedAt.push(intents.entries.length);
        hooks.onPause?.();
        return clock.after(delayMs, action);
      },
    },
    log,
    caches: [intents, results],
  });
  /** Lets pauses pass until it is done. */
  const through = async (work: Promise<void>): Promise<void> => {
    let done = false;
    const end = work.finally(() => {
      done = true;
    });
    while (!done) await clock.advance(1);
    await end;
  };
  const loggedOf = (cache: string): Line[] => lines.filter((line) => line["cache"] === cache);
  return {
    intents,
    results,
    snapshots,
    clock,
    through,
    loggedOf,
    pausedAt,
    hooks,
    load: () => through(snapshots.load()),
    async save(stop = never()): Promise<void> {
      await snapshots.save(stop);
    },
  };
}

/** It has looked for what was saved. */
async function started(...parts: Parameters<typeof router>): Promise<ReturnType<typeof router>> {
  const one = router(...parts);
  await one.load();
  return one;
}

describe("the caches", () => {
  test("come back after a restart, each with a line that says how much of it, and how old", async () => {
    const place = ends(statePlace());
    const clock = virtualClock();
    const first = await started(place, clock);
    first.intents.entries = [2, 4, 5];
    first.results.entries = [8];
    const savedAtMs = clock.wallMs();
    await first.save();
    expect(first.loggedOf("intents")).toEqual([
      { level: "info", msg: "cache saved", cache: "intents", bytes: 3, took_ms: 0 },
    ]);

    await clock.advance(1500);
    const second = router(place, clock);
    await second.load();
    expect([second.intents.entries, second.results.entries]).toEqual([[2, 4], [8]]);
    // The clock goes on while the disk is slow.
    expect(second.intents.restored[0]?.elapsedMs).toBeWithin(1500, clock.wallMs() - savedAtMs + 1);
    expect(second.loggedOf("intents")).toEqual([
      {
        level: "info",
        msg: "cache is back",
        cache: "intents",
        entries: 2,
        dropped: 1,
        age_ms: expect.any(Number),
        took_ms: expect.any(Number),
      },
    ]);
    expect(second.loggedOf("results")).toMatchObject([{ entries: 1, dropped: 0 }]);
  });

  test("are empty on a first start, which is nothing to speak of", async () => {
    const first = await started(ends(statePlace()));
    expect(first.loggedOf("intents")).toEqual([]);
  });

  test("come back after a crash that followed the start", async () => {
    const place = ends(statePlace());
    const first = await started(place);
    first.intents.entries = [2];
    await first.save();
    await router(place).load();
    const third = router(place);
    await third.load();
    expect(third.intents.entries).toEqual([2]);
  });

  test("have lost no age to a clock that was set back", async () => {
    const place = ends(statePlace());
    const clock = virtualClock();
    const first = await started(place, clock);
    first.intents.entries = [2];
    await first.save();
    clock.stepWallMs(-3_600_000);
    const second = router(place, clock);
    await second.load();
    expect(second.intents.restored).toEqual([{ elapsedMs: 0 }]);
  });

  test("are set aside with a line when they refuse, or the file is damaged, and the others come back", async () => {
    const place = ends(statePlace());
    const first = await started(place);
    first.intents.entries = [99];
    first.results.entries = [8];
    await first.save();
    const second = router(place);
    await second.load();
    expect(second.intents.entries).toEqual([]);
    expect(second.results.entries).toEqual([8]);
    expect(second.loggedOf("intents")).toMatchObject([
      { level: "warn", because: "foreign-epoch", file: "intents.cache.set-aside" },
    ]);

    writeFileSync(join(place.dir, "results.cache"), "nonsense");
    const third = router(place);
    await third.load();
    expect(third.loggedOf("results")).toMatchObject([{ level: "warn", because: "damaged" }]);
    expect(readdirSync(place.dir).sort()).toEqual([
      "intents.cache.set-aside",
      "lock",
      "results.cache.set-aside",
    ]);
  });

  test("start empty, with a line, where the file can be neither read nor set aside", async () => {
    const place = ends(statePlace());
    mkdirSync(join(place.dir, "intents.cache"));
    writeFileSync(join(place.dir, "results.cache"), "nonsense");
    mkdirSync(join(place.dir, "results.cache.set-aside"));
    const one = router(place);
    await one.load();
    expect(one.loggedOf("intents")).toMatchObject([
      { level: "warn", reason: expect.stringContaining("folder") },
    ]);
    expect(one.loggedOf("results")).toMatchObject([
      { level: "warn", because: "damaged", reason: expect.stringContaining("rename") },
    ]);
  });

  test("say so when what was saved of them cannot be removed", () => {
    const place = ends(statePlace());
    mkdirSync(join(place.dir, "intents.cache"));
    const one = router(place);
    one.snapshots.forget("intents");
    expect(one.loggedOf("intents")).toMatchObject([
      { level: "warn", reason: expect.stringContaining("Cannot remove") },
    ]);
  });

  test("meet arbitrary bytes without an exception", async () => {
    const place = ends(statePlace());
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 80 }), async (bytes) => {
        writeFileSync(join(place.dir, "intents.cache"), bytes);
        const one = router(place);
        await one.load();
        expect(one.loggedOf("intents")).toMatchObject([{ level: "warn", because: "damaged" }]);
      }),
      { numRuns: 50 },
    );
  });
});

describe("loading", () => {
  test("works for 2 ms at a time, then lets others have their turn", async () => {
    const place = ends(statePlace());
    const first = await started(place);
    first.intents.entries = Array<number>(8 * 20).fill(2);
    await first.save();
    const second = router(place, virtualClock(), 1);
    await second.load();
    expect(second.intents.entries).toHaveLength(8 * 20);
    // Two steps of 1 ms a slice.
    const slices = second.pausedAt.filter((entries) => entries > 0);
    expect(slices).toEqual(Array.from({ length: 9 }, (_, index) => 16 * (index + 1)));
  });

  test("ends where the cache is cleared, and what was cleared does not come back later", async () => {
    const place = ends(statePlace());
    const first = await started(place);
    first.intents.entries = Array<number>(64).fill(2);
    await first.save();
    const second = router(place, virtualClock(), 1);
    second.hooks.onPause = () => {
      if (second.intents.entries.length === 0) return;
      second.intents.entries = [];
      second.snapshots.forget("intents");
    };
    await second.load();
    expect(second.intents.entries).toEqual([]);
    expect(existsSync(join(place.dir, snapshotName("intents")))).toBe(false);
  });

  test("that a drain overtakes, or comes before, leaves the file of before", async () => {
    const place = ends(statePlace());
    const first = await started(place);
    first.intents.entries = [2, 4];
    await first.save();
    await router(place).save();
    const second = router(place);
    const loading = second.snapshots.load();
    await second.save();
    await second.through(loading);
    const third = router(place);
    await third.load();
    expect(third.intents.entries).toEqual([2, 4]);
  });
});

describe("saving", () => {
  test("stops when time is up, and the files of before stay", async () => {
    const place = ends(statePlace());
    const first = await started(place);
    first.intents.entries = [2];
    await first.save();
    first.intents.entries = [4];
    await first.save(AbortSignal.abort());
    const stop = new AbortController();
    const saving = first.save(stop.signal);
    stop.abort();
    await saving;
    expect(first.loggedOf("intents").at(-1)).toMatchObject({
      level: "warn",
      msg: expect.stringContaining("no time was left"),
    });
    const second = router(place);
    await second.load();
    expect(second.intents.entries).toEqual([2]);
  });

  test("that fails is a line in the log", async () => {
    const place = ends(statePlace());
    mkdirSync(join(place.dir, "intents.cache.unfinished"));
    const first = await started(place);
    await first.save();
    expect(first.loggedOf("intents")).toMatchObject([{ level: "warn", msg: "cache not saved" }]);
    expect(first.loggedOf("results")).toMatchObject([{ level: "info", msg: "cache saved" }]);
  });
});
