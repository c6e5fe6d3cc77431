// Whether the body of a 200 is the answer that was asked for. Engines, and what stands before them, also say 200 with an
// error in it, or with half an answer; the caller gets that as it is, but nobody else should.

import { asBuffer } from "../base/as-buffer.ts";
import { isRecord } from "../base/is-record.ts";
import { parseJson } from "../base/parse-json.ts";
import type { InferencePath } from "../engines/dialect.ts";

/** The list that holds the answer. */
const listOf: Readonly<Record<InferencePath, "choices" | "data">> = {
  "/v1/chat/completions": "choices",
  "/v1/completions": "choices",
  "/v1/embeddings": "data",
};

/** What vLLM (the first two) and TensorRT-LLM say of an answer that they did not bring to its end. */
const brokenOff: ReadonlySet<unknown> = new Set(["abort", "error", "cancelled", "timeout"]);

/** By a whole parse: marks in the bytes could as well stand in what a character says. */
export function isWholeAnswer(path: InferencePath, body: Uint8Array): boolean {
  const root = parseJson(asBuffer(body).toString("utf8"));
  if (!isRecord(root) || (root["error"] ?? null) !== null) return false;
  const list = root[listOf[path]];
  return (
    Array.isArray(list) &&
    list.length > 0 &&
    !list.some((item: unknown) => isRecord(item) && brokenOff.has(item["finish_reason"]))
  );
}
