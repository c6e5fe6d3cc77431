// The house as a test: imports go down or stay in their room, and below the waterline nothing touches the world.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { withGraph } from "../scripts/graph.ts";
import {
  breachesIn,
  floorOf,
  floors,
  readImports,
  roomOf,
  sourceFiles,
  waterline,
} from "./support/architecture.ts";

const root = join(import.meta.dir, "..");
const files = await sourceFiles(root);

test("every import of src/ goes to a lower floor or stays in its room, and nothing wet leaks below the waterline", () => {
  expect(files.flatMap(breachesIn)).toEqual([]);
});

test("the reader finds every line of src/ that ends an import or an export from elsewhere", () => {
  let all = 0;
  for (const file of files) {
    const lines = file.text.match(/^(?:(?:import|export)\b.*|\}) from ".*";$/gm)?.length ?? 0;
    if (readImports(file).length < lines)
      throw new Error(`${file.path}: ${lines} imports, not all were read`);
    all += lines;
  }
  expect(all).toBeGreaterThan(files.length);
});

/** What the laws must catch: where the line stands, the line, and what the message names. */
const seeded: readonly (readonly [path: string, text: string, message: string])[] = [
  ["src/fleet/a.ts", 'import { x } from "../routing/route.ts";', "src/fleet/a.ts:1 -> src/routing/route.ts"],
  [
    "src/fleet/a.ts",
    '\nimport type { X } from "../wire/client.ts";',
    "src/fleet/a.ts:2 -> src/wire/client.ts",
  ],
  ["src/routing/balancers/a.ts", 'import { x } from "../../intents/frame.ts";', "on one floor"],
  ["src/wire/a.ts", 'import { x } from "../telemetry/log.ts";', "on one floor"],
  ["src/engines/a.ts", 'export type { X } from "../dispatch/attempt.ts";', "goes up"],
  ["src/engines/a.ts", 'export * from "../http/door.ts";', "goes up"],
  ["src/http/a.ts", 'const m = await import("../cli/run.ts");', "goes up"],
  ["src/http/a.ts", 'type X = import("../app.ts").X;', "goes up"],
  ["src/http/a.ts", 'import {\n  a,\n  b,\n} from "../main.ts";', "src/http/a.ts:4 -> src/main.ts"],
  ["src/http/a.ts", 'import "../app.ts";', "goes up"],
  ["src/config/a.ts", 'import { x } from "../cli/run.ts";', "config/ knows nobody"],
  ["src/config/a.ts", 'import { x } from "../app.ts";', "config/ knows nobody"],
  ["src/misc/a.ts", "", "the room misc has no floor"],
  ["src/http/a.ts", 'import { x } from "../../test/support/recording.ts";', "outside of src/"],
  ["src/base/a.ts", 'import { readFileSync } from "node:fs";', "-> node:fs"],
  ["src/fleet/a.ts", 'import { Database } from "bun:sqlite";', "-> bun:sqlite"],
  ["src/routing/a.ts", 'import pino from "pino";', "-> pino"],
  ["src/fleet/a.ts", "const t = Date.now();", "take a Clock"],
  ["src/fleet/a.ts", "const t = new Date();", "take a Clock"],
  ["src/fleet/a.ts", "const t = performance.now();", "take a Clock"],
  ["src/fleet/a.ts", "const { random } = Math; Math.random();", "take a Random"],
  ["src/fleet/a.ts", "const id = crypto.randomUUID();", "take a Random"],
  ["src/base/a.ts", "setTimeout(go, 1);", "use `after`"],
  ["src/base/a.ts", "setInterval(go, 1);", "use `after`"],
  ["src/base/a.ts", "setImmediate(go);", "use `after`"],
  ["src/routing/a.ts", 'const home = process.env["HOME"];', "-> process"],
  ["src/routing/a.ts", "const bytes = Bun.hash(x);", "-> Bun"],
  ["src/intents/a.ts", "const socket = new WebSocket(url);", "-> WebSocket"],
  ["src/intents/a.ts", "const f = globalThis.x;", "-> globalThis"],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: code in a template is code.
  ["src/intents/a.ts", "const s = `it is ${Date.now()}`;", "take a Clock"],
  ["src/intents/a.ts", 'const s = /["]/.test(x) ? Date.now() : "";', "take a Clock"],
  ["src/routing/a.ts", "await fetch(url);", "wire/client.ts"],
  ["src/http/a.ts", "await fetch(url);", "wire/client.ts"],
  ["src/cli/a.ts", "const get = fetch;", "wire/client.ts"],
  ["src/cli/a.ts", "const parts = { fetch };", "wire/client.ts"],
  ["src/cli/a.ts", "await globalThis.fetch(url);", "wire/client.ts"],
  ["src/cli/a.ts", "await Bun.fetch(url);", "wire/client.ts"],
];

describe("the laws catch", () => {
  for (const [path, text, message] of seeded) {
    test(`${JSON.stringify(text)} in ${path}`, () => {
      expect(breachesIn({ path, text }).join("\n")).toContain(message);
    });
  }
});

const allowed: readonly (readonly [path: string, text: string])[] = [
  ["src/routing/a.ts", 'import type { Tier } from "../fleet/endpoint.ts";'],
  ["src/routing/balancers/a.ts", 'import { x } from "./balancer.ts"; import { y } from "../sla.ts";'],
  ["src/cli/a.ts", 'import { x } from "../config/load.ts"; import { y } from "../app.ts";'],
  ["src/main.ts", 'import { run } from "./cli/run.ts";'],
  ["src/base/clock.ts", "const now = performance.now(); setTimeout(go, 1);"],
  ["src/base/random.ts", "Math.random();"],
  ["src/wire/a.ts", 'import { x } from "node:fs"; const t = Date.now();'],
  ["src/http/a.ts", "Bun.serve({ fetch: (request) => app.fetch(request) });"],
  ["src/fleet/a.ts", "// Date.now() is banned here, and so is fetch(url).\n/* process.env */"],
  ["src/fleet/a.ts", 'const why = "no Date.now() and no fetch() here";'],
  ["src/fleet/a.ts", "const dated = update(processed, prefetched);"],
  ["src/fleet/a.ts", '// from "../http/door.ts"\nconst half = whole / 2; // import("../app.ts")'],
];

describe("the laws allow", () => {
  for (const [path, text] of allowed) {
    test(`${JSON.stringify(text)} in ${path}`, () => {
      expect(breachesIn({ path, text })).toEqual([]);
    });
  }
});

test("every folder of src/ has a floor, and the waterline lies above the mind and below the wires", () => {
  for (const { path } of files) expect([path, floorOf(roomOf(path))]).not.toEqual([path, -1]);
  expect(floors[waterline]).toContain("routing");
  expect(floors[waterline + 1]).toContain("wire");
});

test("docs/ARCHITECTURE.md shows the graph of today; `bun run graph` draws it again", async () => {
  const page = await Bun.file(join(root, "docs/ARCHITECTURE.md")).text();
  expect(withGraph(page, files)).toBe(page);
});
