// What this host does about too few descriptors and too little memory, look by look.

import { describe, expect, test } from "bun:test";
import pino from "pino";
import { createHostStrain } from "../src/host-strain.ts";
import { createRegistry } from "../src/telemetry/registry.ts";
import { cacheEntry, scriptedCache } from "./support/scripted-cache.ts";
import { virtualClock } from "./support/virtual-clock.ts";

const everyMs = 250;

function scene() {
  const clock = virtualClock();
  const lines: string[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line).msg) });
  const registry = createRegistry();
  const figures = {
    open: 0,
    used: 0,
    limit: undefined as number | undefined,
    idle: 0,
    portIsFree: true,
    fails: false,
  };
  const done: string[] = [];
  const cache = scriptedCache({ entries: [cacheEntry("a", { bytes: 4_000_000 })] });
  const host = createHostStrain({
    clock,
    log,
    registry,
    caches: [cache],
    descriptors: {
      limit: 1000,
      open: () => figures.open,
      closed: (many) => void done.push(`closed ${many}`),
    },
    memory: {
      limitBytes: () => figures.limit,
      usedBytes() {
        if (figures.fails) throw new Error("no figure");
        return figures.used;
      },
      release: () => void done.push("release"),
    },
    memoryBytes: () => 1000,
    refused: () => undefined,
  });
  host.watch({
    closeIdle() {
      const { idle } = figures;
      figures.open -= idle;
      figures.idle = 0;
      return idle;
    },
    shut: () => void done.push("shut"),
    reopen() {
      done.push("reopen");
      return figures.portIsFree;
    },
  });
  const look = async (change: Partial<typeof figures>) => {
    Object.assign(figures, change);
    await clock.advance(everyMs);
    const { closing, shedding } = host.strain;
    return [closing, shedding];
  };
  return { look, done, lines, cache, registry, clock, host };
}

describe("descriptors", () => {
  test("a limit below 65,536 is warned of at the start", () => {
    expect(scene().lines[0]).toContain("LimitNOFILE");
  });

  test("answers close connections, then requests are refused, then the listener is shut; and back", async () => {
    const { look, done, lines } = scene();
    expect(await look({ open: 399 })).toEqual([false, undefined]);
    expect(await look({ open: 400 })).toEqual([true, undefined]);
    expect(await look({ open: 500 })).toEqual([true, "descriptors"]);
    expect(await look({ open: 750 })).toEqual([true, "descriptors"]);
    expect(done.filter((what) => !what.startsWith("closed"))).toEqual(["shut"]);
    expect(await look({ open: 499 })).toEqual([true, "descriptors"]);
    expect(done.filter((what) => !what.startsWith("closed"))).toEqual(["shut", "reopen"]);
    expect(await look({ open: 449 })).toEqual([true, undefined]);
    expect(await look({ open: 0 })).toEqual([false, undefined]);
    expect(lines.slice(1)).toEqual([
      "short of descriptors: connections closed",
      "short of descriptors: requests refused",
      "short of descriptors: listener shut",
      "less short of descriptors: requests refused",
      "less short of descriptors: connections closed",
      "enough descriptors again",
    ]);
  });

  test("connections that ask nothing are cut before anybody is refused", async () => {
    const { look, done } = scene();
    expect(await look({ open: 600, idle: 150 })).toEqual([true, undefined]);
    expect(await look({ open: 600, idle: 50 })).toEqual([true, "descriptors"]);
    // A count that is not taken anew at each look would take them for open.
    expect(done).toEqual(["closed 150", "closed 50"]);
  });

  test("a listener whose port is taken stays shut, is tried again at each look, and nobody reads that there is enough", async () => {
    const { look, done, lines, registry } = scene();
    await look({ open: 800 });
    const before = lines.length;
    await look({ open: 0, portIsFree: false });
    expect(lines.slice(before)).toEqual([]);
    expect(registry.expose()).toContain('tierline_host_strain{resource="descriptors"} 3');
    await look({ portIsFree: true });
    expect(done.filter((what) => !what.startsWith("closed"))).toEqual(["shut", "reopen", "reopen"]);
    expect(registry.expose()).toContain('tierline_host_strain{resource="descriptors"} 0');
  });
});

describe("memory", () => {
  test("caches are halved, then connections closed, then requests refused; and back", async () => {
    const { look, done, cache } = scene();
    expect(await look({ used: 850 })).toEqual([false, undefined]);
    expect(cache.settings().maxBytes).toBe(2_000_000);
    expect(await look({ used: 920 })).toEqual([true, undefined]);
    expect(await look({ used: 950 })).toEqual([true, "memory"]);
    expect(await look({ used: 899 })).toEqual([true, undefined]);
    expect(await look({ used: 749 })).toEqual([false, undefined]);
    expect(cache.settings().maxBytes).toBe(512_000_000);
    // At each step upwards, and not at each look.
    expect(done).toEqual(["release", "release", "release"]);
  });

  test("what is unused is given back every ten seconds while connections are closed", async () => {
    const { look, done, clock } = scene();
    await look({ used: 930 });
    expect(done).toHaveLength(1);
    await clock.advance(10_000);
    expect(done).toHaveLength(2);
  });

  test("the lower of two limits counts", async () => {
    const { look, registry } = scene();
    expect(await look({ used: 900, limit: 900 })).toEqual([true, "memory"]);
    expect(registry.expose()).toContain('tierline_host_pressure_ratio{resource="memory"} 1');
  });
});

test("a look that fails is not the last", async () => {
  const { look, host } = scene();
  await look({ open: 800, fails: true }).catch(() => undefined);
  expect(await look({ fails: false })).toEqual([true, "descriptors"]);
  host.stop();
});

test("nothing is looked at any more after the end", async () => {
  const { look, host } = scene();
  host.stop();
  expect(await look({ open: 900, used: 990 })).toEqual([false, undefined]);
});
