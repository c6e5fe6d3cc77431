// What the doors are handed: how to answer, and the parts of the configuration that a reload may change.

import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Dispatch } from "../dispatch/dispatch.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { RoutingPolicy } from "../routing/sla.ts";
import type { Log } from "../telemetry/log.ts";
import type { Registry } from "../telemetry/registry.ts";
import type { Authenticate } from "./auth.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { RequestAccount } from "./request-account.ts";

export interface DoorSettings {
  readonly policy: RoutingPolicy;
  readonly bodyLimitBytes: number;
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
  readonly fleet: Fleet;
  readonly lifecycle: Lifecycle;
  readonly account: RequestAccount;
  readonly registry: Registry;
  readonly log: Log;
  /** Read at each request: a reload replaces it as a whole. */
  settings(): DoorSettings;
  /** The effective configuration with its origins, secrets masked, as TOML. */
  printedConfig(): string;
}
