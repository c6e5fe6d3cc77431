// Streamed chats: how long the first token takes, and how soon an engine learns that its client has left.

import type { Socket } from "bun";
import { createAnswerReader } from "./answer-reader.ts";
import { streamedChat } from "./requests.ts";

export interface StreamResult {
  readonly firstTokenMs: readonly number[];
  /** Events relayed, `[DONE]` included. */
  readonly chunks: number;
  readonly failed: number;
}

/** As many streams at a time, each followed by the next, `turns` of them on every connection. */
export async function streams(
  port: number,
  concurrency: number,
  turns: number,
  chunks: number,
): Promise<StreamResult> {
  const request = streamedChat(chunks);
  const firstTokenMs: number[] = [];
  let failed = 0;

  const line = async (_: unknown, index: number): Promise<void> => {
    // Spread over the engine's beat, so that chunks do not arrive in one bunch.
    await Bun.sleep(index * 3);
    const reader = createAnswerReader();
    let askedAtMs = 0;
    let waiting = true;
    let turn = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    const ask = (socket: Socket): void => {
      if (turn === turns) {
        resolve();
        socket.end();
        return;
      }
      turn += 1;
      waiting = true;
      askedAtMs = performance.now();
      socket.write(request);
    };
    await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open(socket) {
          socket.setNoDelay(true);
          ask(socket);
        },
        data(socket, bytes) {
          if (waiting && bytes.includes("data: ")) {
            waiting = false;
            firstTokenMs.push(performance.now() - askedAtMs);
          }
          if (!reader.ends(bytes)) return;
          if (reader.status() !== 200) failed += 1;
          ask(socket);
        },
        close() {
          if (turn < turns || waiting) failed += 1;
          resolve();
        },
      },
    });
    await promise;
  };

  await Promise.all(Array.from({ length: concurrency }, line));
  return { firstTokenMs, chunks: concurrency * turns * (chunks + 1), failed };
}

/** Sends a request, waits for `leaveWhen`, and drops the connection. Resolves to when it left, in Unix milliseconds. */
export async function askAndLeave(
  port: number,
  request: Buffer,
  leaveWhen: "first-token" | Promise<unknown>,
): Promise<number> {
  const firstToken = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(_, bytes) {
        if (bytes.includes("data: ")) firstToken.resolve();
      },
    },
  });
  socket.setNoDelay(true);
  socket.write(request);
  await (leaveWhen === "first-token" ? firstToken.promise : leaveWhen);
  const leftAtMs = performance.timeOrigin + performance.now();
  socket.terminate();
  return leftAtMs;
}
