// `tierline cache …` before scripted routers: what it asks, what it prints, how it exits.

import { describe, expect, test } from "bun:test";
import { fakeRouters } from "./fake-router.ts";
import { tierline } from "./fake-terminal.ts";

const listener = fakeRouters();

const nothing = {
  enabled: true,
  entries: 0,
  max_entries: 1000,
  bytes: 0,
  max_bytes: 512_000_000,
  peak_bytes: 0,
  hits: 0,
  misses: 0,
  stale_hits: 0,
  joins: 0,
  evictions: 0,
  expirations: 0,
  hit_rate: 0,
};
const stats = {
  intents: { ...nothing, entries: 12_345, bytes: 1_234_567, peak_bytes: 2_000, hits: 97, hit_rate: 0.97 },
  results: { ...nothing, enabled: false, bytes: 12 },
};
const settings = {
  intents: { enabled: true, max_entries: 1_000_000, max_memory_mb: 256, ttl_seconds: 1 },
  results: { enabled: false, max_entries: 1000, max_memory_mb: 512.5, ttl_seconds: 60 },
};

describe("cache stats", () => {
  test("prints a line for each figure and a column for each cache", async () => {
    const { url, seen } = listener({ body: stats });
    expect(await tierline(["cache", "stats", "--admin", url])).toEqual({
      exit: 0,
      err: "",
      out: `              intents   results
enabled           yes        no
entries        12,345         0
max_entries     1,000     1,000
bytes          1.2 MB      12 B
max_bytes    512.0 MB  512.0 MB
peak_bytes     2.0 kB       0 B
hits               97         0
misses              0         0
stale_hits          0         0
joins               0         0
evictions           0         0
expirations         0         0
hit_rate       97.0 %     0.0 %
`,
    });
    expect(seen[0]).toMatchObject({ method: "GET", path: "/api/cache/stats" });
  });

  test("--json hands on what the router said", async () => {
    const body = { ...stats, more: 1 };
    const { url } = listener({ body });
    const { exit, out } = await tierline(["cache", "stats", "--json", "--admin", url]);
    expect(exit).toBe(0);
    expect(JSON.parse(out)).toEqual(body);
  });
});

describe("cache config", () => {
  test("shows the settings of both caches, or of the one that is named", async () => {
    const { url, seen } = listener({ body: settings });
    const { out } = await tierline(["cache", "config", "--admin", url]);
    expect(out).toBe(`                 intents  results
enabled              yes       no
max_entries    1,000,000    1,000
max_memory_mb        256    512.5
ttl_seconds            1       60
`);
    const one = await tierline(["cache", "config", "--cache", "results", "--admin", url]);
    expect(one.out.split("\n")[1]).toBe("enabled             no");
    expect(seen.map(({ method }) => method)).toEqual(["GET", "GET"]);
  });

  test("changes what its options name, and nothing else", async () => {
    const { url, seen } = listener({ body: settings });
    const args = ["--max-entries", "5", "--max-memory-mb", "0.5", "--ttl-seconds", "2", "--enabled", "false"];
    const ran = await tierline(["cache", "config", "--cache", "results", ...args, "--admin", url]);
    expect(ran.exit).toBe(0);
    expect(seen[0]).toMatchObject({ method: "POST", path: "/api/cache/config", type: "application/json" });
    expect(JSON.parse(seen[0]?.body ?? "")).toEqual({
      cache: "results",
      max_entries: 5,
      max_memory_mb: 0.5,
      ttl_seconds: 2,
      enabled: false,
    });
    await tierline(["cache", "config", "--cache", "intents", "--enabled", "true", "--admin", url]);
    expect(JSON.parse(seen[1]?.body ?? "")).toEqual({ cache: "intents", enabled: true });
  });

  test.each([
    [
      ["--max-entries", "5"],
      2,
      "tierline cache config: say whose settings to change: --cache intents or results.\n",
    ],
    [["--cache", "both"], 64, 'There is no cache "both"; there are intents and results.\n'],
    [["--cache", "results", "--ttl-seconds", "1m"], 64, '--ttl-seconds needs a number, not "1m".\n'],
    [["--cache", "results", "--enabled", "no"], 64, '--enabled needs true or false, not "no".\n'],
  ])("refuses %p without asking the router", async (args, exit, err) => {
    const { url, seen } = listener({ body: settings });
    expect(await tierline(["cache", "config", ...args, "--admin", url])).toEqual({ exit, out: "", err });
    expect(seen).toEqual([]);
  });

  test("exits 64 with the router's own words where a value is out of range, 1 where the router fails", async () => {
    const detail = "max_entries must be a whole number from 1 to 10000000, not 0.";
    const args = ["cache", "config", "--cache", "results", "--max-entries", "0", "--admin"];
    const refusing = listener({ status: 400, body: { title: "Invalid request", detail } });
    expect(await tierline([...args, refusing.url])).toEqual({
      exit: 64,
      out: "",
      err: `The router at ${refusing.url} refused (400): Invalid request: ${detail}\n`,
    });
    const failing = listener({ status: 500, body: {} });
    expect(await tierline([...args, failing.url])).toMatchObject({ exit: 1 });
  });
});

describe("cache clear", () => {
  test("clears everything where nothing is named", async () => {
    const { url, seen } = listener({ body: { cleared: 1 } });
    expect(await tierline(["cache", "clear", "--admin", url])).toEqual({
      exit: 0,
      out: "Cleared 1 entry.\n",
      err: "",
    });
    expect(JSON.parse(seen[0]?.body ?? "")).toEqual({ reset_stats: false, local: false });
  });

  test.each([
    [0, "Cleared 0 entries.\n"],
    [1, "Cleared 0 entries here; told 1 peer.\n"],
    [1500, "Cleared 0 entries here; told 1,500 peers.\n"],
  ])("says that %d peers were told", async (told, out) => {
    const { url } = listener({ body: { cleared: 0, told } });
    expect(await tierline(["cache", "clear", "--admin", url])).toMatchObject({ exit: 0, out });
  });

  test("hands on what is named", async () => {
    const { url, seen } = listener({ body: { cleared: 1200 } });
    const args = [
      "--cache",
      "intents",
      "--archetype",
      "guard",
      "--prefix",
      "guard/1",
      "--reset-stats",
      "--local",
    ];
    const { out } = await tierline(["cache", "clear", ...args, "--admin", url]);
    expect(out).toBe("Cleared 1,200 entries.\n");
    expect(JSON.parse(seen[0]?.body ?? "")).toEqual({
      cache: "intents",
      archetype: "guard",
      prefix: "guard/1",
      reset_stats: true,
      local: true,
    });
  });
});

describe("cache entries", () => {
  const entry = { key: "guard/7", bytes: 96, age_ms: 1234, ttl_ms: 0, hits: 3, last_hit_ms: 20 };
  const other = { ...entry, key: "wolf/1", bytes: 1500, ttl_ms: 300_000, hits: 0, last_hit_ms: null };

  test("prints a line for each, and how to go on", async () => {
    const { url, seen } = listener({ body: { data: [entry, other], next: "wolf/1" } });
    const args = ["--cache", "intents", "--limit", "2", "--prefix", "a b", "--after", "x/1"];
    expect(await tierline(["cache", "entries", ...args, "--admin", url])).toEqual({
      exit: 0,
      err: "",
      out: `key       bytes    age  fresh for  hits   last hit
guard/7    96 B  1.2 s      stale     3  20 ms ago
wolf/1   1.5 kB  1.2 s      5 min     0      never
More behind this: --after wolf/1
`,
    });
    expect(seen[0]?.path).toBe("/api/cache/entries?cache=intents&limit=2&after=x%2F1&prefix=a+b");
  });

  test("says so where there are none", async () => {
    const { url } = listener({ body: { data: [], next: null } });
    const { exit, out } = await tierline(["cache", "entries", "--cache", "results", "--admin", url]);
    expect({ exit, out }).toEqual({ exit: 0, out: "No entries.\n" });
  });
});
