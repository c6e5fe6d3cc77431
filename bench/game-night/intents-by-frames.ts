// Intents as tierline has them: one WebSocket, a frame a tick. A connection that is lost is opened again elsewhere; one to a
// host that is no longer ready is given up for another, and so is any but the one to this server's own host, once that is.

import type { Ask } from "../../playground/npc/frames.ts";
import { decodeReply, encodeAsks } from "../../playground/npc/frames.ts";
import { sla } from "./cast.ts";
import type { Door, Doors } from "./doors.ts";
import type { AskIntents } from "./game-server.ts";
import type { Npc } from "./npc-kinds.ts";
import { situationOf } from "./npc-kinds.ts";

const moveEveryMs = 500;
const reconnectMs = 50;
/** A host that is gone without a word. */
const openWithinMs = 1_000;
/** Frames without an answer: the connection is as good as lost. */
const unansweredMost = 60;

export interface FrameLine {
  readonly ask: AskIntents;
  close(): void;
}

interface Waiting {
  readonly npcs: readonly Npc[];
  readonly told: Parameters<AskIntents>[1];
}

export async function openFrameLine(doors: Doors, home: number, epoch: number): Promise<FrameLine> {
  let closed = false;
  let nextId = 1;
  let line:
    | { readonly socket: WebSocket; readonly door: Door; readonly waiting: Map<number, Waiting> }
    | undefined;

  const open = (door: Door): Promise<boolean> => {
    const opened = Promise.withResolvers<boolean>();
    const socket = new WebSocket(`${door.urls.gold.replace("http", "ws")}/v1/npc/stream`);
    const waiting = new Map<number, Waiting>();
    socket.binaryType = "arraybuffer";
    const tooLong = setTimeout(() => socket.terminate(), openWithinMs);
    socket.onopen = () => {
      clearTimeout(tooLong);
      const before = line;
      line = { socket, door, waiting };
      before?.socket.close();
      opened.resolve(true);
    };
    socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
      const reply = decodeReply(new Uint8Array(data));
      const asked = waiting.get(reply.requestId);
      if (asked === undefined || reply.kind === "error") return;
      waiting.delete(reply.requestId);
      for (const [index, npc] of asked.npcs.entries()) asked.told(npc, reply.answers[index]?.source);
    };
    socket.onclose = () => {
      clearTimeout(tooLong);
      for (const { npcs, told } of waiting.values()) for (const npc of npcs) told(npc, undefined);
      waiting.clear();
      opened.resolve(false);
      if (line?.socket !== socket) return;
      line = undefined;
      doors.avoid(door);
      void reopen();
    };
    return opened.promise;
  };

  const reopen = async (): Promise<void> => {
    while (!closed && line === undefined) {
      const door = doors.from(home);
      if (await open(door)) return;
      doors.avoid(door);
      await Bun.sleep(reconnectMs);
    }
  };

  const moveOn = setInterval(() => {
    const door = doors.from(home);
    if (line === undefined || line.door === door) return;
    void open(door).then((isOpen) => {
      if (!isOpen) doors.avoid(door);
    });
  }, moveEveryMs);

  await reopen();
  return {
    ask(npcs, told) {
      if (line === undefined) {
        for (const npc of npcs) told(npc, undefined);
        return;
      }
      const id = nextId;
      nextId = (nextId + 1) >>> 0;
      line.waiting.set(id, { npcs, told });
      line.socket.send(encodeAsks(id, epoch, npcs.map(askOf)));
      if (line.waiting.size > unansweredMost) line.socket.terminate();
    },
    close() {
      closed = true;
      clearInterval(moveOn);
      line?.socket.close();
    },
  };
}

const askOf = (npc: Npc): Ask => ({
  situation: situationOf(npc),
  npc: npc.id,
  archetype: npc.kind,
  deadlineMs: sla.intentDeadlineMs,
});
