// Callers who ask at a steady pace, whatever becomes of what they asked before.

import { chat, messages } from "./chat.ts";
import { offer } from "./offered-load.ts";

export interface SteadyAnswer {
  /** 0: there was none. */
  readonly status: number;
  readonly tier: string | null;
  readonly endpoint: string | null;
  readonly because: string | null;
  readonly askedAt: number;
  readonly ms: number;
}

export interface SteadyLoad {
  readonly perSecond: number;
  readonly seconds: number;
  readonly body?: object;
  readonly headers?: Record<string, string>;
}

export function steadyLoad(
  url: string,
  { perSecond, seconds, body = {}, headers = {} }: SteadyLoad,
): Promise<readonly SteadyAnswer[]> {
  return offer(perSecond, seconds, async () => {
    const askedAt = performance.now();
    const end = (status: number, from?: Headers): SteadyAnswer => ({
      status,
      tier: from?.get("x-tierline-tier") ?? null,
      endpoint: from?.get("x-tierline-endpoint") ?? null,
      because: from?.get("x-tierline-because") ?? null,
      askedAt,
      ms: performance.now() - askedAt,
    });
    try {
      const response = await chat(url, { model: "gold", messages, max_tokens: 2, ...body }, { headers });
      await response.arrayBuffer();
      return end(response.status, response.headers);
    } catch {
      return end(0);
    }
  });
}

/** One line for each kind that is not 200: how often, and what the router said of it. */
export function failedOf(answers: readonly SteadyAnswer[]): string[] {
  const kinds = Map.groupBy(
    answers.filter(({ status }) => status !== 200),
    ({ status, because }) => `${status} ${because ?? ""}`,
  );
  return [...kinds].map(([kind, all]) => `${all.length}x ${kind}`);
}
