// A door behind which there is nothing but scripted intents: enough for the public listener's endpoints of intents.

import pino from "pino";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import { alone } from "../../src/http/alone.ts";
import type { Door, DoorSettings } from "../../src/http/door.ts";
import { createIntentAccount } from "../../src/http/intent-account.ts";
import { createLifecycle } from "../../src/http/lifecycle.ts";
import { createRequestAccount } from "../../src/http/request-account.ts";
import { createArchetypes } from "../../src/intents/archetype.ts";
import { createDeskWithoutLane } from "../../src/jobs/idle-desk.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { createRegistry } from "../../src/telemetry/registry.ts";
import { guard, statue } from "./archetypes.ts";
import { rungsOf } from "./rungs.ts";
import { scriptedCache } from "./scripted-cache.ts";
import type { ScriptedIntents, Table } from "./scripted-intents.ts";
import { scriptedIntents } from "./scripted-intents.ts";
import { noStrain } from "./strain.ts";

export interface NpcDoor extends Door {
  readonly intents: ScriptedIntents;
  /** Lines of level warn and above. */
  readonly logged: string[];
}

const anySla = { ladder: [], firstByteMs: 1000, totalMs: 1000 };

export function npcDoor(table: Table, more: Partial<DoorSettings> = {}, clock = systemClock): NpcDoor {
  const registry = createRegistry();
  const metrics = createMetrics(registry);
  const logged: string[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => void logged.push(line) });
  const settings: DoorSettings = {
    policy: {
      sla: { realtime: anySla, interactive: anySla, async: anySla },
      aliases: new Map(),
      rungs: rungsOf(),
    },
    bodyLimitBytes: 4_000_000,
    intentDeadlineMs: 14,
    intentEngineShare: 0.5,
    authenticate: undefined,
    corsOrigins: ["http://localhost:3000"],
    metricsOnPublic: true,
    authenticateAdmin: undefined,
    isAdminHost: () => false,
    ...more,
  };
  const lifecycle = createLifecycle();
  lifecycle.enter("ready");
  return {
    clock,
    random: seededRandom(1),
    desk: createDeskWithoutLane("gold-1"),
    dispatch: () => Promise.reject(new Error("no intent goes this way")),
    intents: scriptedIntents(createArchetypes([guard, statue]), table),
    misanswered: () => undefined,
    fleet: createFleet([]),
    cluster: alone("gold-1"),
    self: () => ({ public: "http://127.0.0.1:8010", zone: null }),
    caches: { intents: scriptedCache(), results: scriptedCache() },
    onCacheCleared: () => undefined,
    lifecycle,
    strain: noStrain,
    account: createRequestAccount(metrics, log, clock),
    intentAccount: createIntentAccount(metrics),
    registry,
    log,
    logged,
    // What a test changes in `more` is in force at the next request, as after a reload.
    settings: () => ({ ...settings, ...more }),
    printedConfig: () => "",
  };
}
