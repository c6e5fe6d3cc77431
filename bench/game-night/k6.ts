// k6 as one of those who play: it carries half of the one-liners, and its own summary is kept.

import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { cast, engines, patience, sla } from "./cast.ts";
import type { Door } from "./doors.ts";
import type { Phase } from "./evening.ts";

export interface K6Result {
  readonly version: string;
  /** What it prints at its end. */
  readonly text: string;
  /** What `--summary-export` writes. */
  readonly summary: unknown;
}

const script = resolve(import.meta.dir, "../k6/game-night.ts");

export const findK6 = (): string | undefined => Bun.which("k6") ?? undefined;

export const k6PerSecond = cast.oneLinersPerSecond / 2;

export interface K6Task {
  readonly k6: string;
  readonly behind: readonly string[];
  readonly folder: string;
  readonly doors: readonly Door[];
  readonly phases: readonly Phase[];
  readonly startsAt: number;
  readonly withRouter: boolean;
}

/** Throws what k6 complains of. */
export async function runK6(task: K6Task): Promise<K6Result> {
  const { k6, behind, folder, doors, phases, startsAt, withRouter } = task;
  const file = join(folder, "k6-summary.json");
  const env = {
    ...process.env,
    TASK: JSON.stringify({
      urls: doors.map(({ urls }) => urls.gold),
      model: withRouter ? "gold" : engines.gold.model,
      tokens: cast.oneLinerTokens,
      perSecond: k6PerSecond,
      inTimeMs: sla.oneLinerMs,
      patienceMs: patience.oneLinerMs,
      startsAt,
      phases: phases.map(({ id, fromMs, toMs }) => ({ id, fromMs, toMs })),
    }),
  };
  const words = ["run", "--quiet", "--no-color", "--no-usage-report", "--address", "127.0.0.1:0"];
  const child = Bun.spawn([...behind, k6, ...words, "--summary-export", file, script], {
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const kill = (): void => child.kill("SIGKILL");
  process.on("exit", kill);
  const [text, complaints] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  await child.exited;
  process.off("exit", kill);
  if (!existsSync(file))
    throw new Error(`k6 wrote no summary: ${complaints.slice(-1_000)}${text.slice(-1_000)}`);
  const version = Bun.spawnSync([k6, "version"]).stdout.toString().trim();
  return { version, text: text.trim(), summary: JSON.parse(readFileSync(file, "utf8")) };
}
