// Another router of the fleet, as it answers for an engine behind it. Not a kind that anybody configures: gossip tells
// of it, and what its engine speaks is its own affair.

import type { AnswerDialect } from "./dialect.ts";
import { oneToken, readErrorBody, readStatus } from "./openai-wire.ts";

/** The word of a router whose time ran out before its engine's answer came. */
const deadlineThere = "deadline_exceeded";

/** The word of a router that has room, but not for more of this flow. */
const overShareThere = "over-share";

/** Too long, too slow or too odd for it, by limits that may be others than ours; 431 is Bun's own, before any router's. */
const declined: ReadonlySet<number> = new Set([400, 408, 413, 431]);

export const peer: AnswerDialect = {
  readError: readErrorBody,
  verdict(status, refused) {
    if (refused === undefined) return readStatus(status);
    if (refused === deadlineThere) return "late";
    if (refused === overShareThere) return "over-share";
    if (status === 429 || status === 503) return "busy";
    // What the router there calls its caller's fault is none of our caller's, and no trouble of its engine's.
    return declined.has(status) ? "declined" : "server-error";
  },
  oneToken,
};
