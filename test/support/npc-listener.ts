// The public listener in front of scripted intents, on a port of its own.

import { listen } from "../../src/http/listen.ts";
import { createPublicApp } from "../../src/http/public.ts";
import type { NpcDoor } from "./npc-door.ts";

export interface NpcListener {
  readonly url: string;
  /** POST /v1/npc/intents; an object is sent as JSON, bytes as a frame. */
  post(body: unknown, headers?: Record<string, string>): Promise<Response>;
  /** As after a reload that has changed what the door's settings say. */
  reloaded(): void;
  stop(): Promise<void>;
}

export function openNpc(door: NpcDoor): NpcListener {
  const app = createPublicApp(door);
  const { url, stop } = listen(app, { hostname: "127.0.0.1", port: 0 }, door.log);
  return {
    url,
    post(body, headers = {}) {
      const isFrame = body instanceof Uint8Array;
      const type = isFrame ? "application/vnd.tierline.intents" : "application/json";
      return fetch(`${url}/v1/npc/intents`, {
        method: "POST",
        headers: { "content-type": type, ...headers },
        body: isFrame ? Buffer.from(body) : typeof body === "string" ? body : JSON.stringify(body),
      });
    },
    reloaded: () => app.reloaded?.(),
    stop: () => stop(true),
  };
}
