// What the room needs of the world to reach a peer; host/ has the real one, the simulation a bad one.

import type { Message } from "./messages.ts";

export interface Transport {
  /**
   * Never rejects. `fresh`: on a new connection, because an old one may be what is broken. What came back is
   * whatever the peer said; this room reads it.
   */
  send(
    address: string,
    message: Message,
    options: { readonly timeoutMs: number; readonly fresh: boolean },
  ): Promise<Sent>;
}

/** `failed` says in a few words what happened, for the log. */
export type Sent = { readonly reply: unknown } | { readonly failed: string };
