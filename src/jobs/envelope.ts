// What containers on SageMaker answer, as a table of shapes, and the one shape that callers get: OpenAI's.

import { asBuffer } from "../base/as-buffer.ts";
import { isRecord } from "../base/is-record.ts";
import { parseJson } from "../base/parse-json.ts";
import { isWholeAnswer } from "../dispatch/whole-answer.ts";
import { readErrorBody } from "../engines/openai-wire.ts";
import type { Job, JobKind } from "./job.ts";
import { inferencePathOf } from "./job.ts";
import { ulidOf } from "./job-id.ts";

type Asked = Pick<Job, "id" | "kind" | "model" | "acceptedAtMs">;

export type Opened =
  | { readonly ok: true; readonly result: Uint8Array }
  | { readonly ok: false; readonly why: string };

interface Shape {
  readonly name: string;
  /** Undefined: it is not of this shape. */
  read(root: unknown, bytes: Uint8Array, job: Asked): Opened | undefined;
}

/** Of an answer that nobody knows, so much is shown to whoever has to find out. */
const shownMost = 200;

/** The first that fits. */
const shapes: readonly Shape[] = [
  {
    // vLLM, TGI's Messages API, LMI with OpenAI's schema.
    name: "openai",
    read(root, bytes, { kind }) {
      if (!isRecord(root) || !Array.isArray(root["choices"])) return undefined;
      if (isWholeAnswer(inferencePathOf[kind], bytes)) return { ok: true, result: bytes };
      return { ok: false, why: "the model's answer is broken off or empty" };
    },
  },
  {
    name: "error",
    read(root, bytes) {
      if (!isRecord(root) || (root["error"] === undefined && root["object"] !== "error")) return undefined;
      const said = readErrorBody(500, asBuffer(bytes).toString("utf8"))?.message;
      return { ok: false, why: `the model's container answered with an error: ${said ?? shown(bytes)}` };
    },
  },
  {
    // Hugging Face TGI and LMI: one object, or a list of them.
    name: "tgi",
    read(root, _bytes, job) {
      const list: readonly unknown[] = Array.isArray(root) ? root : [root];
      const texts = list.filter(isGenerated);
      if (texts.length === 0 || texts.length < list.length) return undefined;
      return { ok: true, result: Buffer.from(JSON.stringify(openAiShaped(texts, job))) };
    },
  },
];

export function openEnvelope(bytes: Uint8Array, job: Asked): Opened {
  const root = parseJson(asBuffer(bytes).toString("utf8"));
  for (const shape of shapes) {
    const opened = shape.read(root, bytes, job);
    if (opened !== undefined) return opened;
  }
  return {
    ok: false,
    why: `the model's container answered in a shape that is not known here. It begins: ${shown(bytes)}`,
  };
}

/** The beginning, as one line. */
export const shown = (bytes: Uint8Array): string =>
  asBuffer(bytes)
    .toString("utf8", 0, 4 * shownMost)
    .replace(/\s+/g, " ")
    .slice(0, shownMost);

interface Generated {
  readonly generated_text: string;
  readonly details?: unknown;
}

const isGenerated = (value: unknown): value is Generated =>
  isRecord(value) && typeof value["generated_text"] === "string";

/** TGI's words for the end of a text. */
const finishReasons: Readonly<Record<string, string>> = {
  length: "length",
  eos_token: "stop",
  stop_sequence: "stop",
};

const objects: Readonly<Record<JobKind, string>> = { chat: "chat.completion", completion: "text_completion" };

function openAiShaped(texts: readonly Generated[], { id, kind, model, acceptedAtMs }: Asked): object {
  return {
    id: `${kind === "chat" ? "chatcmpl" : "cmpl"}-${ulidOf(id)}`,
    object: objects[kind],
    created: Math.floor(acceptedAtMs / 1000),
    model,
    choices: texts.map(({ generated_text: text, details }, index) => ({
      index,
      ...(kind === "chat" ? { message: { role: "assistant", content: text } } : { text }),
      logprobs: null,
      finish_reason: finishReasonOf(details),
    })),
  };
}

function finishReasonOf(details: unknown): string {
  const said = isRecord(details) ? details["finish_reason"] : undefined;
  return (typeof said === "string" ? finishReasons[said] : undefined) ?? "stop";
}
