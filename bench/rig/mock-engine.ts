// Two addresses of an engine that costs next to nothing, so that a bench measures what stands in front of it.
// Run as a process of its own, with IPC: says which ports it took, and the instant at which a client was gone.
//
// A body decides the answer: `"stream":true` sends as many chunks as its `max_tokens`, one every `chunkEveryMs`;
// model names ending in `-mute` are never answered; who asks for the odds of letters gets some. Every other POST gets
// one fixed JSON answer.

import type { Socket } from "bun";

export const mockModel = "bench-model";
export const muteModel = "bench-mute";

/** What the process says to the one that started it. Unix milliseconds with a fraction: `now` alone differs from process to process. */
export type MockEngineMessage =
  | { readonly ready: readonly [number, number] }
  | { readonly goneAtMs: number }
  | { readonly heldAtMs: number };

const chunkEveryMs = 10;
const searchedBytes = 2048;

interface Connection {
  /** Bytes of the current request that are still to come; 0 between requests. */
  missingBytes: number;
  head: string;
  kind: "answer" | "letter" | "stream" | "mute";
  chunks: number;
  timer: ReturnType<typeof setInterval> | undefined;
  /** An answer is owed: whoever leaves now leaves in the middle. */
  owing: boolean;
}

const completion = {
  id: "chatcmpl-bench",
  object: "chat.completion",
  created: 1_790_000_000,
  model: mockModel,
  choices: [
    {
      index: 0,
      message: { role: "assistant", content: "The gate stays shut until sunrise." },
      finish_reason: "stop",
    },
  ],
  usage: { prompt_tokens: 64, completion_tokens: 8, total_tokens: 72 },
};
const answer = withLength(JSON.stringify(completion), "application/json");
const oddsOfLetters = [0.4, 0.3, 0.15, 0.1, 0.04, 0.01].map((odds, index) => ({
  token: String.fromCharCode(65 + index),
  logprob: Math.log(odds),
}));
const letterChoice = {
  index: 0,
  message: { role: "assistant", content: "A" },
  logprobs: { content: [{ ...oddsOfLetters[0], top_logprobs: oddsOfLetters }] },
  finish_reason: "length",
};
const letter = withLength(JSON.stringify({ ...completion, choices: [letterChoice] }), "application/json");
const modelList = withLength(
  JSON.stringify({
    object: "list",
    data: [mockModel, muteModel].map((id) => ({
      id,
      object: "model",
      owned_by: "bench",
      max_model_len: 8192,
    })),
  }),
  "application/json",
);
const healthy = withLength("", "text/plain");

const chunkText = `data: ${JSON.stringify({
  id: "chatcmpl-bench",
  object: "chat.completion.chunk",
  created: 1_790_000_000,
  model: mockModel,
  choices: [{ index: 0, delta: { content: " gate" }, finish_reason: null }],
})}\n\n`;
const streamHead =
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
const chunk = Buffer.from(framed(chunkText));
const firstChunk = Buffer.from(streamHead + framed(chunkText));
const lastChunk = Buffer.from(`${framed("data: [DONE]\n\n")}0\r\n\r\n`);

let generatedTokens = 0;

function withLength(body: string, type: string): Buffer {
  return Buffer.from(
    `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function framed(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

const nowMs = (): number => performance.timeOrigin + performance.now();

function tell(message: MockEngineMessage): void {
  process.send?.(message);
}

function begin(connection: Connection, bytes: Buffer): number {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0) throw new Error("the mock engine expects a request head in one piece");
  connection.head = bytes.toString("latin1", 0, headEnd);
  const length = /\r\ncontent-length: *(\d+)/i.exec(connection.head)?.[1] ?? "0";
  connection.kind = "answer";
  connection.chunks = 1;
  return headEnd + 4 + Number(length);
}

/** Bodies of the bench carry what decides in front, so that not all of a long one is searched. */
function readKind(connection: Connection, piece: Buffer): void {
  const bytes = piece.subarray(0, searchedBytes);
  if (bytes.includes('-mute"')) connection.kind = "mute";
  else if (bytes.includes('"logprobs":true')) connection.kind = "letter";
  if (!bytes.includes('"stream":true')) return;
  if (connection.kind === "answer") connection.kind = "stream";
  connection.chunks = Number(/"max_tokens":(\d+)/.exec(bytes.toString("latin1"))?.[1] ?? 1);
}

function respond(socket: Socket<Connection>, connection: Connection): void {
  const { head, kind } = connection;
  if (head.startsWith("GET /metrics")) {
    socket.write(
      withLength(
        `vllm:num_requests_running{model_name="${mockModel}"} 0\nvllm:num_requests_waiting{model_name="${mockModel}"} 0\nvllm:generation_tokens_total{model_name="${mockModel}"} ${generatedTokens}\n`,
        "text/plain; version=0.0.4",
      ),
    );
  } else if (head.startsWith("GET /v1/models")) socket.write(modelList);
  else if (head.startsWith("GET ")) socket.write(healthy);
  else if (kind === "answer") {
    generatedTokens += 8;
    socket.write(answer);
  } else if (kind === "letter") {
    generatedTokens += 1;
    socket.write(letter);
  } else {
    connection.owing = true;
    if (kind === "mute") tell({ heldAtMs: nowMs() });
    else stream(socket, connection);
  }
}

function stream(socket: Socket<Connection>, connection: Connection): void {
  let left = connection.chunks - 1;
  socket.write(firstChunk);
  connection.timer = setInterval(() => {
    generatedTokens += 1;
    if (left > 0) {
      left -= 1;
      socket.write(chunk);
      return;
    }
    clearInterval(connection.timer);
    connection.owing = false;
    socket.write(lastChunk);
  }, chunkEveryMs);
}

function listen(): number {
  return Bun.listen<Connection>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.setNoDelay(true);
        socket.data = {
          missingBytes: 0,
          head: "",
          kind: "answer",
          chunks: 1,
          timer: undefined,
          owing: false,
        };
      },
      data(socket, bytes) {
        const connection = socket.data;
        if (connection.missingBytes === 0) connection.missingBytes = begin(connection, bytes);
        readKind(connection, bytes);
        connection.missingBytes -= bytes.length;
        if (connection.missingBytes === 0) respond(socket, connection);
      },
      close(socket) {
        if (socket.data.owing) tell({ goneAtMs: nowMs() });
        clearInterval(socket.data.timer);
      },
      error() {},
    },
  }).port;
}

if (import.meta.main) {
  tell({ ready: [listen(), listen()] });
  process.on("disconnect", () => process.exit(0));
}
