// When a router has missed a slot: what it tells the others that it is short of.

import { describe, expect, test } from "bun:test";
import type { Advert } from "../../src/fleet/advert.ts";
import type { Tier } from "../../src/fleet/endpoint.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import { balancers } from "../../src/routing/balancers/balancers.ts";
import { missedTiers } from "../../src/routing/missed.ts";
import type { RoutingRequest } from "../../src/routing/request.ts";
import { route } from "../../src/routing/route.ts";
import { advertWith, engineThere, idleLoad } from "../support/adverts.ts";

const now = 1_000_000;
const random = (): number => 0.5;
const rung = (tier: Tier) => ({ tier, balance: balancers["least-pressure"] });
const request: RoutingRequest = {
  sla: "interactive",
  ladder: [rung("gold"), rung("silver")],
  model: undefined,
  stream: true,
  deadline: now + 5000,
};
const peer = (tier: Tier, inflight: number, more: Partial<Advert> = {}): Advert =>
  advertWith([engineThere({ tier, slots: 1, load: { ...idleLoad, inflight } })], more);

/** A door, and its peers. */
function missed(
  peers: readonly Advert[],
  more: Partial<RoutingRequest> = {},
  local: { slots: number; queueLimit: number } | undefined = undefined,
): readonly Tier[] {
  const { decision, asked, fleet } = decided(peers, more, local);
  return missedTiers(decision, asked, fleet, [], now);
}

function decided(
  peers: readonly Advert[],
  more: Partial<RoutingRequest> = {},
  local: { slots: number; queueLimit: number } | undefined = undefined,
) {
  const spec = { name: "here/vllm", tier: "gold", locality: "local", ...local } as const;
  const engine = local && { spec: { ...spec, ...local }, identity: "1", models: ["m"] };
  const fleet = createFleet(engine === undefined ? [] : [engine], { name: "here", zone: undefined });
  for (const [index, advert] of peers.entries())
    fleet.setPeer({ name: `p${index}`, boot: "1", state: "alive", advert, advertAt: now }, now);
  for (const own of fleet.local) own.begin("m", true, 1, now);
  const asked = { ...request, ...more };
  return { decision: route(asked, fleet, [], now, random), asked, fleet };
}

describe("a tier is missed", () => {
  test("where a request is refused, goes down the ladder, or waits here, and a peer of that tier is full", () => {
    expect(missed([peer("gold", 1)])).toEqual(["gold"]);
    expect(missed([peer("gold", 1), peer("silver", 1)])).toEqual(["gold", "silver"]);
    expect(missed([peer("gold", 1), peer("silver", 0)])).toEqual(["gold"]);
    expect(missed([peer("gold", 1), peer("silver", 1)], {}, { slots: 1, queueLimit: 8 })).toEqual(["gold"]);
  });

  test("not where the first tier has a slot, nor where there is no peer of it, nor one that is well", () => {
    expect(missed([peer("gold", 1), peer("gold", 0)])).toEqual([]);
    expect(missed([peer("silver", 0)])).toEqual([]);
    expect(missed([peer("gold", 0, { draining: true })])).toEqual([]);
  });

  test("not where free slots are merely others' share, or shares would keep themselves in force", () => {
    const short = Array.from(
      { length: 30 },
      (): Advert => ({
        ...peer("gold", 0),
        engines: [],
        short: ["gold"],
      }),
    );
    const peers = [peer("gold", 0), ...short];
    expect(decided(peers).decision).toMatchObject({ do: "shed", because: "pool-full" });
    expect(missed(peers)).toEqual([]);
  });

  test("not by what another router has forwarded, nor by who asks for a share of the slots only", () => {
    for (const more of [{ only: "here/vllm" }, { share: 0.5 }, { pressureBelow: 0.7 }])
      expect(missed([peer("gold", 1)], more)).toEqual([]);
  });
});
