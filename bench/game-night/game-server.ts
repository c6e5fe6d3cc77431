// A game server and its NPCs: in every tick those decide whose turn it is, and an answer that is not there within the frame
// is none. How they are asked is not its business.

import { cast, sla } from "./cast.ts";
import type { Npc } from "./npc-kinds.ts";
import { bornNpc, live } from "./npc-kinds.ts";
import type { Stage } from "./stage.ts";

/** Where an intent came from; undefined: nobody could be asked, or the connection was lost. */
export type Told = string | undefined;

/** Asks for all of them at once, and calls `told` for each: when it is known, or not at all. */
export type AskIntents = (npcs: readonly Npc[], told: (npc: Npc, source: Told) => void) => void;

/** The sources that are the engine's opinion; `default` is the game's own. */
const opinions = new Set(["fresh", "stale", "engine", "peer"]);

/** Who is asked and says nothing has not said it by then. */
const forgottenMs = 1_000;

export async function playGameServer(stage: Stage, index: number, ask: AskIntents): Promise<void> {
  const ids = Array.from({ length: cast.npcs }, (_, id) => id).filter(
    (id) => id % cast.gameServers === index,
  );
  const npcs = ids.map((id) => bornNpc(id, Math.random));
  const tickMs = 1_000 / cast.ticksPerSecond;
  const perTick = (npcs.length * cast.intentsPerSecond) / cast.ticksPerSecond;
  let next = 0;
  let owed = 0;
  // The servers of a game do not tick in step.
  const firstMs = stage.nowMs() + (index / cast.gameServers) * tickMs;
  for (let tick = 0; ; tick += 1) {
    const dueMs = firstMs + tick * tickMs;
    if (dueMs >= stage.endMs) break;
    await Bun.sleep(Math.max(0, dueMs - stage.nowMs()));
    owed += perTick;
    const deciding: Npc[] = [];
    for (; owed >= 1; owed -= 1) {
      const npc = npcs[next % npcs.length];
      next += 1;
      if (npc === undefined) continue;
      live(npc, Math.random);
      deciding.push(npc);
    }
    decide(stage, deciding, ask);
  }
  await Bun.sleep(forgottenMs);
}

function decide(stage: Stage, npcs: readonly Npc[], ask: AskIntents): void {
  const atMs = stage.nowMs();
  const open = new Set(npcs);
  const forget = setTimeout(() => {
    for (const _ of open) stage.note("intents", { atMs, good: false, why: "no answer" });
    open.clear();
  }, forgottenMs);
  ask(npcs, (npc, source) => {
    if (!open.delete(npc)) return;
    if (open.size === 0) clearTimeout(forget);
    const ms = stage.nowMs() - atMs;
    const inTime = source !== undefined && source !== "refused" && ms <= sla.intentMs;
    stage.note("intents", {
      atMs,
      ...(source === undefined ? {} : { ms }),
      good: inTime && opinions.has(source),
      inTime,
      why: source === undefined ? "no connection" : ms > sla.intentMs ? `late, ${source}` : source,
    });
  });
}
