// What a running process cannot change about itself: a reload that asks for it is refused whole.

import { addressText } from "../base/address.ts";
import type { Config } from "./config.ts";

type Read = (config: Config) => string | undefined;

/** Seeds and secrets are not among them: both can change while a fleet runs. */
const fixed: readonly (readonly [setting: string, read: Read])[] = [
  ["host.name", ({ host }) => host.name],
  ["host.zone", ({ host }) => host.zone],
  ["listen.public", ({ listen }) => addressText(listen.public)],
  ["listen.admin", ({ listen }) => addressText(listen.admin)],
  ["listen.gossip", ({ listen: { gossip } }) => gossip && addressText(gossip)],
  ["cluster.fleet", ({ cluster }) => cluster?.fleet],
  ["cluster.advertise", ({ cluster }) => JSON.stringify(cluster?.advertise)],
  ["tier.bronze and jobs", ({ bronze }) => JSON.stringify(bronze)],
  ["state.dir", ({ state }) => state.dir],
  ["tls", ({ tls }) => JSON.stringify(tls)],
];

/** A sentence for each; none where the new configuration can be taken up. */
export const needsRestart = (old: Config, next: Config): string[] =>
  fixed
    .filter(([, read]) => read(old) !== read(next))
    .map(
      ([setting]) =>
        `${setting} has changed, which needs a restart; nothing of the new configuration is in force.`,
    );
