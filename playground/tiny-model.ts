// Generates a language model of half a megabyte, as a GGUF file: real weights, real tokenizer, no sense at all.
// The bytes depend only on the seed, so the file is named by their hash and made once a machine.

import { existsSync, mkdirSync, renameSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Random } from "../src/base/random.ts";
import { seededRandom } from "../src/base/random.ts";

const shape = {
  blocks: 2,
  dimension: 64,
  heads: 4,
  feedForward: 128,
  ropeDimensions: 16,
} as const;

/** Prompt and answer together; the tokenizer knows single characters only, so these are characters. */
export const tinyModelContext = 1024;

/** The path of the model file, which is written first where it is missing. */
export async function tinyModelFile(seed = 1): Promise<string> {
  const bytes = tinyModelBytes(seed);
  const hash = new Bun.CryptoHasher("sha256").update(bytes).digest("hex").slice(0, 16);
  const folder = join(tmpdir(), "tierline-playground");
  const path = join(folder, `tiny-npc-${hash}.gguf`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  // Renamed when whole: another process may be looking for it at this moment.
  const unfinished = `${path}.${process.pid}`;
  await Bun.write(unfinished, bytes);
  renameSync(unfinished, path);
  return path;
}

/** Chat messages as the model's own chat template would render them. */
export function tinyChatPrompt(
  messages: readonly { readonly role: string; readonly content: string }[],
): string {
  const turns = messages.map(({ role, content }) => `<${role}> ${content}\n`);
  return `${turns.join("")}<assistant> `;
}

const chatTemplate =
  "{% for message in messages %}<{{ message.role }}> {{ message.content }}\n{% endfor %}<assistant> ";

/** GGUF v3: header, metadata, tensor directory, and the tensors, each on a boundary of 32 bytes. */
export function tinyModelBytes(seed: number): Uint8Array {
  const tokens = vocabulary();
  const tensors = tensorsOf(tokens, seededRandom(seed));
  const out = createWriter();
  const { dimension } = shape;
  const metadata: [key: string, write: () => void][] = [
    ["general.architecture", () => out.typedString("llama")],
    ["general.name", () => out.typedString("tiny-npc")],
    ["general.file_type", () => out.typedU32(0)],
    ["llama.context_length", () => out.typedU32(tinyModelContext)],
    ["llama.embedding_length", () => out.typedU32(dimension)],
    ["llama.block_count", () => out.typedU32(shape.blocks)],
    ["llama.feed_forward_length", () => out.typedU32(shape.feedForward)],
    ["llama.rope.dimension_count", () => out.typedU32(shape.ropeDimensions)],
    ["llama.attention.head_count", () => out.typedU32(shape.heads)],
    ["llama.attention.head_count_kv", () => out.typedU32(shape.heads)],
    ["llama.attention.layer_norm_rms_epsilon", () => out.typedF32(1e-5)],
    ["llama.vocab_size", () => out.typedU32(tokens.length)],
    ["tokenizer.ggml.model", () => out.typedString("llama")],
    ["tokenizer.ggml.tokens", () => out.stringArray(tokens.map((token) => token.text))],
    ["tokenizer.ggml.scores", () => out.f32Array(tokens.map((_, index) => -index))],
    ["tokenizer.ggml.token_type", () => out.i32Array(tokens.map((token) => token.type))],
    ["tokenizer.ggml.unknown_token_id", () => out.typedU32(0)],
    ["tokenizer.ggml.bos_token_id", () => out.typedU32(1)],
    ["tokenizer.ggml.eos_token_id", () => out.typedU32(2)],
    ["tokenizer.chat_template", () => out.typedString(chatTemplate)],
  ];

  out.bytes(Buffer.from("GGUF"));
  out.u32(3);
  out.u64(tensors.length);
  out.u64(metadata.length);
  for (const [key, write] of metadata) {
    out.string(key);
    write();
  }
  let offset = 0;
  for (const { name, dimensions, weights } of tensors) {
    out.string(name);
    out.u32(dimensions.length);
    for (const length of dimensions) out.u64(length);
    out.u32(ggufType.tensorF32);
    out.u64(offset);
    offset = aligned(offset + weights.byteLength);
  }
  for (const { weights } of tensors) {
    out.align();
    out.bytes(new Uint8Array(weights.buffer));
  }
  return out.finish();
}

const ggufType = { u32: 4, i32: 5, f32: 6, string: 8, array: 9, tensorF32: 0 } as const;

const aligned = (offset: number): number => Math.ceil(offset / 32) * 32;

interface VocabularyToken {
  readonly text: string;
  readonly type: number;
}

const tokenType = { normal: 1, unknown: 2, control: 3, byte: 6 } as const;

/** 3 special tokens, 256 bytes, and the 95 printable characters of ASCII: 354. */
function vocabulary(): VocabularyToken[] {
  const bytes = Array.from({ length: 256 }, (_, byte) => ({
    text: `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
    type: tokenType.byte,
  }));
  const characters = Array.from({ length: 95 }, (_, index) => ({
    // SentencePiece writes a space as U+2581.
    text: index === 0 ? "\u2581" : String.fromCharCode(32 + index),
    type: tokenType.normal,
  }));
  return [
    { text: "<unk>", type: tokenType.unknown },
    { text: "<s>", type: tokenType.control },
    { text: "</s>", type: tokenType.control },
    ...bytes,
    ...characters,
  ];
}

interface Tensor {
  readonly name: string;
  /** Innermost first. */
  readonly dimensions: readonly number[];
  readonly weights: Float32Array;
}

function tensorsOf(tokens: readonly VocabularyToken[], random: Random): Tensor[] {
  const { dimension, feedForward } = shape;
  const matrix = (name: string, columns: number, rows: number): Tensor => {
    const weights = Float32Array.from(
      { length: columns * rows },
      () => gaussian(random) / Math.sqrt(columns),
    );
    return { name, dimensions: [columns, rows], weights };
  };
  const norm = (name: string): Tensor => ({
    name,
    dimensions: [dimension],
    weights: new Float32Array(dimension).fill(1),
  });
  const output = matrix("output.weight", dimension, tokens.length);
  tokens.forEach(({ text, type }, row) => {
    // Only letters, digits and spaces get a voice: what the model says is nonsense, but can be printed.
    const audible = type === tokenType.normal && /[\u2581a-zA-Z0-9]/.test(text);
    const gain = audible ? 3 : 0;
    for (let at = row * dimension; at < (row + 1) * dimension; at += 1) {
      output.weights[at] = (output.weights[at] ?? 0) * gain;
    }
  });
  const blocks = Array.from({ length: shape.blocks }, (_, block) => [
    norm(`blk.${block}.attn_norm.weight`),
    matrix(`blk.${block}.attn_q.weight`, dimension, dimension),
    matrix(`blk.${block}.attn_k.weight`, dimension, dimension),
    matrix(`blk.${block}.attn_v.weight`, dimension, dimension),
    matrix(`blk.${block}.attn_output.weight`, dimension, dimension),
    norm(`blk.${block}.ffn_norm.weight`),
    matrix(`blk.${block}.ffn_gate.weight`, dimension, feedForward),
    matrix(`blk.${block}.ffn_up.weight`, dimension, feedForward),
    matrix(`blk.${block}.ffn_down.weight`, feedForward, dimension),
  ]);
  return [
    matrix("token_embd.weight", dimension, tokens.length),
    ...blocks.flat(),
    norm("output_norm.weight"),
    output,
  ];
}

/** Box-Muller. */
function gaussian(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Little-endian, growing; the `typed` ones put GGUF's type before the value. */
function createWriter() {
  const parts: Uint8Array[] = [];
  let length = 0;
  const bytes = (part: Uint8Array): void => {
    parts.push(part);
    length += part.byteLength;
  };
  const number = (size: number, write: (view: DataView) => void): void => {
    const part = new Uint8Array(size);
    write(new DataView(part.buffer));
    bytes(part);
  };
  const u32 = (value: number): void => number(4, (view) => view.setUint32(0, value, true));
  const u64 = (value: number): void => number(8, (view) => view.setBigUint64(0, BigInt(value), true));
  const string = (text: string): void => {
    const encoded = Buffer.from(text);
    u64(encoded.length);
    bytes(encoded);
  };
  const arrayHead = (type: number, count: number): void => {
    u32(ggufType.array);
    u32(type);
    u64(count);
  };
  return {
    bytes,
    u32,
    u64,
    string,
    typedU32(value: number) {
      u32(ggufType.u32);
      u32(value);
    },
    typedF32(value: number) {
      u32(ggufType.f32);
      number(4, (view) => view.setFloat32(0, value, true));
    },
    typedString(text: string) {
      u32(ggufType.string);
      string(text);
    },
    stringArray(texts: readonly string[]) {
      arrayHead(ggufType.string, texts.length);
      for (const text of texts) string(text);
    },
    f32Array(values: readonly number[]) {
      arrayHead(ggufType.f32, values.length);
      bytes(new Uint8Array(Float32Array.from(values).buffer));
    },
    i32Array(values: readonly number[]) {
      arrayHead(ggufType.i32, values.length);
      bytes(new Uint8Array(Int32Array.from(values).buffer));
    },
    align() {
      bytes(new Uint8Array(aligned(length) - length));
    },
    finish: (): Uint8Array => Buffer.concat(parts),
  };
}
