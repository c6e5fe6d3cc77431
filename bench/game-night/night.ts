// One evening from the first engine to the last answer: builds the town, lets everybody play, does what the evening has in
// store, and brings home what was written down.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { linesOf } from "../../playground/dev/decoded.ts";
import { cast } from "./cast.ts";
import type { DriverReport, DriverTask } from "./driver.ts";
import type { Evening } from "./evening.ts";
import type { Front, FrontParts } from "./front.ts";
import type { Ground } from "./ground.ts";
import { watchIdle } from "./headroom.ts";
import type { K6Result } from "./k6.ts";
import { k6PerSecond, runK6 } from "./k6.ts";
import { createProcesses } from "./processes.ts";
import type { NightResult } from "./results.ts";
import type { Town } from "./town.ts";
import { openTown } from "./town.ts";

export interface NightPlan {
  readonly evening: Evening;
  readonly ground: Ground;
  readonly makeFront: (parts: FrontParts) => Front;
  readonly withRouter: boolean;
  /** Configurations, logs and state. */
  readonly folder: string;
  /** Undefined: the players say its lines as well. */
  readonly k6: string | undefined;
  readonly tell: (line: string) => void;
}

const casts = ["npcs", "players"] as const satisfies readonly DriverTask["plays"][];

export async function playNight(plan: NightPlan): Promise<NightResult> {
  const { evening, ground, withRouter, folder, k6, tell } = plan;
  const { phases, warmUpMs } = evening;
  mkdirSync(folder, { recursive: true });
  const processes = createProcesses(join(folder, "logs"), {
    PATH: process.env["PATH"] ?? "",
    AWS_EC2_METADATA_DISABLED: "true",
  });
  const drivers: Driver[] = [];
  try {
    const town = await openTown(ground, processes, plan.makeFront, folder);
    const oneLinersPerSecond = cast.oneLinersPerSecond - (k6 === undefined ? 0 : k6PerSecond);
    for (const plays of casts) {
      const task: DriverTask = { plays, doors: town.doors, phases, withRouter, oneLinersPerSecond };
      drivers.push(await startDriver(ground.callers, task));
    }
    const startsAt = Date.now() + warmUpMs;
    const idle = watchIdle();
    for (const driver of drivers) driver.go(startsAt);
    const [{ trouble, restartMs }, summary, reports] = await Promise.all([
      happen(evening, town, startsAt, tell),
      k6 === undefined
        ? undefined
        : runK6({ k6, behind: ground.callers, folder, doors: town.doors, phases, startsAt, withRouter }),
      Promise.all(drivers.map((driver) => driver.report())),
    ]);
    const [npcs, players] = reports;
    if (npcs === undefined || players?.quests === undefined)
      throw new Error("somebody has written nothing down");
    return {
      scores: { ...npcs.scores, ...players.scores },
      quests: players.quests,
      lag: { npcs: npcs.lag, players: players.lag },
      idleShare: idle(),
      restartMs,
      trouble,
      ...(summary === undefined ? {} : { k6: summary satisfies K6Result }),
    };
  } finally {
    for (const driver of drivers) driver.stop();
    ground.partition?.heal();
    await processes.stop();
  }
}

/** Everything at its time. What could not be done is told, and the evening goes on. */
async function happen(
  { acts, phases }: Evening,
  town: Town,
  startsAt: number,
  tell: (line: string) => void,
): Promise<Pick<NightResult, "trouble" | "restartMs">> {
  const trouble: string[] = [];
  let restartMs = 0;
  const until = (atMs: number): Promise<void> => Bun.sleep(Math.max(0, startsAt + atMs - Date.now()));
  const telling = (async () => {
    for (const { title, fromMs } of phases) {
      await until(fromMs);
      tell(`  ${String(fromMs / 1_000).padStart(3)} s  ${title}`);
    }
  })();
  const doing = acts.map(async ({ atMs, act }) => {
    await until(atMs);
    const fromMs = performance.now();
    await town.act(act).catch((error: unknown) => {
      trouble.push(`${act.do}: ${error instanceof Error ? error.message : String(error)}`);
    });
    if (act.do === "restart-all") restartMs = performance.now() - fromMs;
  });
  await Promise.all([telling, ...doing]);
  return { trouble, restartMs };
}

interface Driver {
  go(startsAt: number): void;
  report(): Promise<DriverReport>;
  stop(): void;
}

/** Resolves when it is ready to play. */
async function startDriver(behind: readonly string[], task: DriverTask): Promise<Driver> {
  const script = join(import.meta.dir, "driver.ts");
  const child = Bun.spawn([...behind, process.execPath, script, JSON.stringify(task)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    // Bun lets 256 requests be under way, and an overload is more.
    env: { ...process.env, BUN_CONFIG_MAX_HTTP_REQUESTS: "8192" },
  });
  const kill = (): void => child.kill("SIGKILL");
  process.on("exit", kill);
  const lines = linesOf(child.stdout);
  const next = async (): Promise<string> => {
    const { value } = await lines.next();
    if (value === undefined) throw new Error(`the driver of the ${task.plays} has ended`);
    return value;
  };
  if ((await next()) !== "ready") throw new Error(`the driver of the ${task.plays} is not ready`);
  return {
    go(startsAt) {
      child.stdin.write(`${startsAt}\n`);
      child.stdin.flush();
    },
    report: async () => JSON.parse(await next()) as DriverReport,
    stop() {
      process.off("exit", kill);
      kill();
    },
  };
}
