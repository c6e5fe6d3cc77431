// Requests at a steady rate, whatever becomes of them, and how each ended: what overload is measured with.

import { percentile } from "../../bench/rig/statistics.ts";
import { systemClock } from "../../src/base/clock.ts";
import { createWireClient } from "../../src/wire/client.ts";
import { messages } from "./chat.ts";

export interface Ask {
  readonly model: string;
  readonly tokens: number;
  readonly stream?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Ended {
  readonly ask: Ask;
  /** 0: no answer at all, or a stream that was cut. */
  readonly status: number;
  readonly tookMs: number;
  readonly endedAtMs: number;
  readonly because: string | undefined;
  readonly retryAfterMs: number;
  readonly shouldRetry: string | undefined;
}

export interface Door {
  ask(ask: Ask): Promise<Ended>;
  close(): void;
}

/** The house's own client, because the runtime's fetch has at most 256 requests in the air. */
export function openDoor(url: string): Door {
  const { hostname, port } = new URL(url);
  const client = createWireClient({ host: hostname, port: Number(port) }, systemClock, {
    maxConnections: 4096,
  });
  return {
    async ask(ask) {
      const { model, tokens, stream = false, headers = {} } = ask;
      const body = [Buffer.from(JSON.stringify({ model, messages, max_tokens: tokens, stream }))];
      const began = performance.now();
      const ended = (status: number, said?: { get(name: string): string | undefined }): Ended => ({
        ask,
        status,
        tookMs: performance.now() - began,
        endedAtMs: performance.now(),
        because: said?.get("x-tierline-because"),
        retryAfterMs: Number(said?.get("retry-after-ms")),
        shouldRetry: said?.get("x-should-retry"),
      });
      try {
        const response = await client.request({
          method: "POST",
          path: "/v1/chat/completions",
          headers: Object.entries({ "content-type": "application/json", ...headers }),
          body,
        }).response;
        let last = "";
        for (let chunk = await response.body.next(); chunk !== null; chunk = await response.body.next())
          if (stream) last = (last + Buffer.from(chunk).toString()).slice(-32);
        const isCut = stream && response.status === 200 && !last.includes("[DONE]");
        return ended(isCut ? 0 : response.status, response.headers);
      } catch {
        return ended(0);
      }
    },
    close: () => client.close(),
  };
}

/** So many a second for so long; resolves when the last has ended. */
export async function offer<T>(
  perSecond: number,
  seconds: number,
  one: (turn: number) => Promise<T>,
): Promise<T[]> {
  const asked: Promise<T>[] = [];
  const began = performance.now();
  for (let turn = 0; turn < perSecond * seconds; turn += 1) {
    const due = began + (turn * 1000) / perSecond;
    if (due > performance.now()) await Bun.sleep(due - performance.now());
    asked.push(one(turn));
  }
  return Promise.all(asked);
}

/** So many callers, each of which asks again as soon as it is answered. */
export async function keepBusy(
  callers: number,
  seconds: number,
  one: () => Promise<Ended>,
): Promise<Ended[]> {
  const until = performance.now() + seconds * 1000;
  const ended: Ended[] = [];
  const caller = async (): Promise<void> => {
    while (performance.now() < until) ended.push(await one());
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return ended;
}

export const isOk = ({ status }: Ended): boolean => status === 200;

/** Of the times that they took. */
export const quantileMs = (of: readonly Ended[], q: number): number =>
  percentile(
    of.map(({ tookMs }) => tookMs),
    q,
  );

export function statusesOf(of: readonly Ended[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { status, because } of of) {
    const kind = status === 200 ? "200" : `${status} ${because ?? ""}`;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
