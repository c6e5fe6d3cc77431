// The body that a job is sent with: the caller's, but told not to stream. SageMaker loses an answer that comes in chunks.

import { asBuffer } from "../base/as-buffer.ts";
import { keyOf, membersOf, objectOf } from "./json-members.ts";

const escapeMark = Buffer.from("\\u");
const unstreamedMember = Buffer.from('"stream":false');

/** What says how to stream. `stream_options` without `stream` is an error for most engines. */
const streamKeys = ["stream", "stream_options"];

/**
 * `body` is valid JSON and an object. Every other member keeps its bytes; a second `stream` would not do, for some
 * parsers refuse a key that stands twice. `also`: further members that are left out.
 */
export function unstreamed(body: Uint8Array, also: readonly string[] = []): Uint8Array {
  const bytes = asBuffer(body);
  const members = membersOf(bytes);
  const keys = [...streamKeys, ...also];
  const dropped = new Set<unknown>(keys);
  const mayHold = bytes.includes(escapeMark) || keys.some((key) => bytes.includes(`"${key}`));
  const kept = mayHold ? members.filter((member) => !dropped.has(keyOf(member))) : members;
  return objectOf([unstreamedMember, ...kept]);
}
