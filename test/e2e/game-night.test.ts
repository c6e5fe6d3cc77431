// The game night in its short form: everything of it happens and is counted. Figures worth showing come from the long form.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { callClasses } from "../../bench/game-night/cast.ts";
import { planEvening } from "../../bench/game-night/evening.ts";
import type { GameNight } from "../../bench/game-night/results.ts";
import { attainment } from "../../bench/game-night/scores.ts";
import { longRun } from "../support/failures.ts";
import { needsTool } from "../support/needs-tool.ts";

const script = join(import.meta.dir, "../../bench/game-night/game-night.bench.ts");
/** The proxy's half takes as long again, and shows nothing of ours. */
const both = longRun && needsTool("haproxy");
const linux = process.platform === "linux";

const folder = mkdtempSync(join(tmpdir(), "game-night-test-"));
let code: number;
let output: string;
let night: GameNight;

beforeAll(async () => {
  if (!linux) return;
  const only = both ? [] : ["--only", "tierline"];
  const child = Bun.spawn([process.execPath, script, "--short", "--into", folder, ...only], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  output = said.join("\n");
  code = await child.exited;
  const file = readdirSync(folder).find((name) => name.endsWith("-game-night.json"));
  if (file === undefined) throw new Error(`the game night wrote nothing:\n${output}`);
  night = JSON.parse(readFileSync(join(folder, file), "utf8"));
}, 240_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.skipIf(!linux)(
  "a game night: everything planned is done, and every class is asked in every phase",
  () => {
    expect(night.tierline?.trouble).toEqual([]);
    expect(night.phases.map(({ id }) => id)).toEqual(planEvening(true).phases.map(({ id }) => id));
    for (const of of callClasses) {
      const scores = night.tierline?.scores[of];
      const asked = night.phases.map(({ id }) => scores?.phases[id]?.asked ?? 0);
      expect({ of, asked: asked.every((each) => each > 0) }).toEqual({ of, asked: true });
      const sum = asked.reduce((total, each) => total + each, 0);
      expect({ of, asked: scores?.all.asked }).toEqual({ of, asked: sum });
    }
  },
);

test.skipIf(!linux)("a game night loses no quest that was accepted", () => {
  const { asked = 0, accepted = 0, finished, lost } = night.tierline?.quests ?? {};
  expect({ output: code === 0 ? "" : output, lost, finished }).toEqual({
    output: "",
    lost: 0,
    finished: accepted,
  });
  expect(accepted).toBeGreaterThan(asked / 2);
});

// On a small machine engines, routers and callers share two cores: what is late there is the machine's doing.
test.skipIf(!linux)("players and NPCs are served through crashes, overload, partition and restart", () => {
  const { intents, realtime, interactive } = night.tierline?.scores ?? {};
  expect(attainment(interactive?.all)).toBeGreaterThan(0.5);
  expect(attainment(realtime?.all)).toBeGreaterThan(0.5);
  expect(attainment(intents?.all)).toBeGreaterThan(0.4);
});

test.skipIf(!both)("tierline serves more of a game night than a proxy in its place (TIERLINE_LONG=1)", () => {
  for (const of of ["intents", "interactive"] as const) {
    const ours = attainment(night.tierline?.scores[of]?.all);
    expect(ours).toBeGreaterThan(attainment(night.haproxy?.scores[of]?.all));
  }
});

test.skipIf(!linux)("the page and the chart of a game night hold a figure for each phase and class", () => {
  const page = readFileSync(join(folder, "game-night.md"), "utf8");
  for (const { title, what } of night.phases) {
    expect(page).toContain(`| ${title} |`);
    expect(page).toContain(what);
  }
  expect(page).not.toMatch(/NaN|undefined/);
  const chart = readFileSync(join(folder, "game-night.svg"), "utf8");
  expect(chart).not.toMatch(/NaN|undefined/);
  const lines = chart.match(/<polyline/g) ?? [];
  expect(lines).toHaveLength(callClasses.length * (both ? 2 : 1));
  expect(existsSync(join(folder, "game-night.md"))).toBe(true);
});
