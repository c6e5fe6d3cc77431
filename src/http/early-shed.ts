// While callers are being refused for want of room: whether a request can be refused by its headers alone. Reading and
// parsing a body that nobody will answer is most of what a refusal costs.

import type { Dispatched, Journey } from "../dispatch/dispatched.ts";
import { noteMissed } from "../dispatch/note-missed.ts";
import { refusalOf } from "../dispatch/refusal.ts";
import { tiers } from "../fleet/endpoint.ts";
import { sessionHeader } from "../host/forwarded.ts";
import type { Decision, Shed } from "../routing/decision.ts";
import type { RoutingRequest } from "../routing/request.ts";
import { route } from "../routing/route.ts";
import { slaClasses } from "../routing/sla.ts";
import type { Arrival } from "./arrival.ts";
import type { Door } from "./door.ts";
import { laneMsFor, prefersJob } from "./in-lane.ts";
import type { Accounted } from "./request-account.ts";
import { crowdReasons } from "./request-account.ts";
import { readCacheControl, readDeadlineMs, readSession, readSla } from "./request-headers.ts";

const earlyShedRule = {
  /** So long after a refusal that took the whole way the next are likely to be refused as well. */
  crowdedMs: 250,
  /** So long after an answer that was given again another one may be. */
  reusedMs: 10_000,
} as const;

export interface EarlyShed {
  readonly request: Accounted;
  readonly dispatched: Extract<Dispatched, { kind: "refusal" }>;
}

/** No header and no body can name it. */
const nobodysYet = "";

const isForCrowd = (decision: Decision): decision is Shed =>
  decision.do === "shed" && crowdReasons.has(decision.because);

/** Undefined: what its body says may make a difference, or nobody has been refused of late. */
export function shedByHeaders(headers: Headers, arrival: Arrival, door: Door): EarlyShed | undefined {
  const { account, random, fleet } = door;
  const { receivedAt, fromPeer, caller, key, elsewhere, id, path } = arrival;
  if (receivedAt - account.lastShedAt > earlyShedRule.crowdedMs || fromPeer !== undefined) return undefined;
  // Only the body tells whether its answer is kept, and such an answer costs nothing.
  const isReusing = receivedAt - account.lastReusedAt <= earlyShedRule.reusedMs;
  if (isReusing && readCacheControl(headers.get("cache-control")) === undefined) return undefined;
  const deadlineMs = readDeadlineMs(headers.get("x-tierline-deadline-ms"));
  const sla = readSla(headers.get("x-tierline-sla"));
  // It is told what is wrong with them.
  if (typeof deadlineMs === "object" || typeof sla === "object") return undefined;

  const { policy } = door.settings();
  const classes = sla === undefined ? slaClasses : [sla];
  const totalMs = deadlineMs ?? Math.max(...classes.map((each) => policy.sla[each].totalMs));
  const asked = {
    // Which tier comes first may be the body's to say, and realtime has spilled nowhere.
    sla: "realtime",
    ladder: tiers.map((tier) => policy.rungs[tier]),
    model: undefined,
    stream: false,
    oneToken: true,
  } as const;
  /** Whatever the body says, it asks for as much as this or for more. */
  const least: RoutingRequest = {
    ...asked,
    deadline: receivedAt + totalMs,
    caller,
    session: readSession(headers.get(sessionHeader), undefined),
    elsewhere,
    // Without a class the body may name the lane's.
    laneMs: laneMsFor({ ...asked, sla: sla ?? "async", path, bodyBytes: 0 }, prefersJob(headers, key), door),
  };
  const decision = route(least, fleet, [], receivedAt, random);
  if (!isForCrowd(decision)) return undefined;
  // The body may name a session, and somebody would make room for a player who holds nothing.
  const isUnnamed = least.session === undefined;
  if (isUnnamed && !isForCrowd(route({ ...least, session: nobodysYet }, fleet, [], receivedAt, random)))
    return undefined;
  noteMissed({ ...least, ladder: policy.sla[sla ?? "interactive"].ladder }, fleet, receivedAt);
  const journey: Journey = { tried: [], queuedMs: 0, engineMs: 0, because: decision.because };
  return {
    request: {
      id,
      path,
      sla: sla ?? "none",
      model: undefined,
      modelName: undefined,
      stream: false,
      receivedAt,
      deadline: least.deadline,
      unread: true,
    },
    dispatched: { kind: "refusal", ...refusalOf([], false, decision, random), journey },
  };
}
