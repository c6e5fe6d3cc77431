// Intents as a game asks for them where nothing but engines understands it: a chat of one token for each NPC, over
// connections that are kept. What is late is read and thrown away, so that its connection can be used again.

import type { Socket } from "bun";
import { createAnswerReader } from "../rig/answer-reader.ts";
import { post } from "../rig/requests.ts";
import { engines, sla } from "./cast.ts";
import type { Door, Doors } from "./doors.ts";
import type { AskIntents, Told } from "./game-server.ts";
import type { Npc } from "./npc-kinds.ts";
import { questionOf } from "./npc-kinds.ts";

/** Connections to one host; who finds none free has to go without. */
const linesMost = 256;
/** An answer that is so late will not come. */
const hopelessMs = 1_000;

interface Line {
  readonly pool: Pool;
  readonly reader: ReturnType<typeof createAnswerReader>;
  /** Whoever waits for an answer on it. */
  told: ((source: Told) => void) | undefined;
  askedAtMs: number;
}

interface Pool {
  readonly door: Door;
  readonly idle: Socket<Line>[];
  readonly busy: Set<Socket<Line>>;
  opening: number;
}

export interface ChatLines {
  readonly ask: AskIntents;
  close(): void;
}

export function openChatLines(doors: Doors, home: number): ChatLines {
  const pools = new Map<Door, Pool>();
  const poolOf = (door: Door): Pool => {
    const pool = pools.get(door) ?? { door, idle: [], busy: new Set(), opening: 0 };
    pools.set(door, pool);
    return pool;
  };

  const settle = (socket: Socket<Line>, source: Told): void => {
    const { told, pool } = socket.data;
    socket.data.told = undefined;
    pool.busy.delete(socket);
    told?.(source);
  };

  const open = async (pool: Pool): Promise<Socket<Line>> => {
    const { hostname, port } = new URL(pool.door.urls.gold);
    pool.opening += 1;
    try {
      return await Bun.connect<Line>({
        hostname,
        port: Number(port),
        data: { pool, reader: createAnswerReader(), told: undefined, askedAtMs: 0 },
        socket: {
          open: (socket) => void socket.setNoDelay(true),
          data(socket, bytes) {
            const { reader } = socket.data;
            if (!reader.ends(bytes)) return;
            const status = reader.status();
            settle(socket, status === 200 ? "engine" : "refused");
            pool.idle.push(socket);
          },
          close(socket) {
            const at = pool.idle.indexOf(socket);
            if (at >= 0) pool.idle.splice(at, 1);
            settle(socket, undefined);
          },
        },
      });
    } finally {
      pool.opening -= 1;
    }
  };

  /** Once more, elsewhere or on a new connection, where the first breaks and there is time. */
  const askOne = async (
    request: Buffer,
    endsAtMs: number,
    told: (source: Told) => void,
    again: boolean,
  ): Promise<void> => {
    const pool = poolOf(doors.from(home));
    let socket = pool.idle.pop();
    if (socket === undefined && pool.busy.size + pool.opening >= linesMost) {
      told(undefined);
      return;
    }
    const broken = (): void => {
      if (again && performance.now() < endsAtMs) void askOne(request, endsAtMs, told, false);
      else told(undefined);
    };
    try {
      socket ??= await open(pool);
    } catch {
      // Refused, or not to be reached: which of them is all the same to a game.
      doors.avoid(pool.door);
      broken();
      return;
    }
    socket.data.told = (source) => (source === undefined ? broken() : told(source));
    socket.data.askedAtMs = performance.now();
    pool.busy.add(socket);
    socket.write(request);
  };

  const sweep = setInterval(() => {
    const longAgoMs = performance.now() - hopelessMs;
    for (const { busy } of pools.values())
      for (const socket of busy) if (socket.data.askedAtMs < longAgoMs) socket.terminate();
  }, hopelessMs / 4);

  return {
    ask(npcs, told) {
      const endsAtMs = performance.now() + sla.intentMs;
      for (const npc of npcs) {
        void askOne(requestOf(npc), endsAtMs, (source) => told(npc, source), true);
      }
    },
    close() {
      clearInterval(sweep);
      for (const { idle, busy } of pools.values()) for (const socket of [...idle, ...busy]) socket.end();
    },
  };
}

function requestOf(npc: Npc): Buffer {
  const { prompt, letters } = questionOf(npc);
  return post({
    model: engines.gold.model,
    max_tokens: 1,
    messages: [{ role: "user", content: prompt }],
    structured_outputs: { choice: letters },
  });
}
