// A look into S3 for a job that has no row here; its caller is waiting.

import type { Clock } from "../base/clock.ts";
import type { Leaving } from "../base/departure.ts";
import { inTime } from "../base/in-time.ts";
import type { FoundJob, JobDesk } from "./desk.ts";
import { deskRule } from "./desk.ts";
import type { JobKeeping } from "./keeping.ts";

/** As `JobDesk.seek`. `callerLeft` undefined: nobody but the limit ends it. */
export async function seekIn(
  keeping: Pick<JobKeeping, "seek">,
  clock: Clock,
  id: string,
  caller: string | undefined,
  callerLeft: Leaving | undefined,
): Promise<FoundJob> {
  const sought = await inTime(clock, deskRule.seekMostMs, callerLeft, (signal) =>
    keeping.seek(id, caller, signal),
  );
  return sought.kind === "held" ? { ...sought, kind: "elsewhere", id } : sought;
}

/** What a desk has of it: nothing where S3 knows of no jobs. */
export const seekOf = (keeping: JobKeeping | undefined, clock: Clock): Pick<JobDesk, "seek"> =>
  keeping === undefined
    ? {}
    : { seek: (id, caller, callerLeft) => seekIn(keeping, clock, id, caller, callerLeft) };
