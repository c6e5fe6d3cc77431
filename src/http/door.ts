// What the doors are handed: how to answer, and the parts of the configuration that a reload may change.

import type { CacheControl, CacheName } from "../base/cache-control.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Dispatch } from "../dispatch/dispatch.ts";
import type { Intents } from "../dispatch/intents.ts";
import type { Fleet } from "../fleet/fleet.ts";
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
  /** Undefined: nobody is asked for a key. */
  readonly authenticate: Authenticate | undefined;
  readonly corsOrigins: readonly string[];
  readonly metricsOnPublic: boolean;
  /** Undefined: the admin listener asks for no token. */
  readonly authenticateAdmin: Authenticate | undefined;
  /** Whether the admin API answers to this name in a Host header, loopback names apart. */
  readonly isAdminHost: (name: string) => boolean;
}

export interface Door {
  readonly clock: Clock;
  readonly random: Random;
  readonly dispatch: Dispatch;
  readonly intents: Intents;
  readonly fleet: Fleet;
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
