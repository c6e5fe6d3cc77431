// What the tests of this room do over and over: ask, read a body to its end, wait until something is so.

import type { WireBody, WireClient, WireRequest, WireResponse } from "../../src/wire/client.ts";
import { WireError } from "../../src/wire/wire-error.ts";

export const ask: WireRequest = { method: "GET", path: "/", headers: [] };

export interface Answer {
  readonly response: WireResponse;
  readonly text: string;
}

export async function answerOf(client: WireClient, request: Partial<WireRequest> = {}): Promise<Answer> {
  const response = await client.request({ ...ask, ...request }).response;
  return { response, text: await textOf(response.body) };
}

export async function textOf(body: WireBody): Promise<string> {
  const chunks: Uint8Array[] = [];
  for (let chunk = await body.next(); chunk !== null; chunk = await body.next()) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** The WireError with which the promise rejects; anything else fails the test. */
export async function failureOf(promise: Promise<unknown>): Promise<WireError> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (outcome instanceof WireError) return outcome;
  throw new Error(`expected a WireError, got ${String(outcome)}`);
}

/** Turns the event loop until the condition holds. */
export async function until(condition: () => boolean, withinMs = 2_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error("the condition never held");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/**
 * What the promise gives, and by how much it came after a plain timer of `ms` that started with it: on a
 * machine that stalls, both stall.
 */
export async function besideTimer<Result>(ms: number, promise: Promise<Result>): Promise<[Result, number]> {
  const timer = new Promise<number>((resolve) => setTimeout(() => resolve(performance.now()), ms));
  const result = await promise;
  const doneAt = performance.now();
  return [result, doneAt - (await timer)];
}
