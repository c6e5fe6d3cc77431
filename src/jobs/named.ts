// The request of a job with another model's name in it; every other member stays as the caller wrote it.

import { asBuffer } from "../base/as-buffer.ts";
import { keyOf, membersOf, objectOf } from "./json-members.ts";

/**
 * `body` is valid JSON and an object; `before` is its top-level `model`, undefined where it has none. One `model` is left,
 * for some parsers take the first of two, and others refuse them.
 */
export function named(body: Uint8Array, before: string | undefined, model: string): Uint8Array {
  const members = membersOf(asBuffer(body));
  const kept = members.filter((member) => keyOf(member) !== "model");
  if (before === model && members.length === kept.length + 1) return body;
  return objectOf([Buffer.from(`"model":${JSON.stringify(model)}`), ...kept]);
}
