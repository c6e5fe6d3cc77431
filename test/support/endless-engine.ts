// An engine that sends without end: streams of events, one of 4 kB every 100 ms where its reader takes it, or a whole
// answer of 64 MB as fast as it is read.

import type { Socket } from "bun";

export interface EndlessEngine {
  readonly url: string;
  /** Until then the events are of a few bytes: a sign of life, and nothing that fills a buffer. */
  go(): void;
  /** Answers under way. */
  streams(): number;
  stop(): void;
}

const eventOf = (words: number): Buffer => {
  const text = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: "word ".repeat(words) } }] })}\n\n`;
  return Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
};
const small = eventOf(1);
const event = eventOf(800);
const everyMs = 100;
const wholeBytes = 64_000_000;
const piece = Buffer.from("x".repeat(16_384));

const heads = {
  stream: "content-type: text/event-stream\r\ntransfer-encoding: chunked",
  whole: `content-type: application/json\r\ncontent-length: ${wholeBytes}`,
} as const;

interface Answering {
  answers: boolean;
  /** Of the event, or the piece, that the kernel has taken a part of. */
  rest: Uint8Array<ArrayBufferLike>;
}

export function startEndlessEngine(model: string, kind: keyof typeof heads): EndlessEngine {
  let streams = 0;
  let unit = kind === "stream" ? small : piece;

  const streaming = new Set<Socket<Answering>>();
  const beat = setInterval(() => {
    for (const socket of streaming) send(socket);
  }, everyMs);

  /** One unit, or what is left of the last. Whether the kernel has taken all of it. */
  const send = (socket: Socket<Answering>): boolean => {
    const { rest } = socket.data;
    const written = Math.max(0, socket.write(rest));
    socket.data.rest = written === rest.length ? unit : rest.subarray(written);
    return written === rest.length;
  };
  const fill = (socket: Socket<Answering>): void => {
    while (send(socket));
  };

  const server = Bun.listen<Answering>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { answers: false, rest: unit };
      },
      data(socket, bytes) {
        if (socket.data.answers) return;
        const asked = bytes.toString("latin1");
        if (!asked.startsWith("POST")) {
          const body = asked.startsWith("GET /v1/models")
            ? JSON.stringify({ object: "list", data: [{ id: model }] })
            : "";
          socket.write(
            `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
          );
          return;
        }
        socket.data.answers = true;
        streams += 1;
        socket.write(`HTTP/1.1 200 OK\r\n${heads[kind]}\r\n\r\n`);
        if (kind === "stream") streaming.add(socket);
        if (kind === "stream") send(socket);
        else fill(socket);
      },
      drain(socket) {
        if (socket.data.answers && kind === "whole") fill(socket);
      },
      close(socket) {
        streaming.delete(socket);
        if (socket.data.answers) streams -= 1;
      },
      error(socket) {
        socket.terminate();
      },
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    go() {
      unit = event;
    },
    streams: () => streams,
    stop() {
      clearInterval(beat);
      server.stop(true);
    },
  };
}
