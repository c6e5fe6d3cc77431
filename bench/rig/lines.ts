// Connections that carry prepared requests and count the answers: HTTP with one request at a time, WebSocket with many.
// A closed loop asks again as soon as it is answered, an open one at a fixed rate, whatever becomes of the answers.

import type { Socket } from "bun";
import { createAnswerReader } from "./answer-reader.ts";

/** One way to ask: prepared requests, and how to know the end of an answer. */
export interface Way {
  /** Asked one after the other, again and again. */
  readonly requests: readonly Buffer[];
  /** Said once on a fresh connection, whose answer is a head alone. */
  readonly greeting?: Buffer;
  /** How many answers end with these bytes; one for each connection. */
  reader(): (bytes: Buffer) => number;
  readonly connections: number;
  /** Requests under way on one connection at a time. */
  readonly window: number;
}

/** Throws where an answer is no 200: a figure with failures in it measures something else. */
export function httpWay(requests: readonly Buffer[], connections: number): Way {
  const reader: Way["reader"] = () => {
    const answer = createAnswerReader();
    return (bytes) => {
      if (!answer.ends(bytes)) return 0;
      if (answer.status() !== 200) throw new Error(`a request was answered ${answer.status()}`);
      return 1;
    };
  };
  return { requests, reader, connections, window: 1 };
}

/** Binary messages whose answers are all `answerBytes` long, so that counting bytes counts them. */
export function socketWay(
  path: string,
  messages: readonly Uint8Array[],
  answerBytes: number,
  connections: number,
  window: number,
): Way {
  const size = answerBytes + (answerBytes < 126 ? 2 : 4);
  const reader: Way["reader"] = () => {
    let received = 0;
    return (bytes) => {
      received += bytes.length;
      const ended = Math.floor(received / size);
      received -= ended * size;
      return ended;
    };
  };
  const greeting = Buffer.from(
    `GET ${path} HTTP/1.1\r\nhost: tierline.test\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  );
  return { requests: messages.map(masked), greeting, reader, connections, window };
}

/** RFC 6455 section 5.2, with a mask of zeros, which the server applies like any other. */
function masked(payload: Uint8Array): Buffer {
  const { length } = payload;
  const head = length < 126 ? [0x82, 0x80 | length] : [0x82, 0xfe, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), Buffer.alloc(4), payload]);
}

export interface Flow {
  /** Answers, and the time in which they came. */
  readonly done: number;
  readonly seconds: number;
}

export async function closedLoop(port: number, way: Way, durationMs: number): Promise<Flow> {
  let done = 0;
  const startMs = performance.now();
  const endMs = startMs + durationMs;
  const lines = await openLines(port, way, (line, answers) => {
    done += answers;
    if (performance.now() < endMs) line.ask(answers);
    else if (line.underWay() === 0) line.close();
  });
  for (const line of lines) line.ask(way.window);
  await Promise.all(lines.map(({ closed }) => closed));
  return { done, seconds: (performance.now() - startMs) / 1_000 };
}

export interface Waits {
  /** From the instant at which each request was due, sent by then or not. */
  readonly latenciesMs: readonly number[];
  /** The longest that the driver itself was kept from looking: latencies up to this may be the machine's. */
  readonly blindMs: number;
}

export async function openLoop(
  port: number,
  way: Way,
  perSecond: number,
  durationMs: number,
): Promise<Waits> {
  const latenciesMs: number[] = [];
  const total = Math.floor((perSecond * durationMs) / 1_000);
  const everyMs = 1_000 / perSecond;
  /** When the requests were due that each line has under way; answers come in the order of asking. */
  const dues = new Map<Line, number[]>();
  const lines = await openLines(port, way, (line, answers) => {
    const nowMs = performance.now();
    for (const dueMs of dues.get(line)?.splice(0, answers) ?? []) latenciesMs.push(nowMs - dueMs);
  });
  let broken: unknown;
  for (const line of lines) {
    dues.set(line, []);
    line.closed.catch((error: unknown) => {
      broken ??= error;
    });
  }

  const startMs = performance.now();
  let lookedMs = startMs;
  let blindMs = 0;
  let asked = 0;
  let turn = 0;
  while (latenciesMs.length < total) {
    if (broken !== undefined) throw broken;
    const nowMs = performance.now();
    blindMs = Math.max(blindMs, nowMs - lookedMs);
    lookedMs = nowMs;
    if (nowMs > startMs + durationMs + patienceMs) {
      throw new Error(`${total - latenciesMs.length} of ${total} requests were not answered`);
    }
    for (let full = 0; asked < total && full < lines.length && startMs + asked * everyMs <= nowMs; ) {
      turn = (turn + 1) % lines.length;
      const line = lines[turn];
      if (line === undefined || line.underWay() >= way.window) full += 1;
      else {
        full = 0;
        dues.get(line)?.push(startMs + asked * everyMs);
        line.ask(1);
        asked += 1;
      }
    }
    // A timer would be a millisecond late: the driver has its core to itself, and looks again at once.
    await new Promise(setImmediate);
  }
  for (const line of lines) line.close();
  return { latenciesMs, blindMs };
}

const patienceMs = 10_000;

interface Line {
  ask(requests: number): void;
  underWay(): number;
  close(): void;
  readonly closed: Promise<void>;
}

async function openLines(
  port: number,
  way: Way,
  answered: (line: Line, answers: number) => void,
): Promise<Line[]> {
  const { requests } = way;
  // One piece of memory, so that many requests are one write.
  const all = Buffer.concat(requests);
  const starts = [0];
  for (const { length } of requests) starts.push((starts.at(-1) ?? 0) + length);
  let next = 0;

  const open = async (): Promise<Line> => {
    const ready = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    const count = way.reader();
    let underWay = 0;
    let ending = false;
    let greeted = way.greeting === undefined;
    let unsent: Buffer = Buffer.alloc(0);

    const send = (bytes: Buffer): void => {
      const written = unsent.length > 0 ? 0 : Math.max(0, socket.write(bytes));
      const rest = bytes.subarray(written);
      if (rest.length > 0) unsent = unsent.length > 0 ? Buffer.concat([unsent, rest]) : rest;
    };
    const line: Line = {
      ask(asked) {
        underWay += asked;
        for (let left = asked; left > 0; ) {
          const end = Math.min(requests.length, next + left);
          send(all.subarray(starts[next], starts[end]));
          left -= end - next;
          next = end % requests.length;
        }
      },
      underWay: () => underWay,
      close() {
        ending = true;
        socket.end();
      },
      closed: closed.promise,
    };
    const socket: Socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open(opened) {
          opened.setNoDelay(true);
          if (way.greeting === undefined) ready.resolve();
          else opened.write(way.greeting);
        },
        data(_, bytes) {
          if (!greeted) {
            const head = bytes.toString("latin1");
            if (!head.startsWith("HTTP/1.1 101") || !head.endsWith("\r\n\r\n"))
              ready.reject(new Error(`no WebSocket: ${head.slice(0, 200)}`));
            greeted = true;
            ready.resolve();
            return;
          }
          try {
            const answers = count(bytes);
            underWay -= answers;
            if (answers > 0) answered(line, answers);
          } catch (error) {
            closed.reject(error);
            socket.end();
          }
        },
        drain() {
          const waiting = unsent;
          unsent = Buffer.alloc(0);
          send(waiting);
        },
        close() {
          if (ending) closed.resolve();
          else closed.reject(new Error("a connection was cut"));
        },
      },
    });
    await ready.promise;
    return line;
  };
  return Promise.all(Array.from({ length: way.connections }, open));
}
