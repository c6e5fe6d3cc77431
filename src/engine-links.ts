// The engines of this host, each with its two wires (requests, questions), its dialect, its prober, and how it is kept to
// the letters of an intent.

import type { Clock } from "./base/clock.ts";
import type { Random } from "./base/random.ts";
import type { EngineConfig } from "./config/config.ts";
import type { EngineLink, LinkToEngine } from "./dispatch/engine-link.ts";
import { createAsk } from "./engines/ask.ts";
import { dialects } from "./engines/engine.ts";
import type { Lookout } from "./engines/lookout.ts";
import { startProber } from "./engines/prober.ts";
import { keepConstraint } from "./engines/verify-constraint.ts";
import type { EndpointState } from "./fleet/endpoint-state.ts";
import type { Log } from "./telemetry/log.ts";
import { createWireClient } from "./wire/client.ts";
import { targetOf } from "./wire/target.ts";

/** What motion needs of any endpoint, be its engine here or behind a peer. */
export interface LinkedEndpoint {
  readonly link: EngineLink;
  readonly lookout: Lookout;
}

export interface LinkedEngine extends LinkedEndpoint {
  readonly link: LinkToEngine;
  /** After a reload: there may be archetypes now, or some with more actions. */
  verifyConstraint(): void;
  /** It does not answer intents as it did when it was asked: it is asked again, though not for every such answer. */
  doubtConstraint(): void;
  stop(): void;
}

export interface SharedLinkParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The endpoint takes work again: whoever waits may ask. */
  readonly onBack: (endpoint: EndpointState) => void;
}

export interface LinkParts extends SharedLinkParts {
  /** The most actions that an archetype has; 0 where there are none, and no engine is asked to prove anything. */
  readonly intentOptions: () => number;
  /** The endpoint takes no work: whoever waits for it must look elsewhere. */
  readonly onAway: (endpoint: EndpointState) => void;
}

/** Room beside the slots for connections that are closing, and for the one-token question of the silence test. */
const spareConnections = 64;
/** An engine that has changed its mind is found out within this, and one that never makes it up fills no log. */
const doubtEveryMs = 10_000;
const slotsToldEveryMs = 3_600_000;
/** Questions are few and of a size. */
export const questionConnections = 16;

export function linkEngine(config: EngineConfig, endpoint: EndpointState, parts: LinkParts): LinkedEngine {
  const { clock, random, log, onBack, onAway } = parts;
  const dialect = dialects[config.kind];
  const target = targetOf(new URL(config.url));
  const authorization = config.apiKey === undefined ? undefined : `Bearer ${config.apiKey}`;
  const client = createWireClient(target, clock, { maxConnections: config.maxConcurrent + spareConnections });
  // Probes must get through when every slot is held, so they share no connection with requests.
  const asking = createWireClient(target, clock, { maxConnections: questionConnections });
  const headers = authorization === undefined ? [] : [["authorization", authorization] as const];
  const { name } = endpoint.spec;
  const ask = createAsk(asking, clock, headers);

  const keeper = keepConstraint({
    dialect,
    clock,
    random,
    ask,
    onVerified: ({ constraint, held }) =>
      log.info({ endpoint: name, constraint: constraint.name, held }, "engine intents"),
  });
  const verifyConstraint = (): void => keeper.verify(endpoint.models?.[0], parts.intentOptions());

  let doubtedAt = Number.NEGATIVE_INFINITY;
  const doubtConstraint = (): void => {
    if (clock.now() - doubtedAt < doubtEveryMs) return;
    doubtedAt = clock.now();
    log.warn({ endpoint: name }, "engine does not answer intents as it did when it was asked; asking again");
    keeper.doubt();
    verifyConstraint();
  };

  let slotsToldAt = Number.NEGATIVE_INFINITY;
  /** Once an hour is enough: it is a wrong setting, or an engine that has become smaller. */
  const tellSlots = (): void => {
    const { slots } = endpoint.spec;
    if (slots >= config.maxConcurrent || clock.now() - slotsToldAt < slotsToldEveryMs) return;
    slotsToldAt = clock.now();
    log.warn(
      { endpoint: name, slots, max_concurrent: config.maxConcurrent },
      "the engine queues what it is given: it gets no more at once than it runs; lower max_concurrent",
    );
  };

  const prober = startProber({
    dialect,
    clock,
    random,
    ask,
    onHealth(verdict) {
      const was = endpoint.health;
      endpoint.setHealth(verdict, clock.now());
      if (was !== "unknown" || verdict === "unhealthy") {
        log[verdict === "unhealthy" ? "warn" : "info"](
          { endpoint: name, health: verdict, was },
          "engine health",
        );
      }
      if (verdict === "unhealthy") {
        keeper.doubt();
        onAway(endpoint);
      } else {
        verifyConstraint();
        onBack(endpoint);
      }
    },
    onModels(models) {
      endpoint.setModels(models);
      log.info({ endpoint: name, models }, "engine models");
      verifyConstraint();
    },
    onGauges(gauges) {
      if (endpoint.setGauges(gauges, clock.now())) onBack(endpoint);
      tellSlots();
    },
    onAnswered: () => answersAgain(endpoint, prober, parts),
  });

  return {
    link: { client, dialect, authorization, intentConstraint: keeper.current, relist: prober.relist },
    lookout: prober,
    verifyConstraint,
    doubtConstraint,
    stop() {
      prober.stop();
      keeper.stop();
      asking.close();
      // Requests in flight keep their connections; the rest close themselves when idle.
    },
  };
}

export function answersAgain(
  endpoint: EndpointState,
  lookout: Lookout,
  { clock, log, onBack }: SharedLinkParts,
): void {
  lookout.watch(undefined);
  endpoint.answeredAgain(clock.now());
  log.info({ endpoint: endpoint.spec.name }, "endpoint answers again");
  onBack(endpoint);
}
