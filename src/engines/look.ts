// The one-token question: does this engine still work? Asked when an endpoint has gone quiet, and until it is back.
//
// A hung vLLM passes its health check and shows an empty queue, so only a generated token proves anything. Two
// things do: an answer to the question, or the engine's own count of generated tokens having moved meanwhile.

import type { Clock } from "../base/clock.ts";
import type { Answer, Ask } from "./ask.ts";
import type { Dialect, InferencePath } from "./dialect.ts";

/** "refused" is an answer that no tokens can be had: no connection, 429, or a 5xx. */
export type LookVerdict = "answered" | "silent" | "refused";

/** The counter is read again when this share of the time has passed, so that the reading itself ends in time. */
const secondReadingAt = 0.75;

/** What the engine owes somebody: the question is of the same sort. */
export interface Asked {
  readonly path: InferencePath;
  readonly model: string;
}

export interface LookTools {
  readonly dialect: Pick<Dialect, "oneToken" | "gauges">;
  readonly ask: Ask;
  readonly clock: Clock;
}

/** Takes `limitMs` at most. Aborted, it says "refused" and nobody should be listening. */
export async function look(
  tools: LookTools,
  asked: Asked,
  limitMs: number,
  signal: AbortSignal,
): Promise<LookVerdict> {
  const over = new AbortController();
  const both = AbortSignal.any([signal, over.signal]);
  const moved = tokensMoved(tools, limitMs, both);
  const verdict = await askForToken(tools, asked, limitMs, both);
  const result = verdict === "silent" && (await moved) ? "answered" : verdict;
  over.abort();
  return result;
}

/** The question alone, on a connection of its own: one from the pool may be the thing that is dead. */
export async function askForToken(
  { dialect, ask }: LookTools,
  { path, model }: Asked,
  limitMs: number,
  signal: AbortSignal,
): Promise<LookVerdict> {
  const question = {
    method: "POST",
    path,
    body: dialect.oneToken(path, model),
    timeoutMs: limitMs,
    fresh: true,
  } as const;
  return verdictOf(await ask(question, signal));
}

function verdictOf(answer: Answer): LookVerdict {
  // A host that has vanished refuses nothing.
  if (!("status" in answer)) return answer.failed === "refused" ? "refused" : "silent";
  // A 4xx is no proof of life, but silence is what has to be proven.
  return answer.status < 500 && answer.status !== 429 ? "answered" : "refused";
}

/** Whether the counter stood at two values within the limit. Unknown counts as not moved. */
async function tokensMoved(tools: LookTools, limitMs: number, signal: AbortSignal): Promise<boolean> {
  const firstPartMs = limitMs * secondReadingAt;
  const pause = paused(tools.clock, firstPartMs, signal);
  const before = await generatedTokens(tools, firstPartMs, signal);
  if (before === undefined) return false;
  await pause;
  const after = await generatedTokens(tools, limitMs - firstPartMs, signal);
  return after !== undefined && after !== before;
}

async function generatedTokens(
  { dialect, ask }: LookTools,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const gauges = dialect.gauges;
  // An engine that may hold its figures back for longer than this cannot be a witness.
  if (gauges === undefined || signal.aborted) return undefined;
  const answer = await ask({ method: "GET", path: gauges.path, timeoutMs, fresh: true }, signal);
  return "status" in answer ? gauges.read(answer.status, answer.body)?.generatedTokens : undefined;
}

function paused(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancelTimer = clock.after(delayMs, resolve);
  const leave = (): void => {
    cancelTimer();
    resolve();
  };
  signal.addEventListener("abort", leave, { once: true });
  return promise.finally(() => signal.removeEventListener("abort", leave));
}
