// Asks this machine who it is. Its host name is always there; EC2 is asked only where it may know and something of it
// is wanted, because starting waits for the answer.

import type { Clock } from "../base/clock.ts";
import { askEc2Identity, createEc2Metadata, mayBeEc2 } from "../host/ec2.ts";
import type { Machine } from "./machine.ts";
import { thisHost } from "./machine.ts";
import { valueAt } from "./path.ts";
import { readText } from "./read-text.ts";
import type { ConfigSources } from "./read-values.ts";
import { readValues } from "./read-values.ts";

type Where = Pick<ConfigSources, "env" | "readFile">;

/** For `loadConfig` of the same sources, the first time and each time after. Takes at most `ec2Rule.startMs`. */
export const askMachine = async (from: ConfigSources, clock: Clock): Promise<Machine> =>
  isAtEc2(from) && wantsMore(from) ? askEc2(from, clock) : thisHost();

/** The same where nothing is written. */
export const askMachineItself = async (from: Where, clock: Clock): Promise<Machine> =>
  isAtEc2(from) ? askEc2(from, clock) : thisHost();

function isAtEc2({ env, readFile }: Where): boolean {
  return mayBeEc2(env, (file) => {
    const reading = readText(file, readFile);
    return reading.ok ? reading.text : undefined;
  });
}

/** A router alone has no use for its zone. */
function wantsMore(from: ConfigSources): boolean {
  const { layered } = readValues(from);
  if (layered === undefined) return false;
  const { tree, sources } = layered;
  const isInFleet = valueAt(tree, ["listen", "gossip"]) !== undefined;
  return !sources.written(["host", "name"]) || (isInFleet && !sources.written(["host", "zone"]));
}

async function askEc2({ env }: Where, clock: Clock): Promise<Machine> {
  const metadata = createEc2Metadata(env, clock);
  const found = await askEc2Identity(metadata);
  metadata.close();
  if ("none" in found) return { ...thisHost(), untold: found.none };
  return { name: found.instanceId, zone: found.availabilityZone, toldBy: "ec2" };
}
