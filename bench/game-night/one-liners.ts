// What is said in passing: a short line of gold, whole, at a steady rate, whatever becomes of those before.

import { becauseOf, brokenBy, call } from "./call.ts";
import { cast, engines, patience, sla } from "./cast.ts";
import type { Stage } from "./stage.ts";

export async function playOneLiners(stage: Stage, perSecond: number): Promise<void> {
  const underWay = new Set<Promise<void>>();
  const everyMs = 1_000 / perSecond;
  let turn = 0;
  for (let dueMs = stage.nowMs(); dueMs < stage.endMs; dueMs += everyMs) {
    const waitMs = dueMs - stage.nowMs();
    if (waitMs > 0) await Bun.sleep(waitMs);
    const said = say(stage, turn).finally(() => underWay.delete(said));
    underWay.add(said);
    turn += 1;
  }
  await Promise.all(underWay);
}

async function say(stage: Stage, turn: number): Promise<void> {
  const atMs = stage.nowMs();
  const signal = AbortSignal.timeout(patience.oneLinerMs);
  const end = await call({
    doors: stage.doors,
    home: turn,
    tier: "gold",
    path: "/v1/chat/completions",
    signal,
    headers: { "x-tierline-sla": "realtime", "x-tierline-session": `player-${turn % cast.players}` },
    body: {
      model: stage.withRouter ? "gold" : engines.gold.model,
      max_tokens: cast.oneLinerTokens,
      messages: [{ role: "user", content: `A passer-by, ${turn}, nods at you. Say something short.` }],
    },
  });
  if (end.kind === "failed") {
    stage.note("realtime", { atMs, good: false, why: end.why });
    return;
  }
  try {
    await end.response.arrayBuffer();
    const ms = stage.nowMs() - atMs;
    const good = ms <= sla.oneLinerMs;
    stage.note("realtime", { atMs, ms, good, why: `${good ? "in time" : "late"}${becauseOf(end.response)}` });
  } catch (error) {
    const why = signal.aborted ? "gave up" : `broken off: ${brokenBy(error)}`;
    stage.note("realtime", { atMs, good: false, why });
  }
}
