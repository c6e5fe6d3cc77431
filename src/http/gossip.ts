// The gossip listener: one path, one method, small bodies, and nothing to see for anybody else.

import type { Clock } from "../base/clock.ts";
import type { AnswerGossip } from "../host/gossip-answer.ts";
import { gossipBounds, gossipPath, sealHeader } from "../host/gossip-wire.ts";
import type { Refused } from "../host/sealed-message.ts";
import { readBody } from "./body.ts";
import type { App } from "./listen.ts";

const listenerRule = {
  /** The peer has given up long before. */
  bodyMs: 2_000,
  /** Bodies on their way in, 8 MB. One that is sent in earnest arrives at once, so the oldest has to give way. */
  readingMost: 128,
  /** Let in and not answered. They wait for other peers at most; a fleet of 500 keeps about ten here. */
  answeringMost: 64,
} as const;

export interface GossipAppParts {
  readonly answer: AnswerGossip;
  readonly clock: Clock;
  /** Requests whose body was too long or never came whole, for a counter. */
  refused(why: Refused): void;
}

export function createGossipApp({ answer, clock, refused }: GossipAppParts): App {
  const { bodyMs, readingMost, answeringMost } = listenerRule;
  const reading = new Set<() => void>();
  let answering = 0;

  const bodyOf = async (request: Request) => {
    const gaveWay = Promise.withResolvers<undefined>();
    const giveWay = (): void => gaveWay.resolve(undefined);
    for (const oldest of reading.size < readingMost ? [] : [...reading].slice(0, 1)) {
      reading.delete(oldest);
      oldest();
    }
    reading.add(giveWay);
    try {
      return await Promise.race([readBody(request, gossipBounds.bodyBytes, clock, bodyMs), gaveWay.promise]);
    } finally {
      reading.delete(giveWay);
    }
  };

  const exchange = async (request: Request): Promise<Response> => {
    const body = await bodyOf(request);
    if (body === undefined) return cut(503);
    if ("code" in body) {
      const isTooLarge = body.code === "request_too_large";
      refused(isTooLarge ? "oversize" : "malformed");
      return cut(isTooLarge ? 413 : 408);
    }
    if (answering >= answeringMost) return new Response(null, { status: 503 });
    answering += 1;
    try {
      const {
        status,
        headers,
        body: reply,
      } = await answer(request.headers.get(sealHeader) ?? undefined, body);
      return new Response(reply ?? null, { status, headers });
    } finally {
      answering -= 1;
    }
  };

  return {
    routes: {
      [gossipPath]: (request) => (request.method === "POST" ? exchange(request) : nothingHere()),
    },
    fetch: nothingHere,
  };
}

/** What is left of the body is not worth reading. */
const cut = (status: number): Response => new Response(null, { status, headers: { connection: "close" } });

const nothingHere = (): Response => cut(404);
