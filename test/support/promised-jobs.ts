// What callers were promised with a 202, and what any host has shown them of it since: of each job one end, and never that
// it does not exist.

import { someAtOnce } from "../../src/base/some-at-once.ts";
import { saidBack, tale } from "./bronze.ts";
import { until } from "./chat.ts";
import type { FleetHost } from "./fleet.ts";

export interface PromisedJobs {
  readonly ids: readonly string[];
  /** Orders what nobody has asked before; throws where it is not accepted. Asks again as `order` does. */
  place(host: FleetHost, many: number): Promise<readonly string[]>;
  /** As `ask`, and while S3 is too slow for this machine's load, or nobody answers, again with the same key, as callers do. */
  order(host: FleetHost, ask: JobAsk): Promise<Asked>;
  /** The same once, at a host that may be gone: the status, and the id where it is a promise. */
  ask(host: FleetHost, ask: JobAsk): Promise<Asked>;
  /** Asks this host to cancel a job that nobody has begun, and nobody may ever show otherwise then: the status. */
  cancel(host: FleetHost, id: string): Promise<number>;
  /** Every one has succeeded, or was cancelled, and is shown so at each of these hosts. */
  allDoneAt(hosts: readonly FleetHost[], mostMs: number): Promise<void>;
  /** What a host has shown is not what it shows after its return. */
  returned(host: FleetHost): void;
  /** Everything that no caller may be shown, in words. */
  readonly wrongs: readonly string[];
  /** Of the last look at each: how many times a job could not be answered for. */
  unanswered(): number;
  stop(): Promise<void>;
}

export interface JobAsk {
  readonly key: string;
  readonly request: ReturnType<typeof tale>;
}

/** Status 0: no answer came. */
export interface Asked {
  readonly status: number;
  readonly id: string;
  readonly text: string;
}

const rule = {
  asksAtOnce: 8,
  pauseMs: 300,
  answerMostMs: 20_000,
  againOfEnded: 0.1,
  orderMostMs: 45_000,
} as const;

/** From now on `hosts()` are asked for every job, again and again. */
export function promisedJobs(hosts: () => readonly FleetHost[]): PromisedJobs {
  const says = new Map<string, string>();
  const ends = new Map<string, string>();
  const cancelled = new Set<string>();
  const doneAt = new Set<string>();
  const wrongs: string[] = [];
  let unanswered = 0;
  let stopped = false;

  const promise = (id: string, request: JobAsk["request"]): void => void says.set(id, saidBack(request));

  const ask: PromisedJobs["ask"] = async (host, { key, request }) => {
    const answer = await textOf(host, "/v1/jobs", {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify({ request }),
    });
    if (answer === undefined) return { status: 0, id: "", text: "" };
    const { status, text } = answer;
    if (status !== 202 && status !== 200) return { status, id: "", text };
    const id = String(JSON.parse(text).id);
    promise(id, request);
    return { status, id, text };
  };

  const order: PromisedJobs["order"] = async (host, what) => {
    const end = performance.now() + rule.orderMostMs;
    for (;;) {
      const asked = await ask(host, what);
      const isUndecided = asked.status === 0 || asked.text.includes('"job_store_unavailable"');
      if (!isUndecided || performance.now() > end) return asked;
      await Bun.sleep(rule.pauseMs);
    }
  };

  async function look(host: FleetHost, id: string): Promise<void> {
    const answer = await textOf(host, `/v1/jobs/${id}`);
    if (answer === undefined) return;
    const { status, text } = answer;
    if (status === 503) {
      unanswered += 1;
      return;
    }
    const shown: Record<string, unknown> = JSON.parse(text);
    if (status === 200 && (shown["status"] === "queued" || shown["status"] === "running")) return;
    const end = JSON.stringify([status, shown["status"], shown["result"], shown["error"]]);
    const before = ends.get(id);
    if (before !== undefined && before !== end)
      wrongs.push(`${id} at ${host.name}: ${end}, and was ${before}`);
    ends.set(id, before ?? end);
    const isRight = cancelled.has(id)
      ? shown["status"] === "cancelled"
      : shown["status"] === "succeeded" && end.includes(JSON.stringify(says.get(id)));
    if (isRight) doneAt.add(`${host.name} ${id}`);
    else wrongs.push(`${id} at ${host.name}: ${status} ${text}`);
  }

  async function watch(): Promise<void> {
    while (!stopped) {
      const due = hosts().flatMap((host) =>
        [...says.keys()]
          .filter((id) => !doneAt.has(`${host.name} ${id}`) || Math.random() < rule.againOfEnded)
          .map((id) => ({ host, id })),
      );
      await someAtOnce(due, rule.asksAtOnce, async ({ host, id }) => {
        if (!stopped && hosts().includes(host)) await look(host, id);
      });
      await Bun.sleep(rule.pauseMs);
    }
  }
  const watching = watch();

  return {
    get ids() {
      return [...says.keys()];
    },
    async place(host, many) {
      const placed = Array.from({ length: many }, async () => {
        const { status, id, text } = await order(host, { key: crypto.randomUUID(), request: tale() });
        if (status !== 202) throw new Error(`not accepted by ${host.name}, but ${status}: ${text}`);
        return id;
      });
      return Promise.all(placed);
    },
    ask,
    order,
    async cancel(host, id) {
      cancelled.add(id);
      return (await textOf(host, `/v1/jobs/${id}/cancel`, { method: "POST" }))?.status ?? 0;
    },
    async allDoneAt(at, mostMs) {
      const missing = (): readonly string[] =>
        at.flatMap(({ name }) =>
          [...says.keys()].filter((id) => !doneAt.has(`${name} ${id}`)).map((id) => `${name} ${id}`),
        );
      await until(
        "all jobs are done",
        async () => {
          await Bun.sleep(50);
          return missing().length === 0;
        },
        mostMs,
      ).catch((error: Error) => {
        const [first] = missing();
        throw new Error(
          `${error.message}; ${missing().length} of ${says.size} jobs at ${at.length} hosts are not, as ${first}\n${wrongs.slice(0, 5).join("\n")}`,
        );
      });
    },
    returned({ name }) {
      for (const seen of doneAt) if (seen.startsWith(`${name} `)) doneAt.delete(seen);
    },
    wrongs,
    unanswered: () => unanswered,
    async stop() {
      stopped = true;
      await watching;
    },
  };
}

/** Undefined: the host went, or says nothing. */
async function textOf(host: FleetHost, path: string, init: RequestInit = {}) {
  try {
    const response = await host.get(path, { ...init, signal: AbortSignal.timeout(rule.answerMostMs) });
    return { status: response.status, text: await response.text() };
  } catch {
    return undefined;
  }
}
