// How the tour tells what came of a question.

import type { Asked } from "./ask.ts";
import type { House } from "./house.ts";
import type { Screen } from "./screen.ts";
import { duration } from "./screen.ts";

/** False if it did not end as it should. */
export type Step = (house: House, screen: Screen) => Promise<boolean>;

/** What a guard is asked: one token, out of two. */
export const guard = (content: string) => ({
  model: "gold",
  content,
  maxTokens: 1,
  choice: ["A", "B"],
});

/** Where the answer came from, and why: the router's own headers. */
export function showWay(asked: Asked, screen: Screen): void {
  if (asked.status !== 200) {
    screen.row("failed", screen.bad(`${asked.status} ${asked.text}`));
    return;
  }
  const place = `${asked.locality} ${asked.endpoint}`;
  screen.row(
    "way",
    `${screen.bold(asked.tier.padEnd(7))} ${duration(asked.totalMs).padStart(7)}  ${place.padEnd(19)} because ${screen.bold(asked.because)}`,
  );
  const first = asked.firstTokenMs === 0 ? [] : [`first token after ${duration(asked.firstTokenMs)}`];
  const attempts = asked.attempts === "1" ? [] : [`attempts ${asked.attempts}`];
  if (first.length + attempts.length > 0) screen.row("", screen.dim([...first, ...attempts].join(", ")));
}

export function check(screen: Screen, kept: boolean, promise: string): boolean {
  if (!kept) screen.row("", screen.bad(`This is not what should have happened: ${promise}.`));
  return kept;
}

export async function setFault(controlUrl: string, fault: object | undefined): Promise<void> {
  const change =
    fault === undefined ? { method: "DELETE" } : { method: "POST", body: JSON.stringify({ fault }) };
  await fetch(`${controlUrl}/control`, change);
}
