// What an operator writes: a configuration is taken or every error has its place, and no message holds a secret.

import { addressText, parseAddress } from "../../../src/base/address.ts";
import { parseByteSize } from "../../../src/config/byte-size.ts";
import { readKeys } from "../../../src/config/keys-file.ts";
import { problemText } from "../../../src/config/problem.ts";
import { engine, loadText } from "../../config/load-text.ts";
import type { Dice } from "../dice.ts";
import type { Target } from "../target.ts";
import { bytesOf, must, textOf } from "../target.ts";

const lines = [
  "[host]",
  'name = "gold-1"',
  "[listen]",
  'public = "0.0.0.0:8010"',
  'admin = "127.0.0.1:0"',
  'gossip = "127.0.0.1:0"',
  "[auth]",
  'mode = "keys"',
  'mode = "none"',
  'keys_file = "keys"',
  "[limits]",
  'body_bytes = "4MB"',
  "[tier.bronze]",
  'runner = "local"',
  "[sla.realtime]",
  "total_ms = 250",
  'ladder = ["gold", "silver"]',
  "[intents]",
  "ttl_ms = 1000",
  "[intents.archetype.guard]",
  'prompt = "x"',
  'actions = ["a", "b"]',
  "[intents.archetype.guard.feature]",
  "threat = { buckets = [0.2, 0.5] }",
  'weather = { oneof = ["a", "b"] }',
  "[cluster]",
  'secret_file = "keys"',
  'seeds = ["a:1"]',
  "[[engine]]",
  'tier = "gold"',
  'kind = "vllm"',
  'url = "http://127.0.0.1:8000"',
  'models = ["a"]',
  "max_concurrent = 4",
  "[cors]",
  'origins = ["*"]',
  "x = 1979-05-27T07:32:00Z",
  "y = [[], {}, 0x1f, 1e400, nan, inf]",
  'z = """\na\\\n b"""',
] as const;

const secret = "sk-never-to-be-shown";

export const config: Target = {
  name: "config",
  generate: (dice: Dice) =>
    bytesOf(`${dice.chance(0.5) ? engine : ""}${dice.some(14, () => dice.pick(lines)).join("\n")}\n`),
  words: [
    "\n",
    "=",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    '"',
    "'",
    '"""',
    ".",
    "#",
    "1e400",
    "-0",
    "__proto__",
    "constructor = 1\n",
    "[__proto__]\n",
    ...lines,
  ],
  check(input) {
    const text = textOf(input);
    const loaded = loadText(text, { files: { keys: `lobby:${secret}-and-long-enough-for-a-secret\n` } });
    const rows = text.split(/\r\n|\n|\r/).length;
    const problems = loaded.ok ? loaded.warnings : loaded.errors;
    must(loaded.ok || problems.length > 0, "refused without a reason");
    for (const problem of problems) {
      const told = problemText(problem);
      must(told.length < 3 * inputMost, "an endless message");
      must(!told.includes(secret), "a message holds a secret");
      if (problem.file === "tierline.toml" && problem.line !== undefined)
        must(
          problem.line >= 1 && problem.line <= rows + 1 && (problem.column ?? 1) >= 1,
          `a place outside the file: ${told}`,
        );
    }
    const first = problems[0]?.message.replaceAll(/"[^"]*"|\d+|\S*[.=]\S*/g, "").slice(0, 40);
    return `${loaded.ok} ${Math.min(6, problems.length)} ${first ?? ""}`;
  },
};

const inputMost = 16_384;

export const keysFiles: Target = {
  name: "keys-files",
  generate: (dice) =>
    bytesOf(
      dice
        .some(
          6,
          () =>
            `${dice.pick(["a", "lobby", "arena", "", "#x", "ä"])}${dice.pick([":", "", " : "])}${dice.pick(["sk-SECRET", "sk-SECRET-2", "", "sk SECRET"])}`,
        )
        .join(dice.pick(["\n", "\r\n"])),
    ),
  words: ["\n", ":", "#", " ", "\0", "SECRET", "\r\n"],
  check(input) {
    const reading = readKeys(textOf(input), "keys");
    if (!reading.ok) {
      for (const { message, hint } of reading.errors)
        must(!`${message}${hint}`.includes("SECRET"), "a message holds a key");
      return `refused ${[...new Set(reading.errors.map(({ message }) => message.replaceAll(/\d+/g, "")))].join()}`;
    }
    must(reading.keys.length > 0, "no keys");
    must(new Set(reading.keys.map(({ key }) => key)).size === reading.keys.length, "a key twice");
    for (const { name, key } of reading.keys)
      must(/^[A-Za-z0-9._-]{1,64}$/.test(name) && /^[\x21-\x7e]+$/.test(key), "a key that is none");
    return `${Math.min(9, reading.keys.length)}`;
  },
};

export const scalars: Target = {
  name: "scalars",
  generate: (dice) =>
    bytesOf(
      dice.pick([
        "127.0.0.1:80",
        "[::1]:65535",
        "a.b:0",
        `${dice.int(1e6)}${dice.pick(["", "MB", " KiB", "gb", ".5MB"])}`,
        "0.0000000001GB",
        "9007199254740991",
      ]),
    ),
  words: [":", "[", "]", ".", "0", "99999", "e", "MB", " ", "-", "::"],
  check(input) {
    const text = textOf(input);
    const address = parseAddress(text);
    if (address !== undefined) {
      must(address.port >= 0 && address.port <= 65_535, "a port that is none");
      must(Bun.deepEquals(parseAddress(addressText(address)), address), "another address comes back");
    }
    const bytes = parseByteSize(text);
    must(bytes === undefined || (Number.isSafeInteger(bytes) && bytes >= 0), "a size that is none");
    return [
      address === undefined,
      address?.host.includes(":"),
      bytes === undefined,
      bytes === 0,
      Math.min(12, text.length),
    ].join();
  },
};
