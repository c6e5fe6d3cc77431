// Bodies of requests: what our own walks over the bytes find is what JSON.parse finds, and a splice changes the model and
// nothing else.

import { canonicalJson } from "../../../src/base/canonical-json.ts";
import { isDeeperThan } from "../../../src/base/nesting.ts";
import { modelSpan } from "../../../src/dispatch/model-span.ts";
import { readFields, readObject } from "../../../src/http/body.ts";
import { membersOf, objectOf, valueIn } from "../../../src/jobs/json-members.ts";
import { objectText } from "../json-text.ts";
import type { Target } from "../target.ts";
import { bytesOf, must, textOf } from "../target.ts";

const keys = [
  "model",
  "stream",
  "user",
  "priority",
  "messages",
  "content",
  "models",
  "__proto__",
  "constructor",
  "request",
] as const;

const parsedOf = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** By its brackets alone, once its strings are gone. */
function depthIn(text: string): number {
  let depth = 0;
  let most = 0;
  for (const sign of text.replaceAll(/"(?:[^"\\]|\\.)*"/g, "")) {
    if (sign === "{" || sign === "[") depth += 1;
    else if (sign === "}" || sign === "]") depth -= 1;
    most = Math.max(most, depth);
  }
  return most;
}

/** Of a depth that a walk without a bound can take. */
const depthMost = 200;

export const bodies: Target = {
  name: "bodies",
  generate: (dice) => bytesOf(objectText(dice, keys)),
  words: [
    '"model":"x",',
    '"model"',
    '"\\u006dodel":"y"',
    ',"a":1',
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    '"',
    "\\",
    "1e400",
    "-0",
    '"__proto__":{}',
    "\ufeff",
    "null",
    "[[[[[[[[",
    "]]]]]]]]",
    '{"a":',
  ],
  check(input) {
    const fields = readFields(input);
    const read = readObject(input);
    if ("code" in read) {
      must(
        "code" in fields && fields.code === "invalid_request" && fields.message.length < 1000,
        "a strange refusal",
      );
      return `refused ${fields.message.replaceAll(/".*"|\d+/g, "").slice(0, 60)}`;
    }
    const { object } = read;
    // A mark at the beginning is the engine's to judge, and no part of the JSON.
    const text = textOf(input);
    must(Bun.deepEquals(object, parsedOf(text)), "parsed to something else");
    if (isDeeperThan(text, depthMost)) return "too deep to walk";
    const depth = depthIn(text);
    must(isDeeperThan(text, depth - 1) && !isDeeperThan(text, depth), "another depth");

    if (!("code" in fields) && fields.model !== undefined) {
      const span = modelSpan(input);
      must(span !== undefined, "no model was found");
      must(
        parsedOf(textOf(input.subarray(span.start, span.end))) === fields.model,
        "another model was found",
      );
      const spliced = Buffer.concat([
        input.subarray(0, span.start),
        bytesOf('"\\"Z"'),
        input.subarray(span.end),
      ]);
      must(Bun.deepEquals(parsedOf(textOf(spliced)), withModel(text)), "the splice changed something else");
    }
    const names = Object.keys(object);
    for (const name of names) {
      const value = valueIn(input, name);
      must(
        value !== undefined && Bun.deepEquals(parsedOf(textOf(value)), own(object, name)),
        "another value",
      );
    }
    const members = membersOf(Buffer.from(input));
    must(members.length >= names.length, "a member is missing");
    must(Bun.deepEquals(parsedOf(textOf(objectOf(members))), object), "its members make another object");
    const canonical = canonicalJson(object);
    if (canonical !== undefined) {
      must(Bun.deepEquals(parsedOf(canonical), plainZeros(object)), "another canonical object");
      const again = readObject(canonical);
      must(!("code" in again) && canonicalJson(again.object) === canonical, "not canonical");
    }
    const isKnown =
      "code" in fields
        ? fields.param
        : [typeof fields.model, fields.stream, fields.hasPriority, typeof fields.user].join();
    return [isKnown, canonical === undefined, Math.min(8, names.length), Math.min(6, depth)].join();
  },
};

const own = (object: object, name: string): unknown => Object.getOwnPropertyDescriptor(object, name)?.value;

/** As JSON.parse reads it where the last model is another. */
function withModel(text: string): unknown {
  const object: unknown = JSON.parse(text);
  return typeof object === "object" && object !== null
    ? Object.defineProperty(object, "model", {
        value: '"Z',
        writable: true,
        enumerable: true,
        configurable: true,
      })
    : object;
}

/** JSON.stringify writes -0 as 0, and so do engines' parsers read it for whole numbers. */
function plainZeros(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
