// Players in conversation: think, say a line, read the answer word by word, think again.

import { linesOf } from "../../playground/dev/decoded.ts";
import { becauseOf, brokenBy, call } from "./call.ts";
import { cast, engines, patience, sla } from "./cast.ts";
import { phaseAt } from "./evening.ts";
import type { Stage } from "./stage.ts";

/** Plays until the evening ends; resolves when the last line has been heard. */
export async function playDialogue(stage: Stage): Promise<void> {
  const mostCrowd = Math.max(...stage.phases.map(({ crowd }) => crowd));
  const players = Array.from({ length: cast.players * mostCrowd }, (_, id) => play(stage, id));
  await Promise.all(players);
}

/** Beyond the usual number they come with the crowd and leave with it. */
async function play(stage: Stage, id: number): Promise<void> {
  const [least, most] = cast.thinkMs;
  const rank = Math.floor(id / cast.players);
  // So that a crowd does not come in one instant.
  let thinkMs = Math.random() * (most - least) * 0.5;
  while (stage.nowMs() < stage.endMs) {
    const phase = phaseAt(stage.phases, stage.nowMs());
    await Bun.sleep(thinkMs / (phase?.haste ?? 1));
    const { crowd = 1 } = phaseAt(stage.phases, stage.nowMs()) ?? {};
    thinkMs = least + Math.random() * (most - least);
    if (rank >= crowd) {
      await Bun.sleep(100);
      thinkMs = Math.random() * (most - least) * 0.5;
    } else if (stage.nowMs() < stage.endMs) await say(stage, id);
  }
}

async function say(stage: Stage, id: number): Promise<void> {
  const atMs = stage.nowMs();
  const gone = new AbortController();
  let timer = setTimeout(() => gone.abort(), patience.firstWordMs);
  try {
    const { model } = engines.silver;
    const end = await call({
      doors: stage.doors,
      home: id,
      tier: "silver",
      path: "/v1/chat/completions",
      signal: gone.signal,
      headers: { "x-tierline-sla": "interactive", "x-tierline-session": `player-${id}` },
      body: {
        model: stage.withRouter ? "silver" : model,
        stream: true,
        max_tokens: cast.dialogueTokens,
        messages: [
          { role: "system", content: "The innkeeper of a small town. Knows everybody, trusts nobody." },
          { role: "user", content: `Player ${id} asks, ${Math.round(atMs)}: who was here last night?` },
        ],
      },
    });
    if (end.kind === "failed") {
      stage.note("interactive", { atMs, good: false, why: end.why });
      return;
    }
    const { response } = end;
    let firstWordMs: number | undefined;
    let ended = "broken off";
    try {
      if (response.body !== null)
        for await (const line of linesOf(response.body)) {
          if (firstWordMs === undefined && line.includes('"content":"') && !line.includes('"content":""')) {
            firstWordMs = stage.nowMs() - atMs;
            clearTimeout(timer);
            timer = setTimeout(() => gone.abort(), patience.dialogueMs);
          }
          if (line === "data: [DONE]") ended = "whole";
          else if (line.startsWith('data: {"error"')) ended = "broken off by an error event";
        }
    } catch (error) {
      ended = gone.signal.aborted ? "gave up" : `broken off: ${brokenBy(error)}`;
    }
    const whole = ended === "whole" && firstWordMs !== undefined;
    const good = whole && (firstWordMs ?? 0) <= sla.firstWordMs;
    const how = good ? "in time" : whole ? "late" : ended;
    stage.note("interactive", {
      atMs,
      good,
      ...(firstWordMs === undefined ? {} : { ms: firstWordMs }),
      why: `${how}${becauseOf(response)}`,
    });
  } finally {
    clearTimeout(timer);
  }
}
