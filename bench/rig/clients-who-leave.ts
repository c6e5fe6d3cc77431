// An open load: so many requests a second whatever becomes of them, from clients who wait a while and then go.

import type { Socket } from "bun";
import { createAnswerReader } from "./answer-reader.ts";

export interface Visit {
  /** When it was due, from the beginning. */
  readonly atMs: number;
  /** The status, or why there is none. */
  readonly outcome: string;
}

export interface Visiting {
  readonly perSecond: number;
  readonly patienceMs: number;
  readonly durationMs: number;
}

interface Line {
  reader: ReturnType<typeof createAnswerReader>;
  told: ((outcome: string) => void) | undefined;
}

export async function clientsWhoLeave(
  port: number,
  request: Buffer,
  { perSecond, patienceMs, durationMs }: Visiting,
): Promise<Visit[]> {
  const idle: Socket<Line>[] = [];

  const open = (): Promise<Socket<Line>> =>
    Bun.connect<Line>({
      hostname: "127.0.0.1",
      port,
      data: { reader: createAnswerReader(), told: undefined },
      socket: {
        data(socket, bytes) {
          const { reader, told } = socket.data;
          if (!reader.ends(bytes)) return;
          socket.data.told = undefined;
          idle.push(socket);
          told?.(String(reader.status()));
        },
        close(socket) {
          const at = idle.indexOf(socket);
          if (at >= 0) idle.splice(at, 1);
          socket.data.told?.("cut");
        },
      },
    });

  const visit = async (): Promise<string> => {
    const { promise, resolve } = Promise.withResolvers<string>();
    let socket = idle.pop();
    let gone = false;
    const patience = setTimeout(() => {
      gone = true;
      if (socket !== undefined) socket.data.told = undefined;
      // What closes the connection is how a client says that it no longer wants the answer.
      socket?.terminate();
      resolve("left");
    }, patienceMs);
    try {
      socket ??= await open();
      if (gone) socket.terminate();
      else {
        socket.data.told = resolve;
        socket.write(request);
      }
      return await promise;
    } catch (error) {
      if (error instanceof Error) return "refused";
      throw error;
    } finally {
      clearTimeout(patience);
    }
  };

  const visits: Promise<Visit>[] = [];
  const startMs = performance.now();
  const everyMs = 1_000 / perSecond;
  for (let atMs = 0; atMs < durationMs; atMs = visits.length * everyMs) {
    const waitMs = startMs + atMs - performance.now();
    if (waitMs > 0) await Bun.sleep(waitMs);
    visits.push(visit().then((outcome) => ({ atMs, outcome })));
  }
  const all = await Promise.all(visits);
  for (const socket of idle) socket.end();
  return all;
}
