// What a host of a test says of itself: well, idle and long up, but for what the test says otherwise.

import type { Advert, AdvertEngine } from "../../src/fleet/advert.ts";
import type { Load } from "../../src/fleet/load.ts";

export const idleLoad: Load = {
  at: 1,
  inflight: 0,
  waiting: 0,
  kvPercent: undefined,
  firstByteMs: undefined,
};

export const engineThere = (more: Partial<AdvertEngine> = {}): AdvertEngine => ({
  name: "vllm",
  tier: "gold",
  models: ["m"],
  slots: 8,
  state: "ok",
  load: idleLoad,
  ...more,
});

export const advertWith = (engines: readonly AdvertEngine[], more: Partial<Advert> = {}): Advert => ({
  public: "http://10.0.0.2:8010",
  zone: undefined,
  draining: false,
  upMs: 1e9,
  intents: undefined,
  engines,
  ...more,
});
