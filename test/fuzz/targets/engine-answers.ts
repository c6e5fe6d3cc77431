// What engines and containers say in their bodies: metrics, models, odds, errors, usage, envelopes. Whatever it is, what
// is read of it is a figure or a text within bounds, or nothing.

import { usageIn } from "../../../src/dispatch/token-usage.ts";
import { isWholeAnswer } from "../../../src/dispatch/whole-answer.ts";
import { readChosenOption, readIntentOdds } from "../../../src/engines/intent-question.ts";
import { readErrorBody, readModelList } from "../../../src/engines/openai-wire.ts";
import { maxOf, sumOf } from "../../../src/engines/prometheus-text.ts";
import { openEnvelope } from "../../../src/jobs/envelope.ts";
import { readManifest, wireOf } from "../../../src/jobs/manifest.ts";
import type { Dice } from "../dice.ts";
import { objectText } from "../json-text.ts";
import type { Target } from "../target.ts";
import { bytesOf, must, textOf } from "../target.ts";

const keys = [
  "choices",
  "message",
  "content",
  "logprobs",
  "top_logprobs",
  "token",
  "logprob",
  "finish_reason",
  "usage",
  "prompt_tokens",
  "error",
  "data",
  "id",
  "object",
  "detail",
  "generated_text",
  "A",
  "B",
] as const;
const whole = [
  '{"choices":[{"message":{"content":"A"},"logprobs":{"content":[{"token":"A","logprob":-0.1,"top_logprobs":[{"token":"A","logprob":-0.1},{"token":" B","logprob":-2}]}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}',
  '{"data":[{"id":"small"},{"id":""},{"id":7}]}',
  '{"error":{"message":"out of memory"}}',
  '{"object":"error","message":"x"}',
  '{"detail":[{"msg":"x"}]}',
  '[{"generated_text":"a","details":{"finish_reason":"length"}}]',
  '{"version":1,"id":"job_a_01JZZZZZZZ0123456789ABCDEF","member":"a","fence":1,"state":"open","owner":null,"kind":"chat","model":"m","ttl_ms":1,"accepted_at_ms":2,"output_key":"k","input":"s3://b/k"}',
] as const;

/** What no engine should say of how likely a letter is. */
const oddLogprobs = ["1e400", "-1e400", "0", "-0", "7", "-9999", "null"] as const;

export const answers: Target = {
  name: "engine-answers",
  generate: (dice: Dice) =>
    bytesOf(
      dice.chance(0.6)
        ? dice
            .pick(whole)
            .replaceAll(/(?<="logprob":)[-\d.]+/g, (right) =>
              dice.chance(0.8) ? right : dice.pick(oddLogprobs),
            )
        : objectText(dice, keys),
    ),
  words: [
    "-1e400",
    "1e400",
    '"logprob":-9999',
    '"token":"B"',
    '"finish_reason":"abort"',
    "null",
    "[",
    "]",
    "{",
    "}",
    '"error":',
    '"state":"failed"',
    '"ended_at_ms":5',
    ...keys,
  ],
  check(input) {
    const text = textOf(input);
    const odds = readIntentOdds(input, 6);
    if (odds !== undefined) {
      const sum = odds.reduce((all, each) => all + each, 0);
      must(
        odds.length === 6 && odds.every((each) => each >= 0 && each <= 1) && Math.abs(sum - 1) < 1e-6,
        `odds that are none: ${odds.join()}`,
      );
    }
    const chosen = readChosenOption(input, 6);
    must(chosen === undefined || (chosen >= 0 && chosen < 6), "an option that is none");
    const models = readModelList(200, text);
    must(
      models === undefined || (models.length <= 256 && models.every((model) => model !== "")),
      "models that are none",
    );
    const error = readErrorBody(500, text)?.message;
    must(error === undefined || (error !== "" && error.length <= 500), "a message out of bounds");
    const usage = usageIn(text);
    must(
      usage === undefined || (Number.isSafeInteger(usage.prompt) && Number.isSafeInteger(usage.completion)),
      "usage that is none",
    );
    const isWhole = isWholeAnswer("/v1/chat/completions", input);
    const opened = openEnvelope(input, {
      id: "job_a_01JZZZZZZZ0123456789ABCDEF",
      kind: "chat",
      model: "m",
      acceptedAtMs: 1,
    });
    if (opened.ok) JSON.parse(textOf(opened.result));
    else must(opened.why.length > 0 && opened.why.length < 1000, "a reason out of bounds");
    const manifest = readManifest(input);
    if (manifest !== undefined)
      must(
        Bun.deepEquals(readManifest(bytesOf(JSON.stringify(wireOf(manifest)))), manifest),
        "another manifest comes back",
      );
    return [
      odds === undefined,
      odds?.filter((each) => each > 0).length,
      chosen,
      models?.length,
      error === undefined,
      usage === undefined,
      isWhole,
      opened.ok,
      manifest?.state,
    ].join();
  },
};

const metric = "vllm:num_requests_running";

export const metricPages: Target = {
  name: "metric-pages",
  generate: (dice) =>
    bytesOf(
      dice
        .some(
          8,
          () =>
            `${dice.pick([metric, `${metric}_total`, "x", "# HELP x", `x${metric}`])}${dice.pick(["", '{a="b"}', '{a="}",b="\\""}', "{", '{a="'])} ${dice.pick(["1", "2.5", "NaN", "+Inf", "-3", "1e3", "x"])}`,
        )
        .join("\n"),
    ),
  words: ["\n", "{", "}", '"', "\\", " ", metric, "NaN", "1e400", "0x10"],
  check(input) {
    const text = textOf(input);
    const sum = sumOf(text, metric, "x");
    const most = maxOf(text, metric, "x");
    must((sum === undefined) === (most === undefined), "summed and not compared");
    must(sum === undefined || Number.isFinite(most), "no figure");
    // Read line by line where no label is broken over lines.
    const rows = text.split("\n").flatMap((row) => {
      const [, value] =
        /^vllm:num_requests_running(?:\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})? (\S+)/.exec(row) ?? [];
      return value !== undefined && value.length <= 20 && Number.isFinite(Number(value))
        ? [Number(value)]
        : [];
    });
    if (rows.length > 0 && !text.includes('"{') && !/[\\]/.test(text) && isTame(text))
      must(most === Math.max(...rows), `another figure: ${most}, not ${rows.join()}`);
    return [sum === undefined, Math.sign(sum ?? 0), Math.min(5, rows.length)].join();
  },
};

/** Quotes and braces come in pairs on each line, and white space is spaces. */
const isTame = (text: string): boolean =>
  text
    .split("\n")
    .every(
      (row) =>
        row.split('"').length % 2 === 1 &&
        /^[\x20-\x7e]*$/.test(row) &&
        row.split("{").length === row.split("}").length,
    );
