// One ask frame in, one answer frame out: the table at once, the engine where it may be waited for. How frames come and
// go is for those who call it: POST (npc.ts) and the WebSocket (npc-socket.ts).

import type { Instant } from "../base/clock.ts";
import type { FrameFault } from "../intents/frame.ts";
import {
  errorFrame,
  newAnswerFrame,
  newAsk,
  readAsk,
  readAskFrame,
  writeAnswer,
  writeRefused,
} from "../intents/frame.ts";
import { newAnswer } from "../intents/intent-answer.ts";
import type { IntentDoor } from "./door.ts";
import { nothingToCut } from "./lifecycle.ts";

export type FrameDone = (frame: Uint8Array<ArrayBuffer>, fault: FrameFault | undefined) => void;

/**
 * `done` is called once: before this returns where nothing has to be waited for. Where nothing `mayWait`, what is not
 * in the table is answered by default and no engine is troubled.
 */
export type AnswerFrame = (ask: Uint8Array, receivedAt: Instant, mayWait: boolean, done: FrameDone) => void;

export function createAnswerFrame({
  clock,
  intents,
  intentAccount,
  lifecycle,
  settings,
}: IntentDoor): AnswerFrame {
  // Both are filled and used up within one turn of the loop below.
  const ask = newAsk();
  const known = newAnswer();

  return (bytes, receivedAt, mayAsk, done) => {
    // Who would begin to wait now could be what keeps a drain from its end.
    const mayWait = mayAsk && !lifecycle.ending;
    const { archetypes } = intents;
    const frame = readAskFrame(bytes, archetypes.epoch);
    if ("fault" in frame) {
      done(errorFrame(frame, archetypes.epoch), frame.fault);
      return;
    }
    const answers = newAnswerFrame(frame);
    // To read the clock takes as long as to read an entry.
    const now = clock.now();
    let atOnce = 0;
    // One more than wait, until all are asked: a wait may be over before it returns.
    let left = 1;
    let endActive = nothingToCut;
    const settled = (): void => {
      left -= 1;
      if (left > 0) return;
      done(answers, undefined);
      endActive();
    };

    for (let index = 0; index < frame.count; index += 1) {
      readAsk(frame, index, archetypes, ask);
      const { archetype, situation, npc } = ask;
      if (archetype === undefined) {
        writeRefused(answers, index, npc);
        intentAccount.refused();
        continue;
      }
      if (!intents.fromTable(archetype, situation, npc, now, known)) {
        if (mayWait && !ask.tableOnly) {
          const waitMs = ask.deadlineMs > 0 ? ask.deadlineMs : settings().intentDeadlineMs;
          left += 1;
          intents.wait({ archetype, situation, seed: npc }, receivedAt + waitMs, (answer) => {
            writeAnswer(answers, index, npc, answer);
            intentAccount.answered(archetype, answer.source);
            intentAccount.took(clock.now() - receivedAt, 1);
            settled();
          });
          continue;
        }
        intents.settleFor(archetype, situation, mayWait && !ask.noFill);
      }
      writeAnswer(answers, index, npc, known);
      intentAccount.answered(archetype, known.source);
      atOnce += 1;
    }
    intentAccount.took(clock.now() - receivedAt, atOnce);
    if (left > 1) endActive = lifecycle.begin(nothingToCut);
    settled();
  };
}
