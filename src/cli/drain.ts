// `tierline drain` and `undrain`: take a router out of traffic without cutting a request, and put it back.

import { z } from "zod";
import type { Clock } from "../base/clock.ts";
import type { Ask, RouterAnswer } from "./ask-router.ts";
import { askAndPrint, withRouter } from "./ask-router.ts";
import type { Command } from "./command.ts";
import { exit, jsonOption, printJson } from "./command.ts";
import { routerOptions } from "./router.ts";

const drainStatus = z.looseObject({ draining: z.boolean(), inflight: z.number() });
type DrainStatus = z.output<typeof drainStatus>;

/** Often enough to feel immediate, seldom enough to cost nothing. */
const pollMs = 200;

export const drain: Command = {
  name: "drain",
  about: "Stop admitting requests; what is in flight is finished",
  options: {
    wait: { about: "return only when nothing is in flight; there is no deadline" },
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

/** Asks until nothing is in flight, somebody has undrained, or the router no longer answers. */
async function untilEmpty(
  ask: Ask,
  first: RouterAnswer<DrainStatus>,
  clock: Clock,
): Promise<RouterAnswer<DrainStatus>> {
  let status = first;
  while (status.ok && status.value.draining && status.value.inflight > 0) {
    await new Promise<void>((resolve) => void clock.after(pollMs, resolve));
    status = await ask({ method: "GET", path: "/api/drain", answer: drainStatus });
  }
  return status;
}

const inFlight = ({ inflight }: DrainStatus): string =>
  `${inflight} ${inflight === 1 ? "request" : "requests"} in flight`;
