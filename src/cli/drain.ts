// `tierline drain` and `undrain`: take a router out of traffic without cutting a request, and put it back.

import { z } from "zod";
import type { Clock, Instant } from "../base/clock.ts";
import type { Ask, RouterAnswer } from "./ask-router.ts";
import { askAndPrint, withRouter } from "./ask-router.ts";
import type { Command } from "./command.ts";
import { exit, jsonOption, printJson } from "./command.ts";
import { routerOptions } from "./router.ts";

const drainStatus = z.looseObject({
  draining: z.boolean(),
  inflight: z.number(),
  /** Since a caller last came; only where peers answer for the router, so that it pays to wait for the last of them. */
  quiet_ms: z.number().optional(),
});
type DrainStatus = z.output<typeof drainStatus>;

const drainRule = {
  /** Often enough to feel immediate, seldom enough to cost nothing. */
  pollMs: 200,
  /** Callers, and load balancers that ask /readyz every second, have noticed by then. */
  quietMs: 2000,
  /** Whoever still comes after that does not ask /readyz; peers answer them until the door is shut. */
  lingerMs: 30_000,
} as const;

export const drain: Command = {
  name: "drain",
  about: "Stop admitting requests; what is in flight is finished",
  options: {
    wait: {
      about: "return only when nothing is in flight and callers have stopped coming; there is no deadline",
    },
    ...routerOptions,
    json: jsonOption,
  },
  example: "drain --wait",
  run: (given, io) =>
    withRouter(given, io, async (ask) => {
      const asked = await ask({ method: "POST", path: "/api/drain", answer: drainStatus });
      if (asked.ok && !given.has("json")) io.out(`Draining: ${inFlight(asked.value)}.\n`);
      const status = asked.ok && given.has("wait") ? await untilEmpty(ask, asked, io.clock) : asked;
      if (!status.ok) {
        io.err(`${status.why}.\n`);
        return exit.failed;
      }
      if (given.has("json")) printJson(io, status.raw);
      if (given.has("wait") && !status.value.draining) {
        io.err("Somebody has undrained the router meanwhile.\n");
        return exit.failed;
      }
      if (given.has("wait") && !given.has("json")) io.out("Drained: nothing is in flight.\n");
      return exit.ok;
    }),
};

export const undrain: Command = {
  name: "undrain",
  about: "Admit requests again after a drain",
  options: { ...routerOptions, json: jsonOption },
  example: "undrain",
  run: (given, io) =>
    askAndPrint(
      given,
      io,
      { method: "POST", path: "/api/undrain", answer: drainStatus },
      (status) => `Admitting again: ${inFlight(status)}.\n`,
    ),
};

/** Asks until the router may be stopped, somebody has undrained, or it no longer answers. */
async function untilEmpty(
  ask: Ask,
  first: RouterAnswer<DrainStatus>,
  clock: Clock,
): Promise<RouterAnswer<DrainStatus>> {
  const { pollMs, quietMs, lingerMs } = drainRule;
  const began = clock.now();
  let emptySince: Instant | undefined;
  let status = first;
  while (status.ok && status.value.draining) {
    const { inflight, quiet_ms: quiet } = status.value;
    const now = clock.now();
    emptySince = inflight === 0 ? (emptySince ?? now) : undefined;
    const isQuiet = quiet === undefined || Math.min(quiet, now - began) >= quietMs;
    if (emptySince !== undefined && (isQuiet || now - emptySince >= lingerMs)) return status;
    await new Promise<void>((resolve) => void clock.after(pollMs, resolve));
    status = await ask({ method: "GET", path: "/api/drain", answer: drainStatus });
  }
  return status;
}

const inFlight = ({ inflight }: DrainStatus): string =>
  `${inflight} ${inflight === 1 ? "request" : "requests"} in flight`;
