// Reads the file with the secret of the fleet: one line, or two while it is being changed; lines that start with # are
// skipped. No message holds a secret.

import type { SealKeys } from "./sealed-message.ts";

/** HMAC-SHA256 is no stronger than its key; what a person makes up is rarely this long, and `openssl rand` is easy. */
const secretBytesLeast = 16;
const secretsMost = 2;

export type GossipKeysReading =
  | { readonly ok: true; readonly keys: SealKeys }
  | { readonly ok: false; readonly why: string; readonly hint: string };

const hint =
  "one line with the secret of the fleet, such as the output of `openssl rand -hex 32`; during a change two, the one to sign with first";

export function readGossipKeys(text: string): GossipKeysReading {
  const lines = text.split("\n").map((line) => line.trim().replace(/^#.*/, ""));
  const secrets = lines.filter((line) => line !== "").map((line) => new TextEncoder().encode(line));
  const refuse = (why: string): GossipKeysReading => ({ ok: false, why, hint });
  const [first, ...others] = secrets;
  if (first === undefined) return refuse("holds no secret");
  if (secrets.length > secretsMost)
    return refuse(`holds ${secrets.length} lines, and a fleet has one secret or two`);
  const tooShort = lines.findIndex((line) => line !== "" && Buffer.byteLength(line) < secretBytesLeast);
  if (tooShort >= 0) return refuse(`line ${tooShort + 1} is shorter than ${secretBytesLeast} bytes`);
  if (others.some((other) => Buffer.compare(first, other) === 0))
    return refuse("holds the same secret twice");
  return { ok: true, keys: [first, ...others] };
}
