// The tour: what a newcomer sees in the first half minute, each step shown as it happens and checked.

import type { Asked } from "./ask.ts";
import { ask } from "./ask.ts";
import { crowdRule, sourcesText, startCrowd } from "./crowd.ts";
import type { House } from "./house.ts";
import type { Screen } from "./screen.ts";
import { duration } from "./screen.ts";

/** Walks through the steps; false if one of them did not end as it should. */
export async function tour(house: House, screen: Screen): Promise<boolean> {
  const steps = [goldAnswers, silverStreams, llamaAnswers, crowdDecides, goldIsKilled, goldReturns];
  const kept: boolean[] = [];
  for (const step of steps) kept.push(await step(house, screen));
  return kept.every(Boolean);
}

/** What a guard is asked: one token, out of two. */
const guard = (content: string) => ({ model: "gold", content, maxTokens: 1, choice: ["A", "B"] });

async function goldAnswers(house: House, screen: Screen): Promise<boolean> {
  screen.heading("A guard decides: realtime, answered by Gold");
  const question = guard("The player draws a sword. A: attack, B: flee?");
  screen.row("asks", `model "gold", 1 token, A or B: "${question.content}"`);
  // The first request opens the connections; the second shows what all others see.
  await ask(house.publicUrl, question);
  const asked = await ask(house.publicUrl, question);
  screen.row("answer", JSON.stringify(asked.text));
  showWay(asked, screen);
  return check(screen, asked.tier === "gold", "Gold should have answered");
}

async function silverStreams(house: House, screen: Screen): Promise<boolean> {
  screen.heading("A villager talks: interactive, streamed from Silver");
  screen.row("asks", `model "${house.silver.model}", a stream: "What did you see last night?"`);
  screen.piece(`  ${screen.dim("answer".padEnd(12))}`);
  const asked = await ask(house.publicUrl, {
    model: house.silver.model,
    content: "What did you see last night?",
    maxTokens: 40,
    onText: screen.piece,
  });
  screen.piece("\n");
  showWay(asked, screen);
  return check(screen, asked.tier === "silver" && asked.text !== "", "Silver should have answered");
}

async function llamaAnswers(house: House, screen: Screen): Promise<boolean> {
  screen.heading("A real engine: llama.cpp, with a generated model of half a megabyte");
  if (house.llama === undefined) {
    screen.line(
      `llama.cpp cannot be loaded on this machine, so this step is left out: ${house.withoutLlama}`,
    );
    return true;
  }
  const { model } = house.llama;
  screen.row("asks", `model "${model}", 24 tokens. Its weights are random: real tokens, no sense.`);
  const asked = await ask(house.publicUrl, { model, content: "hello", maxTokens: 24 });
  screen.row("answer", JSON.stringify(asked.text));
  showWay(asked, screen);
  return check(screen, asked.endpoint.endsWith("/llama"), "llama.cpp should have answered");
}

/** A crowd's figures are taken over so long. */
const crowdMs = 2000;

async function crowdDecides(house: House, screen: Screen): Promise<boolean> {
  screen.heading(`${crowdRule.guards} guards ask "what now?" ten times a second, over one WebSocket`);
  const crowd = await startCrowd(house.publicUrl);
  try {
    const show = async (name: string): Promise<ReturnType<typeof crowd.figures>> => {
      await Bun.sleep(crowdMs);
      const figures = crowd.figures(crowdMs);
      const { intentsPerSecond, p50Ms, p99Ms } = figures;
      screen.row(
        name,
        `${Math.round(intentsPerSecond)} intents/s, frame p50 ${duration(p50Ms)}, p99 ${duration(p99Ms)}: ${screen.bold(sourcesText(figures))}`,
      );
      return figures;
    };
    await show("first");
    await show("then");
    await setFault(house.gold.controlUrl, { kind: "hang" });
    await show("Gold hangs");
    await show("");
    const last = await show("");
    await setFault(house.gold.controlUrl, undefined);
    await show("mended");
    const fine = last.sources.every(([source]) => source !== "no answer") && last.intentsPerSecond > 0;
    return check(screen, fine, "every guard should have had an answer, engine or not");
  } finally {
    crowd.stop();
  }
}

async function setFault(controlUrl: string, fault: object | undefined): Promise<void> {
  const change =
    fault === undefined ? { method: "DELETE" } : { method: "POST", body: JSON.stringify({ fault }) };
  await fetch(`${controlUrl}/control`, change);
}

async function goldIsKilled(house: House, screen: Screen): Promise<boolean> {
  screen.heading("Gold is killed, and nobody notices");
  await house.gold.crash();
  screen.row("kill -9", "the Gold engine, and at once the same question again, three times");
  let fine = true;
  for (let turn = 0; turn < 3; turn += 1) {
    const asked = await ask(house.publicUrl, guard("The player runs. A: follow, B: stay?"));
    showWay(asked, screen);
    fine &&= asked.status === 200 && asked.tier === "silver";
  }
  return check(screen, fine, "Silver should have answered for Gold");
}

/** A router asks a lost engine after its health every few seconds. */
const returnWithinMs = 20_000;

async function goldReturns(house: House, screen: Screen): Promise<boolean> {
  screen.heading("Gold returns");
  const from = performance.now();
  await house.gold.restart();
  screen.row("restart", "the Gold engine, and ask until it answers");
  let asked: Asked;
  do {
    await Bun.sleep(100);
    asked = await ask(house.publicUrl, guard("The player is gone. A: patrol, B: rest?"));
  } while (asked.tier !== "gold" && performance.now() - from < returnWithinMs);
  showWay(asked, screen);
  screen.row("after", duration(performance.now() - from));
  return check(screen, asked.tier === "gold", "Gold should be back");
}

/** Where the answer came from, and why: the router's own headers. */
function showWay(asked: Asked, screen: Screen): void {
  if (asked.status !== 200) {
    screen.row("failed", screen.bad(`${asked.status} ${asked.text}`));
    return;
  }
  const first = asked.firstTokenMs === 0 ? "" : `, first token after ${duration(asked.firstTokenMs)}`;
  screen.row(
    "way",
    `${screen.bold(asked.tier.padEnd(7))} ${duration(asked.totalMs).padStart(7)}   ${asked.endpoint.padEnd(18)} ` +
      `because ${screen.bold(asked.because)}, attempts ${asked.attempts}${first}`,
  );
}

function check(screen: Screen, kept: boolean, promise: string): boolean {
  if (!kept) screen.row("", screen.bad(`This is not what should have happened: ${promise}.`));
  return kept;
}
