// An engine's door for tests of the prober: answers come when the test says so, in virtual time.

import type { Clock } from "../../src/base/clock.ts";
import type { Answer, Ask, Question } from "../../src/engines/ask.ts";

/** What a path answers: an answer, one after a delay, or nothing ever. */
export type Script = (
  question: Question,
) => Answer | { readonly afterMs: number; readonly answer: Answer } | "never";

export interface ScriptedAsk {
  readonly ask: Ask;
  /** Every question so far, with the instant it was asked. */
  readonly asked: {
    readonly path: string;
    readonly method: string;
    readonly at: number;
    readonly fresh: boolean;
  }[];
  /** Questions without an answer yet, by path. */
  readonly open: ReadonlyMap<string, number>;
  /** The most questions about one path that were ever open together. */
  mostOpen(path: string): number;
  script: Script;
}

/** Honours time limits and aborts as the real one does. */
export function scriptedAsk(clock: Clock, script: Script): ScriptedAsk {
  const open = new Map<string, number>();
  const most = new Map<string, number>();
  const scripted: ScriptedAsk = {
    asked: [],
    open,
    mostOpen: (path) => most.get(path) ?? 0,
    script,
    ask(question, signal) {
      const { path, method, timeoutMs, fresh = false } = question;
      scripted.asked.push({ path, method, at: clock.now(), fresh });
      const count = (open.get(path) ?? 0) + 1;
      open.set(path, count);
      most.set(path, Math.max(most.get(path) ?? 0, count));

      const { promise, resolve } = Promise.withResolvers<Answer>();
      const reply = scripted.script(question);
      if (reply !== "never") {
        const { afterMs, answer } = "afterMs" in reply ? reply : { afterMs: 0, answer: reply };
        clock.after(afterMs, () => resolve(answer));
      }
      clock.after(timeoutMs, () => resolve({ failed: "silent" }));
      if (signal.aborted) resolve({ failed: "refused" });
      signal.addEventListener("abort", () => resolve({ failed: "refused" }), { once: true });
      return promise.finally(() => open.set(path, (open.get(path) ?? 0) - 1));
    },
  };
  return scripted;
}

export const refused: Answer = { failed: "refused" };
export const ok = (body = ""): Answer => ({ status: 200, body });
/** The figures of a vLLM that has generated so many. */
export const tokens = (count: number): Answer => ok(`vllm:generation_tokens_total{engine="0"} ${count}\n`);

/** As `well`, but for some paths. */
export const exceptFrom =
  (well: Script) =>
  (others: Record<string, Script>): Script =>
  (question) =>
    others[question.path]?.(question) ?? well(question);

/** The milliseconds between one instant and the next. */
export const gaps = (instants: readonly number[]): number[] =>
  instants.slice(1).map((instant, index) => instant - (instants[index] ?? 0));
