// One token and its odds: what is asked, and what is read out of answers of every sort.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { unconstrained, withoutOdds } from "../../src/engines/intent-constraint.ts";
import { intentBody, readChosenOption, readIntentOdds } from "../../src/engines/intent-question.ts";
import { recording } from "../support/recording.ts";

const bytes = (value: unknown): Uint8Array =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value));

/** A chat answer: what was said, and the likeliest tokens with their chances, or log-probabilities where negative. */
const answer = (
  content: unknown,
  top?: readonly (readonly [token: unknown, chance: unknown])[],
): Uint8Array => {
  const row = ([token, chance]: readonly [unknown, unknown]) => ({
    token,
    logprob: typeof chance === "number" && chance > 0 ? Math.log(chance) : chance,
  });
  const said =
    top === undefined ? null : { content: [{ ...row(top[0] ?? ["", null]), top_logprobs: top.map(row) }] };
  return bytes({ choices: [{ index: 0, message: { role: "assistant", content }, logprobs: said }] });
};

/** To three places, so that a table can be written down. */
const odds = (body: Uint8Array, options = 3): number[] | undefined =>
  readIntentOdds(body, options)?.map((one) => Math.round(one * 1000) / 1000);

describe("readIntentOdds", () => {
  test.each([
    [
      "the options' chances",
      answer("A", [
        ["A", 0.5],
        ["B", 0.3],
        ["C", 0.2],
      ]),
      [0.5, 0.3, 0.2],
    ],
    [
      "other tokens left out, the rest scaled up",
      answer("A", [
        ["A", 0.4],
        ["The", 0.3],
        ["C", 0.1],
      ]),
      [0.8, 0, 0.2],
    ],
    [
      "variants of a letter added up",
      answer("A", [
        ["A", 0.3],
        [" A", 0.2],
        ["B\n", 0.5],
      ]),
      [0.5, 0.5, 0],
    ],
    [
      "no letter beyond the options",
      answer("D", [
        ["D", 0.9],
        ["B", 0.1],
      ]),
      [0, 1, 0],
    ],
    [
      "no lower case, no word",
      answer("a", [
        ["a", 0.5],
        ["Attack", 0.4],
        ["C", 0.1],
      ]),
      [0, 0, 1],
    ],
    [
      "-9999 as ruled out",
      answer("B", [
        ["B", -0.1],
        ["A", -9999],
      ]),
      [0, 1, 0],
    ],
    [
      "llama.cpp's lowest float as ruled out",
      answer("B", [
        ["B", -0.1],
        ["A", -3.4028234663852886e38],
      ]),
      [0, 1, 0],
    ],
    [
      "unlikely options against each other",
      answer("x", [
        ["x", 1],
        ["A", -800],
        ["B", -800],
      ]),
      [0.5, 0.5, 0],
    ],
    ["a log-probability of 0", answer("C", [["C", 0]]), [0, 0, 1]],
    ["the letter alone where there are no log-probabilities", answer("C"), [0, 0, 1]],
    ["the letter with blanks around it", answer(" B\n"), [0, 1, 0]],
    [
      "the letter where the log-probabilities name none",
      answer("B", [
        ["Yes", 0.9],
        ["No", 0.1],
      ]),
      [0, 1, 0],
    ],
    [
      "the letter where all are ruled out",
      answer("B", [
        ["A", -9999],
        ["B", -9999],
      ]),
      [0, 1, 0],
    ],
    [
      "log-probabilities that are none",
      answer("B", [
        ["A", "0.5"],
        ["B", null],
        ["C", 0.5],
      ]),
      [0, 0, 1],
    ],
  ])("reads %s", (_, body, expected) => {
    expect(odds(body)).toEqual(expected);
  });

  test("reads the token that a grammar let through, far below the likeliest ones", () => {
    const content = [{ token: "C", logprob: -7, top_logprobs: [{ token: "Hello", logprob: -0.1 }] }];
    expect(odds(bytes({ choices: [{ message: { content: "C" }, logprobs: { content } }] }))).toEqual([
      0, 0, 1,
    ]);
    const both = [
      { token: "C", logprob: Math.log(0.1), top_logprobs: [{ token: "A", logprob: Math.log(0.3) }] },
    ];
    expect(odds(bytes({ choices: [{ logprobs: { content: both } }] }))).toEqual([0.75, 0, 0.25]);
  });

  test("reads what a real vLLM answered, constrained: T and I among twenty letters", () => {
    const { body } = recording("vllm/chat-choice-1tok");
    const read = readIntentOdds(bytes(body), 20) ?? [];
    // The letters' share of what the answer gives to all tokens, words included.
    const [i, t] = [Math.exp(-0.0009261847590096295), Math.exp(-10.79842472076416)];
    expect(read[8]).toBeCloseTo(i / (i + t), 9);
    expect(read[19]).toBeCloseTo(t / (i + t), 9);
    expect(read.filter((one) => one > 0)).toHaveLength(2);
  });

  test("reads the same unconstrained: the letter among other likely tokens", () => {
    const { body } = recording("vllm/chat-logprobs");
    expect(odds(bytes(body), 20)?.[8]).toBe(1);
    expect(odds(bytes(body), 5)).toBeUndefined();
  });

  test("reads the bare letter of an engine that gave no log-probabilities", () => {
    const { body } = recording("llamacpp/chat-choice-1tok");
    expect(odds(bytes(body), 20)?.[19]).toBe(1);
    expect(odds(bytes(recording("llamacpp/chat-logprobs").body), 20)).toBeUndefined();
  });

  test.each([
    ["an error", { error: { message: "no" } }],
    ["no choices", { choices: [] }],
    ["another word", { choices: [{ message: { content: "patrol" } }] }],
    ["a refusal without content", { choices: [{ message: { content: null }, logprobs: { content: null } }] }],
    ["broken JSON", '{"choices":['],
    [
      "Python's infinities, which are no JSON",
      '{"choices":[{"logprobs":{"content":[{"logprob":-Infinity}]}}]}',
    ],
    ["HTML", "<html>"],
    ["nothing", ""],
    ["null", "null"],
  ])("reads nothing out of %s", (_, body) => {
    expect(readIntentOdds(bytes(body), 6)).toBeUndefined();
    expect(readChosenOption(bytes(body), 6)).toBeUndefined();
  });

  test("does not even parse an answer beyond 64 kB", () => {
    const padded = { choices: [{ message: { content: "A" } }], padding: "x".repeat(64 * 1024) };
    expect(readIntentOdds(bytes(padded), 2)).toBeUndefined();
  });

  test("whatever the answer, gives odds that sum to 1 or nothing, and never throws", () => {
    const token = fc.oneof(fc.constantFrom("A", " A", "B", "C", "T", "the"), fc.string(), fc.jsonValue());
    const logprob = fc.oneof(
      fc.double({ noNaN: true }),
      fc.double({ min: -30, max: 0, noNaN: true }),
      fc.jsonValue(),
    );
    const row = fc.record({ token, logprob }, { requiredKeys: [] });
    const said = fc.oneof(
      fc.record({ token, logprob, top_logprobs: fc.oneof(fc.array(row, { maxLength: 24 }), fc.jsonValue()) }),
      fc.jsonValue(),
    );
    const choice = fc.record({
      message: fc.oneof(fc.record({ content: token }), fc.jsonValue()),
      logprobs: fc.oneof(fc.record({ content: fc.array(said, { maxLength: 2 }) }), fc.jsonValue()),
    });
    const body = fc.oneof(fc.record({ choices: fc.array(choice, { maxLength: 2 }) }), fc.jsonValue());
    fc.assert(
      fc.property(body, fc.integer({ min: 1, max: 20 }), (value, options) => {
        const read = readIntentOdds(bytes(value), options);
        if (read === undefined) return;
        expect(read).toHaveLength(options);
        expect(Math.abs(read.reduce((sum, one) => sum + one, 0) - 1)).toBeLessThan(1e-9);
        expect(read.every((one) => one >= 0 && one <= 1)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe("intentBody", () => {
  const asked = (options: number, constraint = unconstrained): unknown =>
    JSON.parse(
      Buffer.from(intentBody("m", { prompt: 'say "A"\n', options, temperature: 0.5 }, constraint)).toString(),
    );

  test("asks one token of one user message, not streamed", () => {
    expect(asked(6)).toEqual({
      model: "m",
      messages: [{ role: "user", content: 'say "A"\n' }],
      max_tokens: 1,
      temperature: 0.5,
      logprobs: true,
      top_logprobs: 20,
      stream: false,
    });
  });

  test("asks one alternative a letter where a row wants no other number, from 1 to 20", () => {
    const plain = { name: "plain", binds: true, members: () => ({}) };
    const wanted = [1, 6, 20].map((options) => asked(options, plain));
    expect(wanted.map((body) => Object(body).top_logprobs)).toEqual([1, 6, 20]);
  });

  test("leaves the log-probabilities out where a row is without them", () => {
    const body = asked(2, withoutOdds(unconstrained));
    expect(body).toHaveProperty("max_tokens", 1);
    expect(body).not.toHaveProperty("logprobs");
    expect(body).not.toHaveProperty("top_logprobs");
  });
});
