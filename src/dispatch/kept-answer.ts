// An answer that can be given again: which ones can, what is held of them, and what that weighs.

import type { InferencePath } from "../engines/dialect.ts";
import type { AnsweredBy, Dispatched } from "./dispatched.ts";
import { isWholeAnswer } from "./whole-answer.ts";

/** What an entry weighs beyond its bytes: slots, records, and the heads of strings and buffers. An estimate, rounded up. */
const entryOverheadBytes = 1024;
/** Of each header: two strings and the pair that holds them. */
const headerOverheadBytes = 64;

type Headers = readonly (readonly [name: string, value: string])[];

/** Its status was 200. */
export interface KeptAnswer {
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly answeredBy: AnsweredBy;
  /** Whose words they are; undefined: the engine had not said yet what it serves. */
  readonly model: string | undefined;
}

/** Undefined: not a whole good answer, or the engine forbids it. */
export function keptAnswer(path: InferencePath, done: Dispatched): KeptAnswer | undefined {
  if (done.kind !== "answer" || done.status !== 200 || !(done.body instanceof Uint8Array)) return undefined;
  const { headers, body, answeredBy, model } = done;
  if (!isPlainJson(headers) || forbidsKeeping(headers) || !isWholeAnswer(path, body)) return undefined;
  return { headers: lastingHeaders(headers), body: ownBytes(body), answeredBy, model };
}

export function weightOf(key: string, { headers, body, model = "" }: KeptAnswer): number {
  let bytes = entryOverheadBytes + key.length + body.length + model.length;
  for (const [name, value] of headers) bytes += headerOverheadBytes + name.length + value.length;
  return bytes;
}

/** Of the answer itself. All others are of the call that fetched it: its limits, its times, its names. */
const lasting: ReadonlySet<string> = new Set(["content-type", "content-language"]);

export const lastingHeaders = (headers: Headers): Headers => headers.filter(([name]) => lasting.has(name));

const isPlainJson = (headers: Headers): boolean =>
  headers.some(([name, value]) => name === "content-type" && /^application\/json\s*(?:;|$)/i.test(value)) &&
  !headers.some(([name, value]) => name === "content-encoding" && value.toLowerCase() !== "identity");

/**
 * What the engine itself says of its answer (RFC 9111 sections 4.1 and 5.2.2). We ask nobody whether a kept answer still
 * holds, so `no-cache` forbids it too; a directive that is meant for single headers is taken for the whole.
 */
const forbidding: Readonly<Record<string, RegExp>> = {
  "cache-control": /^(?:(?:no-store|no-cache|private)(?:\s*=|$)|(?:s-maxage|max-age)\s*=\s*"?0+"?$)/i,
  vary: /^\*$/,
};

const forbidsKeeping = (headers: Headers): boolean =>
  headers.some(([name, value]) => {
    const pattern = forbidding[name];
    return pattern !== undefined && value.split(",").some((part) => pattern.test(part.trim()));
  });

/** A body may be a part of a larger buffer, which would be kept with it. */
const ownBytes = (body: Uint8Array): Uint8Array =>
  body.byteLength === body.buffer.byteLength ? body : new Uint8Array(body);
