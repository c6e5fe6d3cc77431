// The tour's first steps: one question to gold-1 for each engine, its own and a peer's.

import { ask } from "./ask.ts";
import type { Step } from "./telling.ts";
import { check, guard, showWay } from "./telling.ts";

export const goldAnswers: Step = async (house, screen) => {
  screen.heading("A guard decides: realtime, from the Gold engine of the host that is asked");
  const question = guard("The player draws a sword. A: attack, B: flee?");
  screen.row("gold-1", `model "gold": "${question.content}"`);
  // The first request opens the connections; the second shows what all others see.
  await ask(house.gold1.publicUrl, question);
  const asked = await ask(house.gold1.publicUrl, question);
  screen.row("answer", JSON.stringify(asked.text));
  showWay(asked, screen);
  return check(screen, asked.endpoint === "gold-1/vllm", "gold-1 should have answered");
};

export const silverStreams: Step = async (house, screen) => {
  screen.heading("A villager talks: a stream of Silver, which gold-1 gets from its peer");
  screen.row("gold-1", `model "${house.silver1.model}": "What did you see last night?"`);
  const answer = screen.pieces("answer");
  const asked = await ask(house.gold1.publicUrl, {
    model: house.silver1.model,
    content: "What did you see last night?",
    maxTokens: 14,
    onText: answer.add,
  });
  answer.end();
  showWay(asked, screen);
  const kept = asked.tier === "silver" && asked.locality === "peer" && asked.text !== "";
  return check(screen, kept, "silver-1 should have answered through gold-1");
};

export const llamaAnswers: Step = async (house, screen) => {
  screen.heading("A real engine, at a peer: llama.cpp, its model half a megabyte of dice");
  if (house.llama === undefined) {
    screen.line(`llama.cpp cannot be loaded on this machine, so this step is left out:`);
    screen.paragraph("because", house.withoutLlama ?? "");
    return true;
  }
  const { model } = house.llama;
  screen.row("gold-1", `model "${model}", 24 tokens: real tokens, no sense`);
  const asked = await ask(house.gold1.publicUrl, { model, content: "hello", maxTokens: 24 });
  screen.row("answer", JSON.stringify(asked.text));
  showWay(asked, screen);
  return check(screen, asked.endpoint === "silver-1/llama", "llama.cpp should have answered");
};
