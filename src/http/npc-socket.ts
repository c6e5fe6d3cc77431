// The WebSocket /v1/npc/stream: ask frames in, answer frames out, each as soon as it is ready. Who may open one, how
// many there may be, and how much a client may leave unread.

import { errorFrame, frameBytesMost, frameFaults, requestIdIn } from "../intents/frame.ts";
import type { Caller } from "./callers.ts";
import { forbids } from "./callers.ts";
import type { Door } from "./door.ts";
import { errorResponse } from "./errors.ts";
import type { AnswerFrame } from "./npc-frames.ts";

export const streamPath = "/v1/npc/stream";

const socketRule = {
  /** Open at once. With what each may leave unread: 2 GB, were all of them to stop reading. */
  socketsMost: 4096,
  /** Answers that wait in memory for a client to read them: thirty of the largest. Beyond it the client is cut. */
  unreadBytesMost: 512 * 1024,
  /** Of a socket's frames that wait for an engine. Beyond it nothing waits: table or default. */
  waitingBytesMost: 512 * 1024,
  /** Of one message. Somewhat more than a frame may have, so that one slightly too large is told so by us. */
  messageBytesMost: 4 * frameBytesMost,
  /** A quiet client is asked for a sign of life before this; one that gives none is gone. */
  silentSeconds: 60,
  /** Said with 503. */
  comeBackMs: 1000,
} as const;

const later = { retryAfterMs: socketRule.comeBackMs };

/** Kept with each socket. */
export interface SocketState {
  /** Bytes of frames that wait for an engine. */
  waitingBytes: number;
  /** The key that the client came with, as an `authorization` header says it. */
  readonly authorization: string | null;
  /** Whose that is; a reload may change what it may do. */
  key: Caller | undefined;
}

export interface NpcSockets {
  /** Undefined: it is a socket now. */
  upgrade(request: Request, server: Bun.Server<SocketState>, key: Caller | undefined): Response | undefined;
  /** After a reload: closes what was opened with a key that is not known any more, or may not use intents any more. */
  recheck(): void;
  readonly handler: Bun.WebSocketHandler<SocketState>;
}

export function createNpcSockets(door: Door, answerFrame: AnswerFrame): NpcSockets {
  const { account, clock, lifecycle, log } = door;
  const open = new Set<Bun.ServerWebSocket<SocketState>>();

  const send = (socket: Bun.ServerWebSocket<SocketState>, frame: Uint8Array<ArrayBuffer>): void => {
    // Some answers come after their asker has left.
    if (socket.readyState !== WebSocket.OPEN || socket.sendBinary(frame) !== 0) return;
    // 0: dropped, because so much waits to be read. Bun's own close comes later, and until then it reads on.
    log.warn({ client: socket.remoteAddress }, "a client does not read its intents and has been cut");
    socket.terminate();
  };

  const handler: Bun.WebSocketHandler<SocketState> = {
    maxPayloadLength: socketRule.messageBytesMost,
    backpressureLimit: socketRule.unreadBytesMost,
    closeOnBackpressureLimit: true,
    idleTimeout: socketRule.silentSeconds,
    sendPings: true,
    perMessageDeflate: false,
    open(socket) {
      open.add(socket);
    },
    close(socket) {
      open.delete(socket);
    },
    message(socket, message) {
      if (typeof message === "string") {
        socket.close(1003, "Only binary frames are understood here.");
        return;
      }
      const { data } = socket;
      const limit = data.key?.limit;
      if (limit !== undefined && !limit.take()) {
        account.limited(data.key?.name ?? "", "realtime");
        const refused = { fault: "rate-limited", requestId: requestIdIn(message) } as const;
        send(socket, errorFrame(refused, door.intents.archetypes.epoch));
        return;
      }
      const bytes = message.byteLength;
      const mayWait = data.waitingBytes + bytes <= socketRule.waitingBytesMost;
      data.waitingBytes += bytes;
      answerFrame(message, clock.now(), mayWait, (frame, fault) => {
        data.waitingBytes -= bytes;
        send(socket, frame);
        const code = fault === undefined ? undefined : frameFaults[fault].close;
        if (code !== undefined) socket.close(code, `The frame is ${fault}.`);
      });
    },
    error(error, socket) {
      log.error({ err: error }, "a frame failed in the router itself");
      socket.close(1011);
    },
  };

  return {
    handler,
    recheck() {
      const { authenticate } = door.settings();
      for (const socket of open) {
        const { data } = socket;
        data.key = authenticate?.(data.authorization);
        if (authenticate !== undefined && data.key === undefined)
          socket.close(1008, "The API key is not known here any more.");
        else if (forbids(data.key, "realtime") !== undefined)
          socket.close(1008, "The API key may not use realtime any more.");
      }
    },
    upgrade(request, server, key) {
      const { headers, method } = request;
      if (method !== "GET") {
        const message = `${method} is not possible here; open a WebSocket with GET.`;
        return errorResponse("method_not_allowed", message, { headers: { allow: "GET" } });
      }
      if (headers.get("upgrade")?.toLowerCase() !== "websocket") {
        const message = "This is a WebSocket. Open it with a client that speaks it.";
        return errorResponse("upgrade_required", message, {
          headers: { upgrade: "websocket", connection: "Upgrade" },
        });
      }
      const origin = headers.get("origin");
      const { corsOrigins } = door.settings();
      if (origin !== null && !corsOrigins.includes("*") && !corsOrigins.includes(origin)) {
        const message = "Pages of this origin may not come in; cors.origins names those that may.";
        return errorResponse("forbidden", message);
      }
      // Only a drain shuts this door: what is in the table can be told before any engine is up.
      if (lifecycle.phase === "draining") {
        return errorResponse("draining", "The router is draining. Try again on another host.", later);
      }
      if (open.size >= socketRule.socketsMost) {
        const message = `${socketRule.socketsMost} sockets are open, and there may be no more.`;
        return errorResponse("too_many_sockets", message, later);
      }
      const chosen = keyProtocol(headers);
      const told = new Headers(chosen === undefined ? {} : { "sec-websocket-protocol": chosen });
      key?.limit?.tell(told);
      const accepted = server.upgrade(request, {
        data: { waitingBytes: 0, authorization: socketAuthorization(headers), key },
        headers: told,
      });
      if (accepted) return undefined;
      return errorResponse("invalid_request", "The WebSocket handshake is not complete.");
    },
  };
}

/** A browser can set no header on a WebSocket, so its key comes as a subprotocol; the answer must name it. */
const keyProtocol = (headers: Headers): string | undefined =>
  headers
    .get("sec-websocket-protocol")
    ?.split(",")
    .map((protocol) => protocol.trim())
    .find((protocol) => protocol.startsWith(keyPrefix));

const keyPrefix = "tierline.key.";

/** As an `authorization` header would have said it. */
export function socketAuthorization(headers: Headers): string | null {
  const header = headers.get("authorization");
  const protocol = header === null ? keyProtocol(headers) : undefined;
  return protocol === undefined ? header : `Bearer ${protocol.slice(keyPrefix.length)}`;
}
