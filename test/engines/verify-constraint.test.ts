// Whether an engine obeys is found out by asking it: which row is taken, when it is asked, and when again.

import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import type { Answer, Question } from "../../src/engines/ask.ts";
import { dialects } from "../../src/engines/engine.ts";
import type { VerifiedConstraint } from "../../src/engines/verify-constraint.ts";
import { keepConstraint, verifyConstraint, verifyRule } from "../../src/engines/verify-constraint.ts";
import { scriptedAsk } from "../support/scripted-ask.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const { vllm, openai } = dialects;
const never = new AbortController().signal;

const says = (content: string): Answer => ({
  status: 200,
  body: JSON.stringify({ choices: [{ index: 0, message: { role: "assistant", content } }] }),
});
const refuses = (status: number): Answer => ({ status, body: '{"error":{"message":"no"}}' });

const carries = ({ body = "" }: Question, ...members: string[]): boolean => {
  const parsed: unknown = JSON.parse(body);
  return members.every((member) => typeof parsed === "object" && parsed !== null && member in parsed);
};

/** What vLLM's table of rows comes to at an engine that answers so, with the number of questions that it took. */
async function found(answer: (question: Question) => Answer): Promise<unknown> {
  let asked = 0;
  const ask = async (question: Question): Promise<Answer> => {
    asked += 1;
    return answer(question);
  };
  const verified = await verifyConstraint({ dialect: vllm, ask }, "m", 6, never);
  return verified === undefined ? ["unknown", asked] : [verified.constraint.name, verified.held, asked];
}

describe("verifyConstraint", () => {
  test("takes the best row at the first question where the answer is one of the letters", async () => {
    expect(await found(() => says("B"))).toEqual(["structured_outputs.choice", true, 1]);
    expect(await found(() => says(" F"))).toEqual(["structured_outputs.choice", true, 1]);
  });

  test.each([
    ["a letter beyond the options", "G"],
    ["a number", "39"],
    ["a word that begins with a letter", "Attack"],
    ["nothing", ""],
  ])("takes %s for an engine that ignores the constraint", async (_, content) => {
    expect(await found(() => says(content))).toEqual(["none", false, 3]);
  });

  test("takes the older name where that is the one which is obeyed", async () => {
    const answer = (question: Question): Answer => says(carries(question, "guided_choice") ? "A" : "39");
    expect(await found(answer)).toEqual(["guided_choice", true, 2]);
  });

  test("goes on without log-probabilities where they are what is refused", async () => {
    const answer = (question: Question): Answer =>
      carries(question, "top_logprobs") ? refuses(400) : says("A");
    expect(await found(answer)).toEqual(["structured_outputs.choice, without log-probabilities", true, 2]);
  });

  test.each([
    [400, 4],
    [422, 4],
    [500, 3],
    [501, 3],
  ])("passes over a row that is answered %d, with %d questions in all", async (status, questions) => {
    const answer = (question: Question): Answer =>
      carries(question, "structured_outputs") ? refuses(status) : says("39");
    expect(await found(answer)).toEqual(["none", false, questions]);
  });

  test("knows nothing of an engine that is down, full, or refuses every row", async () => {
    expect(await found(() => ({ failed: "silent" }))).toEqual(["unknown", 1]);
    expect(await found(() => ({ failed: "refused" }))).toEqual(["unknown", 1]);
    expect(await found(() => refuses(503))).toEqual(["unknown", 1]);
    expect(await found(() => refuses(429))).toEqual(["unknown", 1]);
    expect(await found(() => refuses(500))).toEqual(["unknown", vllm.intentConstraints.length]);
    expect(await found(() => refuses(401))).toEqual(["unknown", 2 * vllm.intentConstraints.length]);
  });

  test("asks once of an engine that can be kept to nothing", async () => {
    const verified = await verifyConstraint({ dialect: openai, ask: async () => says("A") }, "m", 2, never);
    expect(verified).toMatchObject({ constraint: { name: "none" }, held: false });
  });
});

function keeperScene(answer: () => Answer | "never") {
  const clock = virtualClock();
  const scripted = scriptedAsk(clock, answer);
  const verified: VerifiedConstraint[] = [];
  const keeper = keepConstraint({
    dialect: vllm,
    ask: scripted.ask,
    clock,
    random: seededRandom(1),
    onVerified: (one) => verified.push(one),
  });
  return { clock, scripted, keeper, verified, asked: () => scripted.asked.length };
}

describe("keepConstraint", () => {
  test("hopes for the best row until it has been verified, then gives that one", async () => {
    const { clock, keeper, verified } = keeperScene(() => says("39"));
    expect(keeper.current().name).toBe("structured_outputs.choice");
    keeper.verify("m", 6);
    await clock.advance(100);
    expect(keeper.current().name).toBe("none");
    expect(verified).toMatchObject([{ held: false }]);
  });

  test("asks once for a model and a number of options, again for others, and never without either", async () => {
    const { clock, keeper, asked } = keeperScene(() => says("A"));
    const after = async (model: string | undefined, options: number): Promise<number> => {
      keeper.verify(model, options);
      await clock.advance(100);
      return asked();
    };
    expect(await after(undefined, 6)).toBe(0);
    expect(await after("m", 0)).toBe(0);
    expect(await after("m", 6)).toBe(1);
    expect(await after("m", 6)).toBe(1);
    expect(await after("other", 6)).toBe(2);
    expect(await after("other", 7)).toBe(3);
  });

  test("asks a second time while the first is under way only where it is about something else", async () => {
    const { clock, keeper, asked, verified } = keeperScene(() => "never");
    keeper.verify("m", 6);
    keeper.verify("m", 6);
    expect(asked()).toBe(1);
    keeper.verify("other", 6);
    expect(asked()).toBe(2);
    keeper.stop();
    await clock.advance(60_000);
    expect([asked(), verified.length]).toEqual([2, 0]);
  });

  test("asks an engine that is down again, ever more rarely, and at once when it is back", async () => {
    let answer = refuses(503);
    const { clock, keeper, asked, verified } = keeperScene(() => answer);
    keeper.verify("m", 6);
    await clock.advance(60_000);
    const { baseMs, capMs } = verifyRule.retry;
    // 1, 2, 4, 8, 16 s, each within a fifth.
    expect(asked()).toBeWithin(Math.log2(capMs / baseMs), Math.log2(capMs / baseMs) + 4);
    const before = asked();
    answer = says("A");
    keeper.doubt();
    keeper.verify("m", 6);
    await clock.advance(1);
    expect([asked(), verified.length]).toEqual([before + 1, 1]);
  });

  test("after a doubt asks what it has asked before, and keeps to what it knew meanwhile", async () => {
    let answer: Answer | "never" = says("39");
    const { clock, keeper } = keeperScene(() => answer);
    keeper.verify("m", 6);
    await clock.advance(100);
    answer = "never";
    keeper.doubt();
    keeper.verify("m", 6);
    expect(keeper.current().name).toBe("none");
    answer = says("C");
    keeper.doubt();
    keeper.verify("m", 6);
    await clock.advance(100);
    expect(keeper.current().name).toBe("structured_outputs.choice");
  });
});
