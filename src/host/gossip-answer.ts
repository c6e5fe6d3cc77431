// What the gossip listener answers to one request: opens it, hands over what it says, seals the reply. A stranger learns
// nothing from it. Knows no socket and no HTTP server.

import { bodyType, decode, encode, sealHeader } from "./gossip-wire.ts";
import type { Refused, Seals } from "./sealed-message.ts";

export interface GossipAnswer {
  readonly status: 200 | 401 | 403 | 413;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
}

export interface GossipAnswerParts {
  readonly seals: Seals;
  /** `from`: the name under which it was sealed. */
  handle(message: unknown, from: string): Promise<unknown>;
  /** For a counter. */
  refused(why: Refused): void;
}

export type AnswerGossip = (seal: string | undefined, body: Uint8Array) => Promise<GossipAnswer>;

export function createGossipAnswer({ seals, handle, refused }: GossipAnswerParts): AnswerGossip {
  return async (seal, body) => {
    const opened = seals.openAsk(seal, body);
    if ("refused" in opened) {
      refused(opened.refused);
      if (opened.clock !== undefined) return bare(401, { [sealHeader]: opened.clock });
      return bare(opened.refused === "oversize" ? 413 : 403);
    }
    const decoded = decode(body);
    if (decoded === undefined) {
      refused("malformed");
      return bare(403);
    }
    const reply = encode(await handle(decoded.message, opened.from));
    if (reply === undefined) throw new RangeError("an answer to gossip is longer than any peer reads");
    const headers = {
      "content-type": bodyType,
      [sealHeader]: seals.answer(opened.nonce, reply),
    };
    return { status: 200, headers, body: reply };
  };
}

const bare = (status: GossipAnswer["status"], headers: GossipAnswer["headers"] = {}): GossipAnswer => ({
  status,
  headers,
  body: undefined,
});
