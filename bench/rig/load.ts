// Closed loops of plain requests: each connection asks again as soon as it is answered.

import type { Socket } from "bun";
import type { AnswerReader } from "./answer-reader.ts";
import { createAnswerReader } from "./answer-reader.ts";

export interface LoadResult {
  readonly done: number;
  /** Answered with anything but 200, or cut. */
  readonly failed: number;
  readonly seconds: number;
  readonly latenciesMs: readonly number[];
}

interface Line {
  reader: AnswerReader;
  askedAtMs: number;
  /** Of the request, what the kernel has not yet taken. */
  unsent: Buffer;
  finish(): void;
}

/** `request`: the same each time, or made anew for each. */
export async function load(
  port: number,
  request: Buffer | (() => Buffer),
  concurrency: number,
  durationMs: number,
): Promise<LoadResult> {
  const latenciesMs: number[] = [];
  let failed = 0;
  const startMs = performance.now();
  const endMs = startMs + durationMs;

  const ask = (socket: Socket<Line>): void => {
    const nowMs = performance.now();
    if (nowMs >= endMs) {
      socket.data.finish();
      socket.end();
      return;
    }
    socket.data.askedAtMs = nowMs;
    send(socket, typeof request === "function" ? request() : request);
  };

  const line = async (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    await Bun.connect<Line>({
      hostname: "127.0.0.1",
      port,
      data: { reader: createAnswerReader(), askedAtMs: 0, unsent: Buffer.alloc(0), finish: resolve },
      socket: {
        open(socket) {
          socket.setNoDelay(true);
          ask(socket);
        },
        data(socket, bytes) {
          if (!socket.data.reader.ends(bytes)) return;
          if (socket.data.reader.status() === 200)
            latenciesMs.push(performance.now() - socket.data.askedAtMs);
          else failed += 1;
          ask(socket);
        },
        drain: (socket) => send(socket, socket.data.unsent),
        close() {
          if (performance.now() < endMs) failed += 1;
          resolve();
        },
      },
    });
    await promise;
  };

  await Promise.all(Array.from({ length: concurrency }, line));
  const seconds = (performance.now() - startMs) / 1_000;
  return { done: latenciesMs.length, failed, seconds, latenciesMs };
}

function send(socket: Socket<Line>, bytes: Buffer): void {
  if (bytes.length === 0) return;
  const written = socket.write(bytes);
  socket.data.unsent = bytes.subarray(Math.max(0, written));
}
