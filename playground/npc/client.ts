// A game server's side of NPC intents: one WebSocket, one frame a tick, answers as they come. Small on purpose: it is
// meant to be read, and written again in the game's own language.

import type { Archetypes } from "./archetypes.ts";
import { fetchArchetypes } from "./archetypes.ts";
import type { Answer, Ask } from "./frames.ts";
import { decodeReply, encodeAsks } from "./frames.ts";

export interface NpcClient {
  /** Read it at each tick: it changes when the router's configuration does. */
  readonly archetypes: Archetypes;
  /** Undefined: no answer in time, or the connection is gone; the game goes on with what the NPCs were doing. */
  ask(asks: readonly Ask[], limitMs: number): Promise<readonly Answer[] | undefined>;
  close(): void;
}

/** A lost connection is tried again so often. */
const reconnectMs = 250;

export async function connectNpcs(routerUrl: string, key?: string): Promise<NpcClient> {
  let archetypes = await fetchArchetypes(routerUrl, key);
  let closed = false;
  let nextId = 1;
  const waiting = new Map<number, (answers: readonly Answer[] | undefined) => void>();
  const url = `${routerUrl.replace(/^http/, "ws")}/v1/npc/stream`;

  /** The open connection; undefined while there is none. */
  let socket: WebSocket | undefined;

  const open = (onFirst: () => void): void => {
    const opening = key === undefined ? new WebSocket(url) : new WebSocket(url, [`tierline.key.${key}`]);
    opening.binaryType = "arraybuffer";
    opening.onmessage = ({ data }) => receive(new Uint8Array(data));
    opening.onopen = () => {
      socket = opening;
      onFirst();
    };
    opening.onclose = () => {
      socket = undefined;
      for (const settle of waiting.values()) settle(undefined);
      if (!closed) setTimeout(() => open(onFirst), reconnectMs);
    };
  };

  const receive = (bytes: Uint8Array): void => {
    const reply = decodeReply(bytes);
    const settle = waiting.get(reply.requestId);
    if (reply.kind === "answers") {
      settle?.(reply.answers);
      return;
    }
    settle?.(undefined);
    // The codes that this client computes mean something else now.
    if (reply.epoch !== archetypes.epoch) {
      void fetchArchetypes(routerUrl, key).then(
        (next) => {
          archetypes = next;
        },
        // The router is going; the next frame that it refuses asks again.
        () => undefined,
      );
    }
  };

  await new Promise<void>((resolve) => open(resolve));

  return {
    get archetypes() {
      return archetypes;
    },
    ask(asks, limitMs) {
      const connection = socket;
      if (connection === undefined) return Promise.resolve(undefined);
      const id = nextId;
      nextId = (nextId + 1) >>> 0;
      return new Promise((resolve) => {
        const settle = (answers: readonly Answer[] | undefined): void => {
          clearTimeout(timer);
          waiting.delete(id);
          resolve(answers);
        };
        const timer = setTimeout(() => settle(undefined), limitMs);
        waiting.set(id, settle);
        connection.send(encodeAsks(id, archetypes.epoch, asks));
      });
    },
    close() {
      closed = true;
      socket?.close();
    },
  };
}
