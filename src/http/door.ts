// What the doors are handed: how to answer, and the parts of the configuration that a reload may change.

import type { CacheControl, CacheName } from "../base/cache-control.ts";
import type { Clock, Instant } from "../base/clock.ts";
import type { Leaving } from "../base/departure.ts";
import type { Random } from "../base/random.ts";
import type { Strain } from "../base/strain.ts";
import type { MemberState } from "../cluster/claim.ts";
import type { Dispatch } from "../dispatch/dispatch.ts";
import type { Intents } from "../dispatch/intents.ts";
import type { Advert } from "../fleet/advert.ts";
import type { Clearing } from "../fleet/clearing.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { ClaimSeals } from "../host/claim-seals.ts";
import type { Forwarded } from "../host/forwarded.ts";
import type { JobCall } from "../host/job-call.ts";
import type { Refused } from "../host/sealed-message.ts";
import type { JobDesk } from "../jobs/desk.ts";
import type { EndpointSeen } from "../jobs/endpoint-watch.ts";
import type { JobFigures } from "../jobs/job-figures.ts";
import type { OperatorDesk } from "../jobs/operator-desk.ts";
import type { RoutingPolicy } from "../routing/sla.ts";
import type { Log } from "../telemetry/log.ts";
import type { Registry } from "../telemetry/registry.ts";
import type { Authenticate } from "./auth.ts";
import type { IntentAccount } from "./intent-account.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { RequestAccount } from "./request-account.ts";

export interface DoorSettings {
  readonly policy: RoutingPolicy;
  readonly bodyLimitBytes: number;
  /** Of intents that name no deadline of their own. */
  readonly intentDeadlineMs: number;
  /** Above 0 and at most 1: the part of each endpoint's slots that intents may hold, peers' among them. */
  readonly intentEngineShare: number;
  /** Undefined: nobody is asked for a key. */
  readonly authenticate: Authenticate | undefined;
  readonly corsOrigins: readonly string[];
  readonly metricsOnPublic: boolean;
  /** Undefined: the admin listener asks for no token. */
  readonly authenticateAdmin: Authenticate | undefined;
  /** Whether the admin API answers to this name in a Host header, loopback names apart. */
  readonly isAdminHost: (name: string) => boolean;
}

/** One router of the fleet, as this one holds it. */
export interface MemberFacts {
  readonly name: string;
  readonly isSelf: boolean;
  readonly state: MemberState;
  readonly incarnation: number;
  /** Its newest; undefined where it has said nothing that we understand. */
  readonly advert: Advert | undefined;
  /** When that came in. */
  readonly newsAt?: Instant;
  /** Since when it is held for its state. */
  readonly stateSince?: Instant;
  /** Who found it unreachable first, and what that one saw. */
  readonly accused?: { readonly by: string; readonly why: string } | undefined;
}

/** Requests of other routers, which stand for a caller's key. */
export interface SealedRequests<Claim> {
  readonly open: ClaimSeals<Claim>["open"];
  readonly refused: (why: Refused) => void;
}

/** A question about jobs for one other router, in a caller's name. */
export interface MemberAsk {
  readonly member: string;
  readonly method: "GET" | "POST";
  /** With its query. */
  readonly path: string;
  readonly caller: string | undefined;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: Uint8Array;
  /** Until the last byte of the answer. */
  readonly leftMs: number;
  readonly signal: Leaving;
}

export interface MemberAnswer {
  readonly status: number;
  readonly headers: { get(name: string): string | undefined };
  readonly body: Uint8Array;
}

export interface JobCalls {
  /** Never rejects. `unreachable`: why there is no answer of a router of this fleet, in a few words. */
  ask(ask: MemberAsk): Promise<MemberAnswer | { readonly unreachable: string }>;
  /** Whether there is or was such a router, as far as is known: who has only just started, or is cut off, rules nobody out. */
  mayExist(member: string): boolean;
  /** The routers that can be asked. */
  others(): readonly string[];
}

/** The fleet that this router is in; alone, it is one of one. */
export interface DoorCluster {
  members(): readonly MemberFacts[];
  counts(): Readonly<Record<MemberState, number>>;
  /** Undefined: it is in no fleet, and takes what nobody forwards. */
  readonly forwarded: SealedRequests<Forwarded> | undefined;
  /** What its members ask about jobs. */
  readonly jobCalls?: SealedRequests<JobCall>;
  /** Tells all peers what was cleared here. Answers how many there are to hear it. */
  announce(clearing: Clearing): number;
}

/** How the async lane of this host stands. */
export interface JobsHealth extends JobFigures {
  readonly runner: JobDesk["runner"];
  /** Why the job file takes nothing, in a sentence; undefined: it does. */
  readonly storeTrouble: string | undefined;
  /** Where jobs are done, as it was told last; undefined: nobody was asked, or nobody knew. */
  readonly endpoint?: EndpointSeen | undefined;
}

/** The async lane of this host, as its operator has it. */
export interface DoorLane {
  readonly operator: OperatorDesk;
  health(): JobsHealth;
}

export interface Door {
  readonly clock: Clock;
  readonly random: Random;
  readonly dispatch: Dispatch;
  readonly intents: Intents;
  /** An engine of this host has answered a peer's question, and not what it was asked. */
  readonly misanswered: (endpoint: string) => void;
  readonly fleet: Fleet;
  readonly cluster: DoorCluster;
  /** Of this host, in a fleet or not. `public`: null until the listener is open. */
  self(): { readonly public: string | null; readonly zone: string | null };
  /** Without a lane it takes nothing, and knows whose a job is. */
  readonly desk: JobDesk;
  /** Undefined: this router has no async lane. */
  readonly lane?: DoorLane | undefined;
  /** Undefined: there is nobody to ask about the jobs that this router does not have. */
  readonly askMember?: JobCalls | undefined;
  /** What this host is short of. */
  readonly strain: Strain;
  readonly caches: Readonly<Record<CacheName, CacheControl>>;
  /** What was cleared in memory must not come back from the disk. */
  readonly onCacheCleared: (cache: CacheName) => void;
  readonly lifecycle: Lifecycle;
  readonly account: RequestAccount;
  readonly intentAccount: IntentAccount;
  readonly registry: Registry;
  readonly log: Log;
  /** Read at each request: a reload replaces it as a whole. */
  settings(): DoorSettings;
  /** The effective configuration with its origins, secrets masked, as TOML. */
  printedConfig(): string;
}

/** What the doors of intents need of it. */
export type IntentDoor = Pick<Door, "clock" | "intents" | "intentAccount" | "lifecycle" | "settings">;
