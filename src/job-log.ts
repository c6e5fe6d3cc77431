// What the log says of jobs: a line for each end, and for what keeps them waiting.

import type { AdoptionEvent } from "./jobs/adoption-event.ts";
import type { Job } from "./jobs/job.ts";
import { statusOf } from "./jobs/job.ts";
import type { LaneEvent } from "./jobs/lane.ts";

export type JobLogEvent = LaneEvent | { readonly kind: "adoption"; readonly event: AdoptionEvent };

interface Line {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export function jobLine(event: JobLogEvent): Line {
  switch (event.kind) {
    case "submitted":
      return { level: "debug", message: "job handed over", fields: fieldsOf(event.job) };
    case "ended": {
      const { job } = event;
      const status = statusOf(job.state);
      const level = status === "failed" || status === "expired" ? "warn" : "info";
      const tookMs = job.endedAtMs === undefined ? undefined : job.endedAtMs - job.acceptedAtMs;
      return {
        level,
        message: `job ${status}`,
        fields: { ...fieldsOf(event.job), took_ms: tookMs, why: job.error },
      };
    }
    case "recovered":
      return {
        level: "warn",
        message:
          "a job was being handed over when the router ended; it is looked for, then handed over again",
        fields: { ...fieldsOf(event.job), recoveries: event.job.recoveries },
      };
    case "lost":
      return {
        level: "warn",
        message: "another host has taken a job over; it is forgotten here",
        fields: { job: event.id, member: event.member },
      };
    case "again":
      return {
        level: event.isOldNews ? "debug" : "warn",
        message: "a job has to wait",
        fields: { job: event.id, why: event.why, after_ms: event.afterMs },
      };
    case "trouble":
      return { level: "error", message: event.trouble.message, fields: { trouble: event.trouble.kind } };
    case "broke":
      return {
        level: "error",
        message: "asking about a job broke",
        fields: { job: event.id, err: event.error },
      };
    case "adoption":
      return adoptionLine(event.event);
  }
}

function adoptionLine(event: AdoptionEvent): Line {
  switch (event.kind) {
    case "adopted":
      return {
        level: "info",
        message: "a job is taken over from a host that is gone, or has lost its disk",
        fields: { job: event.id, member: event.from },
      };
    case "lease-lapsed":
      return {
        level: "warn",
        message:
          "S3 did not take this host's lease in time: its jobs may be taken over, if it is thought dead",
        fields: {},
      };
    case "list-cut":
      return {
        level: "warn",
        message: "a host that is gone had more jobs than can be listed; some wait until it is back",
        fields: { member: event.member },
      };
    case "trouble":
      return { level: "warn", message: event.why, fields: {} };
    case "unadoptable":
      return { level: "error", message: event.why, fields: { job: event.id } };
    case "broke":
      return { level: "error", message: "taking jobs over broke", fields: { err: event.error } };
  }
}

const fieldsOf = ({ id, owner, model, attempt }: Job): Line["fields"] => ({
  job: id,
  ...(owner !== null && { caller: owner }),
  model,
  attempt,
});
