// Looks at endpoints that owe answers and have gone quiet, and has them left when they are silent.

import type { Clock } from "../base/clock.ts";
import type { Asked } from "../engines/look.ts";
import type { EndpointState } from "../fleet/endpoint-state.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { Evacuation } from "./evacuation.ts";

const silenceWatchRule = { tickMs: 25 } as const;

export interface SilenceWatchParts {
  readonly fleet: Fleet;
  readonly evacuation: Evacuation;
  readonly clock: Clock;
  /** Asks the endpoint for one token, on a connection of its own; true where there was any sign of life in time. */
  readonly look: (endpoint: EndpointState, asked: Asked, limitMs: number) => Promise<boolean>;
  readonly onSilent: (endpoint: EndpointState, asked: Asked) => void;
}

/** Watches until the returned function is called. */
export function watchSilence({ fleet, evacuation, clock, look, onSilent }: SilenceWatchParts): () => void {
  /** What was last asked where: a caller who left took the question along, and the look needs one of its sort. */
  const lastAsked = new WeakMap<EndpointState, Asked>();
  let stopTimer: () => void;

  const lookAt = async (endpoint: EndpointState, limitMs: number): Promise<void> => {
    const asked = lastAsked.get(endpoint);
    if (asked === undefined) return;
    endpoint.silence.looking(clock.now());
    const alive = await look(endpoint, asked, limitMs);
    if (!endpoint.silence.looked(alive, clock.now())) return;
    onSilent(endpoint, asked);
    evacuation.evacuate(endpoint);
  };

  const tick = (): void => {
    const now = clock.now();
    for (const endpoint of fleet.endpoints) {
      const asked = evacuation.askedOf(endpoint);
      if (asked !== undefined) lastAsked.set(endpoint, asked);
      // Of a large fleet's peers most were never asked anything by us; they cannot owe an answer.
      else if (!lastAsked.has(endpoint)) continue;
      // Whoever had nowhere to go when the silence began may have by now.
      if (endpoint.silent) evacuation.evacuate(endpoint);
      const limitMs = endpoint.quietLimitMs();
      if (endpoint.silence.due(limitMs, now)) void lookAt(endpoint, limitMs);
    }
    stopTimer = clock.after(silenceWatchRule.tickMs, tick);
  };

  stopTimer = clock.after(silenceWatchRule.tickMs, tick);
  return () => stopTimer();
}
