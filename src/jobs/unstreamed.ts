// The body that a job is sent with: the caller's, but told not to stream. SageMaker loses an answer that comes in chunks.

import { asBuffer } from "../base/as-buffer.ts";

const streamKey = Buffer.from('"stream');
const escapeMark = Buffer.from("\\u");
const unstreamedMember = Buffer.from('"stream":false');
const comma = Buffer.from(",");
const braces = [Buffer.from("{"), Buffer.from("}")] as const;

/** What says how to stream. `stream_options` without `stream` is an error for most engines. */
const dropped = new Set<unknown>(["stream", "stream_options"]);

/**
 * `body` is valid JSON and an object. Every other member keeps its bytes; a second `stream` would not do, for some
 * parsers refuse a key that stands twice.
 */
export function unstreamed(body: Uint8Array): Uint8Array {
  const bytes = asBuffer(body);
  const members = membersOf(bytes);
  const mayStream = bytes.includes(streamKey) || bytes.includes(escapeMark);
  const kept = mayStream ? members.filter((member) => !dropped.has(keyOf(member))) : members;
  const parts: Uint8Array[] = [braces[0], unstreamedMember];
  for (const member of kept) parts.push(comma, member);
  parts.push(braces[1]);
  return Buffer.concat(parts);
}

/** The text between the commas of the outermost object. */
function membersOf(bytes: Buffer): readonly Buffer[] {
  const members: Buffer[] = [];
  let depth = 0;
  let start = 0;
  const end = (at: number): void => {
    const member = bytes.subarray(start, at);
    if (member.some((byte) => byte > space)) members.push(member);
    start = at + 1;
  };
  for (let at = 0; at < bytes.length; at += 1) {
    switch (bytes[at]) {
      case quote:
        at = stringEnd(bytes, at);
        break;
      case openBrace:
      case openBracket:
        depth += 1;
        if (depth === 1) start = at + 1;
        break;
      case closeBrace:
      case closeBracket:
        depth -= 1;
        if (depth === 0) end(at);
        break;
      case commaByte:
        if (depth === 1) end(at);
        break;
    }
  }
  return members;
}

function keyOf(member: Buffer): unknown {
  const start = member.indexOf(quote);
  return JSON.parse(member.toString("utf8", start, stringEnd(member, start) + 1));
}

const space = 0x20;
const quote = 0x22;
const commaByte = 0x2c;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** Where the string that begins at `start` has its closing quote. */
function stringEnd(bytes: Buffer, start: number): number {
  let at = start + 1;
  while (at < bytes.length && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
  return at;
}
