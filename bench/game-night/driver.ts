// Run as a process, among the callers of the fleet: a part of those who play. Gets its task as an argument, says "ready",
// is told on stdin when the evening begins, and prints what it has written down when everybody has an answer.

import { setPriority } from "node:os";
import { fetchArchetypes } from "../../playground/npc/archetypes.ts";
import { cast } from "./cast.ts";
import { playDialogue } from "./dialogue.ts";
import type { Door } from "./doors.ts";
import { createDoors, watchDoors } from "./doors.ts";
import type { Phase } from "./evening.ts";
import { playGameServer } from "./game-server.ts";
import type { Lag } from "./headroom.ts";
import { watchLag } from "./headroom.ts";
import { openChatLines } from "./intents-by-chat.ts";
import { openFrameLine } from "./intents-by-frames.ts";
import { playOneLiners } from "./one-liners.ts";
import type { QuestLedger } from "./quests.ts";
import { playQuests } from "./quests.ts";
import type { Scores } from "./scores.ts";
import { createScoreBook } from "./scores.ts";
import type { Stage } from "./stage.ts";

export interface DriverTask {
  readonly plays: "npcs" | "players";
  readonly doors: readonly Door[];
  readonly phases: readonly Phase[];
  readonly withRouter: boolean;
  /** What k6 leaves of them. */
  readonly oneLinersPerSecond: number;
}

export interface DriverReport {
  readonly scores: Scores;
  readonly lag: Lag;
  readonly quests?: QuestLedger;
}

/** As a niceness, -20 to 19. */
const preferred = -10;
/** Routers wait for their engines, proxies for their health checks. */
const openWithinMs = 30_000;

if (import.meta.main) await drive(JSON.parse(process.argv[2] ?? ""));

async function drive(task: DriverTask): Promise<void> {
  const { phases, withRouter } = task;
  comeFirst();
  const doors = createDoors(task.doors);
  await Promise.all(task.doors.flatMap(({ urls }) => Object.values(urls).map(untilOpen)));
  let startsAt = Number.POSITIVE_INFINITY;
  const nowMs = (): number => performance.timeOrigin + performance.now() - startsAt;
  const stage: Stage = {
    ...createScoreBook(phases),
    doors,
    phases,
    nowMs,
    endMs: phases.at(-1)?.toMs ?? 0,
    withRouter,
  };
  const play = task.plays === "npcs" ? await gatherNpcs(stage) : () => playAll(stage, task);
  console.log("ready");
  for await (const line of console) {
    startsAt = Number(line);
    break;
  }
  watchDoors(task.doors, doors);
  const lag = watchLag();
  const quests = await play();
  const report: DriverReport = {
    scores: stage.scores(),
    lag: lag(),
    ...(quests === undefined ? {} : { quests }),
  };
  console.log(JSON.stringify(report));
  process.exit(0);
}

/** Whoever measures is not to wait for what is measured. It takes root; without it the lag tells. */
function comeFirst(): void {
  try {
    setPriority(preferred);
  } catch {
    // As the others, then.
  }
}

async function untilOpen(url: string): Promise<void> {
  for (const fromMs = performance.now(); ; await Bun.sleep(50)) {
    const isOpen = await fetch(`${url}/v1/models`, { signal: AbortSignal.timeout(1_000) })
      .then((response) => response.ok)
      .catch(() => false);
    if (isOpen) return;
    if (performance.now() - fromMs > openWithinMs) throw new Error(`${url} has not opened`);
  }
}

async function gatherNpcs(stage: Stage): Promise<() => Promise<undefined>> {
  const servers = Array.from({ length: cast.gameServers }, (_, index) => index);
  const { doors, withRouter } = stage;
  const epoch = withRouter ? (await fetchArchetypes(doors.at(0).urls.gold)).epoch : 0;
  const lines = await Promise.all(
    servers.map((index) => (withRouter ? openFrameLine(doors, index, epoch) : openChatLines(doors, index))),
  );
  return async () => {
    await Promise.all(lines.map(({ ask }, index) => playGameServer(stage, index, ask)));
    for (const line of lines) line.close();
    return undefined;
  };
}

async function playAll(stage: Stage, { oneLinersPerSecond }: DriverTask): Promise<QuestLedger> {
  const [quests] = await Promise.all([
    playQuests(stage),
    playDialogue(stage),
    playOneLiners(stage, oneLinersPerSecond),
  ]);
  return quests;
}
