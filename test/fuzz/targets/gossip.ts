// What one router hears of another, before and after its seal: packed or not, a message is read as it was meant or not at
// all, nothing is unpacked beyond its bound, and what is taken for a claim or an advert is one.

import { claimIncarnationMost } from "../../../src/cluster/incarnation.ts";
import { messageBounds, readMessage, readReply } from "../../../src/cluster/messages.ts";
import { advertRule, isName, readAdvert } from "../../../src/fleet/advert.ts";
import { loadHint, readLoadHint } from "../../../src/fleet/load.ts";
import { decode, encode, gossipBounds } from "../../../src/host/gossip-wire.ts";
import { startsZstd, zstdContentBytes } from "../../../src/host/zstd-frame.ts";
import type { Dice } from "../dice.ts";
import { jsonText } from "../json-text.ts";
import type { Target } from "../target.ts";
import { bytesOf, must, textOf } from "../target.ts";

const keys = [
  "v",
  "kind",
  "from",
  "for",
  "name",
  "boot",
  "address",
  "claims",
  "digest",
  "to",
  "incarnation",
  "state",
  "seq",
  "meta",
  "engines",
] as const;
const sender = { name: "gold-1", boot: "b1", address: "10.0.0.1:8012" };
const meta = {
  v: 1,
  at: 12,
  up_ms: 13,
  public: "http://10.0.0.1:8010",
  zone: "us-east-1a",
  intents: [3, 4],
  engines: [["vllm", "gold", ["small"], 64, 3, 0, 12, 40, "ok"]],
  clearings: [[7, "intents", "guard", null]],
  short: ["silver"],
};
const claim = {
  ...sender,
  incarnation: 1_767_225_600_000,
  state: "suspect",
  seq: 3,
  accusers: ["gold-2"],
  why: "silent",
  meta,
};

function generate(dice: Dice): Uint8Array {
  const name = (): string => `gold-${dice.int(40)}`;
  const claims = dice.some(4, () => ({
    ...claim,
    name: name(),
    state: dice.pick(["alive", "suspect", "dead", "left", "new"]),
    seq: dice.int(9),
    incarnation: dice.pick([
      1,
      1_767_225_600_000,
      claimIncarnationMost,
      claimIncarnationMost + 1,
      Number.MAX_SAFE_INTEGER,
    ]),
  }));
  const digest = dice.some(30, () => [name(), dice.int(1e9), dice.int(9), dice.int(9)]);
  const message = {
    v: dice.pick<readonly number[]>([[1, 1], [1, 3], [2, 2], [0, 0], [1]]),
    kind: dice.pick(["sync", "ping", "ask", "reply", "refusal", "later"]),
    from: { ...sender, name: name() },
    ...(dice.chance(0.5) && { for: name() }),
    claims,
    digest,
    to: name(),
    address: "10.0.0.2:8012",
    timeoutMs: 500,
    more: dice.chance(0.5),
  };
  const text = dice.chance(0.8) ? JSON.stringify(message) : jsonText(dice, keys);
  const bytes = bytesOf(dice.chance(0.1) ? text.replace(/\[/, "[".repeat(dice.int(10_000))) : text);
  return dice.chance(0.3) ? Uint8Array.from(Bun.zstdCompressSync(bytes, { level: 1 })) : bytes;
}

export const gossip: Target = {
  name: "gossip",
  generate,
  words: [
    '"kind":"sync"',
    '"v":[1,1]',
    '"state":"alive"',
    '"claims":[',
    '"digest":[',
    '["gold-2",1,0,3]',
    "9007199254740993",
    "-1",
    "1e400",
    '"__proto__":{',
    "[[[[[[[[[[[[[[[[",
    "null",
    "\x28\xb5\x2f\xfd",
  ],
  check(input) {
    if (startsZstd(input)) {
      if (zstdContentBytes(input) !== undefined)
        must(zstdContentBytes(Buffer.concat([input, input])) === undefined, "a frame with more behind it");
      const says = zstdContentBytes(input);
      if (says !== undefined && says <= gossipBounds.bodyBytes) {
        const opened = unpacked(input);
        must(opened === undefined || opened.length === says, "a frame holds other than it says");
      }
    }
    const decoded = decode(input);
    if (decoded === undefined) return `undecoded ${startsZstd(input)}`;
    const { message } = decoded;
    const again = encode(message);
    if (again !== undefined)
      must(Bun.deepEquals(plain(decode(again)?.message), plain(message)), "another message comes back");
    const read = readMessage(message);
    const reply = readReply(message);
    const envelope = typeof read === "string" ? reply : read;
    const claims = envelope?.claims ?? [];
    must(claims.length <= messageBounds.members, "too many claims");
    let adverts = 0;
    for (const each of claims) {
      must(
        each.name.length <= messageBounds.textLength && each.incarnation <= claimIncarnationMost,
        "a claim out of bounds",
      );
      const advert = readAdvert(each.meta);
      if (advert === undefined) continue;
      adverts += 1;
      must(advert.engines.length <= advertRule.enginesMost, "too many engines");
      for (const { name, slots, load } of advert.engines) {
        must(isName(name) && slots >= 1, "an engine that is none");
        // JSON has a zero below zero, which nobody tells from the other.
        must(Bun.deepEquals(plain(readLoadHint(loadHint(load))), plain(load)), "its load does not come back");
      }
    }
    if (envelope !== undefined)
      must(
        Bun.deepEquals(
          plain(typeof read === "string" ? readReply(plain(envelope)) : readMessage(plain(envelope))),
          plain(envelope),
        ),
        "read again it is another",
      );
    return [
      typeof read === "string" ? read : read.kind,
      reply?.kind,
      Math.min(4, claims.length),
      adverts,
      startsZstd(input),
    ].join();
  },
};

const plain = (value: unknown): unknown =>
  value === undefined ? undefined : JSON.parse(JSON.stringify(value));

function unpacked(frame: Uint8Array): Uint8Array | undefined {
  try {
    return Bun.zstdDecompressSync(frame);
  } catch {
    return undefined;
  }
}

/** Loads as they are told with each answer. */
export const loadHints: Target = {
  name: "load-hints",
  generate: (dice) =>
    bytesOf(
      Array.from({ length: 5 }, () =>
        dice.chance(0.2) ? "-" : String(dice.int(dice.pick([10, 101, 2_000_000]))),
      ).join(" "),
    ),
  words: [" ", "-", "0", "9999999999999999", "1e3", "\t"],
  check(input) {
    const text = textOf(input);
    const load = readLoadHint(text);
    if (load === undefined) return "none";
    must(Bun.deepEquals(readLoadHint(loadHint(load)), load), "another load comes back");
    return [load.kvPercent === undefined, load.firstByteMs === undefined, text.length].join();
  },
};
