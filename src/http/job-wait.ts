// How a job stands: at once, or when it has ended. A wait is not work: a drain ends it, and whoever waits is told how things
// stand, so that he asks on at another host.

import type { Leaving } from "../base/departure.ts";
import { Departure, whenLeft } from "../base/departure.ts";
import { pause } from "../base/pause.ts";
import type { FoundJob } from "../jobs/desk.ts";
import { isEnd } from "../jobs/job.ts";
import type { Door } from "./door.ts";
import type { Reached } from "./job-elsewhere.ts";
import { askAround, elsewhereRule, readAnswer } from "./job-elsewhere.ts";

/** Longer is only what has a result, and so has ended: it need not be parsed to know it. */
const unendedBytesMost = 8_192;

export interface WaitAsk {
  readonly id: string;
  readonly caller: string | undefined;
  readonly waitMs: number;
  /** Another router asks: what is not here it must look for itself. */
  readonly fromMember: boolean;
}

export type Waited =
  | { readonly from: "here"; readonly told: FoundJob }
  | { readonly from: "around"; readonly reached: Reached };

export async function waitFor(
  { id, caller, waitMs, fromMember }: WaitAsk,
  callerLeft: Leaving,
  door: Pick<Door, "desk" | "askMember" | "lifecycle" | "clock" | "random">,
): Promise<Waited> {
  const { desk, clock, lifecycle } = door;
  const end = clock.now() + waitMs;
  const waitOver = new Departure();
  const endWait = (): void => waitOver.abort();
  const leftMs = (): number => (waitOver.aborted ? 0 : Math.max(0, end - clock.now()));
  const forgetCaller = whenLeft(callerLeft, endWait);
  const forgetDrain = lifecycle.onDrain(endWait);
  try {
    for (;;) {
      const isWaiting = leftMs() > 0;
      const told = await desk.wait(id, caller, leftMs(), waitOver);
      if (told.kind !== "elsewhere" || fromMember) return { from: "here", told };
      const asked = {
        what: "get",
        caller,
        waitMs: leftMs(),
        callerLeft: isWaiting ? waitOver : callerLeft,
      } as const;
      const reached = await askAround(told, asked, door);
      // Cut short by a drain, and nobody has said yet how things stand.
      if (isWaiting && waitOver.aborted && !callerLeft.aborted) continue;
      if (leftMs() === 0 || callerLeft.aborted || !isUnended(reached)) return { from: "around", reached };
      // Its host cannot be asked, or ends all waits because it drains: it may come back, or another takes the job up.
      await pause(clock, Math.min(leftMs(), elsewhereRule.lookAgainMs), waitOver);
    }
  } finally {
    forgetCaller();
    forgetDrain();
  }
}

function isUnended(reached: Reached): boolean {
  if (reached.kind === "found") return !isEnd(reached.job.state);
  if (reached.kind === "refused") return false;
  const { status, body } = reached.answer;
  if (status !== 200 || body.length > unendedBytesMost) return false;
  const shown = readAnswer(body)?.["status"];
  return shown === "queued" || shown === "running";
}
