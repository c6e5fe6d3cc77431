// What came in and how it ended: the last requests in full, and counts over all of them. For assertions.

import type { Exchange } from "./http-listener.ts";

export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** As it came, not parsed. */
  readonly body: string;
  readonly connection: number;
  readonly turn: number;
  /** Unix milliseconds. */
  readonly at: number;
  readonly fault: string | undefined;
  readonly outcome: Outcome;
}

/** `aborted`: the client left first. `cut`: a fault ended it. */
type Outcome = "running" | "finished" | "aborted" | "cut";

export interface JournalStats {
  readonly started: number;
  readonly finished: number;
  readonly aborted: number;
  readonly cut: number;
  /** Requests for each path since the start. */
  readonly paths: Readonly<Record<string, number>>;
}

export interface Journal {
  /** The same exchange, its end noted. A fault that cuts it also counts as the client's leaving, for the GPU's sake. */
  follow(exchange: Exchange, fault: string | undefined): Exchange;
  /** Notes why a generation ended. */
  finished(reason: "stop" | "length"): void;
  finishReasons(): { readonly stop: number; readonly length: number };
  requests(): RecordedRequest[];
  stats(): JournalStats;
}

interface Entry {
  readonly exchange: Exchange;
  readonly at: number;
  readonly fault: string | undefined;
  outcome: Outcome;
}

/** A body beyond this is remembered by its beginning only. */
const bodyBytesMax = 1024 * 1024;
/** Distinct paths counted; what a fuzzer asks for beyond is not. */
const pathsMax = 100;

export function createJournal(limit: number): Journal {
  const ring: Entry[] = [];
  let started = 0;
  const ended = { finished: 0, aborted: 0, cut: 0 };
  const reasons = { stop: 0, length: 0 };
  const paths: Record<string, number> = {};
  let pathCount = 0;

  const count = (path: string): void => {
    const before = paths[path];
    if (before === undefined && pathCount >= pathsMax) return;
    if (before === undefined) pathCount += 1;
    paths[path] = (before ?? 0) + 1;
  };

  return {
    follow(exchange, fault) {
      const entry: Entry = { exchange, at: Date.now(), fault, outcome: "running" };
      ring[started % limit] = entry;
      started += 1;
      count(exchange.request.path);
      const end = (outcome: "finished" | "aborted" | "cut"): void => {
        if (entry.outcome !== "running") return;
        entry.outcome = outcome;
        ended[outcome] += 1;
      };
      let left: (() => void) | undefined;
      exchange.onGone(() => {
        end("aborted");
        left?.();
      });
      return {
        ...exchange,
        answer(status, headers, body) {
          end("finished");
          exchange.answer(status, headers, body);
        },
        end() {
          end("finished");
          exchange.end();
        },
        close() {
          end("cut");
          left?.();
          exchange.close();
        },
        reset() {
          end("cut");
          left?.();
          exchange.reset();
        },
        onGone(whenLeft) {
          left = whenLeft;
        },
      };
    },
    finished(reason) {
      reasons[reason] += 1;
    },
    finishReasons: () => reasons,
    requests() {
      const from = started % limit;
      const ordered = started > limit ? [...ring.slice(from), ...ring.slice(0, from)] : ring;
      return ordered.map(({ exchange: { request }, at, fault, outcome }) => ({
        ...request,
        body: request.body.subarray(0, bodyBytesMax).toString(),
        at,
        fault,
        outcome,
      }));
    },
    stats: () => ({ started, ...ended, paths: { ...paths } }),
  };
}
