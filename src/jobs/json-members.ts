// The members of a JSON object as they are written: what is parsed and written anew is not always the same number.

import { asBuffer } from "../base/as-buffer.ts";

/** The value of a member, of valid JSON; of several with this key the last, as `JSON.parse` has it. */
export function valueIn(body: Uint8Array, key: string): Uint8Array | undefined {
  const member = membersOf(asBuffer(body)).findLast((each) => keyOf(each) === key);
  return member?.subarray(member.indexOf(colon, stringEnd(member, member.indexOf(quote))) + 1);
}

/** The text between the commas of the outermost object. `bytes` are valid JSON. */
export function membersOf(bytes: Buffer): readonly Buffer[] {
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

/** The object of these members. */
export function objectOf(members: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const member of members) parts.push(parts.length === 0 ? openText : commaText, member);
  if (parts.length === 0) parts.push(openText);
  parts.push(closeText);
  return Buffer.concat(parts);
}

/** Of a member. */
export function keyOf(member: Buffer): unknown {
  const start = member.indexOf(quote);
  return JSON.parse(member.toString("utf8", start, stringEnd(member, start) + 1));
}

const openText = Buffer.from("{");
const commaText = Buffer.from(",");
const closeText = Buffer.from("}");
const space = 0x20;
const quote = 0x22;
const commaByte = 0x2c;
const colon = 0x3a;
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
