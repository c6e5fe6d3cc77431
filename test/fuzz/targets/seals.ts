// Seals and what is sealed: nothing opens but what was sealed, once, and for what it was sealed.

import type { Forwarded } from "../../../src/host/forwarded.ts";
import { createForwardSeals } from "../../../src/host/forwarded.ts";
import { sealing, sealsOf } from "../../support/seals.ts";
import { virtualClock } from "../../support/virtual-clock.ts";
import type { Dice } from "../dice.ts";
import type { Target } from "../target.ts";
import { latin1Of, must } from "../target.ts";

const tiers = ["gold", "silver", "bronze"] as const;
const clock = virtualClock();
/** Of this process alone: what another one sealed is in the corpus. */
const keys: [string] = [crypto.randomUUID()];
const line = "POST /v1/chat/completions";
const sender = createForwardSeals(sealing(clock, { name: "gold-1", keys }));
const receiver = createForwardSeals(sealing(clock, { name: "gold-2", keys }));
const body = new TextEncoder().encode('{"v":[1,1]}');
const talker = sealsOf(clock, { name: "gold-1", keys });
const listener = sealsOf(clock, { name: "gold-2", keys });

/** The claim's and the gossip's, some right and all of them used before they are tried. */
function generate(dice: Dice): Uint8Array {
  const claim: Forwarded = {
    caller: dice.chance(0.5) ? dice.pick(["game", "a b", "%", "é;hop=1"]) : undefined,
    tier: dice.pick(tiers),
    endpoint: dice.pick(["gold-2/vllm", "a/b"]),
    model: dice.chance(0.5) ? "exact" : "any",
    body: dice.chance(0.5) ? "request" : "question",
  };
  const header = dice.chance(0.5) ? sender.seal(line, claim, 0).header : talker.ask(body, 0).seal;
  // Whoever listens has heard it: from here on it opens for nobody.
  receiver.open(line, header);
  listener.openAsk(header, body);
  return Buffer.from(header, "latin1");
}

export const seals: Target = {
  name: "seals",
  generate,
  words: [
    "v=1;",
    "v=2;",
    "fleet=",
    ";from=gold-1",
    ";at=0",
    ";at=99999999999999",
    ";nonce=",
    "0".repeat(32),
    ";hmac=",
    "f".repeat(64),
    "hop=1;",
    ";caller=%",
    ";caller=%zz",
    "tier=gold;",
    ";v=1;",
  ],
  check(input) {
    const header = latin1Of(input);
    const opened = receiver.open(line, header);
    must("refused" in opened, `a claim that nobody sealed was opened: ${header}`);
    const heard = listener.openAsk(header, body);
    must("refused" in heard, `a message that nobody sealed was opened: ${header}`);
    const answer = listener.openAnswer(header, "0".repeat(32), body);
    must("refused" in answer, "an answer that nobody sealed was opened");
    must("refused" in listener.openClock(header, "0".repeat(32)), "a time that nobody sealed was opened");
    return [opened.refused, heard.refused, answer.refused].join();
  },
};
