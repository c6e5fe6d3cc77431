// Which endpoints have series of their own, while a fleet's instances come and go.

import { describe, expect, test } from "bun:test";
import type { Fleet } from "../../src/fleet/fleet.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import { createEndpointLabels } from "../../src/telemetry/endpoint-labels.ts";
import { registerFleetGauges } from "../../src/telemetry/fleet-gauges.ts";
import { createRegistry } from "../../src/telemetry/registry.ts";
import { advertWith, engineThere } from "../support/adverts.ts";

const now = 1_000_000;
const spec = { name: "here/vllm", tier: "gold", locality: "local", slots: 4, queueLimit: 4 } as const;
const own = { spec, identity: "1", models: ["m"] };

function scene() {
  const fleet = createFleet([own], { name: "here", zone: undefined });
  const registry = createRegistry();
  const attempts = registry.counter("attempts_total", "A.", ["endpoint", "outcome"]);
  const labels = createEndpointLabels(fleet, [attempts]);
  registerFleetGauges(registry, fleet, () => now, labels);
  const call = (name: string): void => {
    const endpoint = fleet.named(name);
    if (endpoint === undefined) throw new Error(`no ${name}`);
    endpoint.begin("m", false, fleet.nextPick(), now);
    attempts.with(labels.of(endpoint), "ok").add(1);
  };
  const series = (family: string): string[] =>
    [...registry.expose().matchAll(new RegExp(`^${family}\\{endpoint="([^"]+)"`, "gm"))].map(
      ([, name = ""]) => name,
    );
  return { fleet, labels, call, series };
}

function meet(fleet: Fleet, name: string): void {
  const advert = advertWith([engineThere({ name: "e", slots: 64 })]);
  fleet.setPeer({ name, boot: "1", state: "alive", advert, advertAt: now }, now);
}

const lose = (fleet: Fleet, name: string): boolean =>
  fleet.setPeer({ name, boot: "1", state: "dead", advert: undefined, advertAt: now }, now);

describe("an endpoint's series", () => {
  test("begin with its first use, in counters and gauges alike, and this host's own are always there", () => {
    const { fleet, call, series } = scene();
    meet(fleet, "a");
    meet(fleet, "b");
    expect(series("tierline_inflight")).toEqual(["here/vllm"]);
    call("b/e");
    expect(series("tierline_inflight")).toEqual(["here/vllm", "b/e"]);
    expect(series("attempts_total")).toEqual(["b/e"]);
  });

  test("go when it leaves the fleet, and what ends late is counted under `other`", () => {
    const { fleet, labels, call, series } = scene();
    meet(fleet, "a");
    call("a/e");
    call("here/vllm");
    const gone = fleet.named("a/e");
    if (gone === undefined) throw new Error("no a/e");
    lose(fleet, "a");
    labels.sweep();
    expect(series("attempts_total")).toEqual(["here/vllm"]);
    expect(series("tierline_breaker_state")).toEqual(["here/vllm"]);
    expect(labels.of(gone)).toBe("other");
  });

  test("of this host's own go with a reload that removes it", () => {
    const { fleet, labels, call, series } = scene();
    call("here/vllm");
    fleet.reconfigure([]);
    labels.sweep();
    expect(series("attempts_total")).toEqual([]);
  });

  test("are at most 64 for peers however many come and go, the same in counters and gauges", () => {
    const { fleet, labels, call, series } = scene();
    for (let index = 0; index < 1000; index += 1) {
      meet(fleet, `peer-${index}`);
      call(`peer-${index}/e`);
      if (index >= 100) {
        lose(fleet, `peer-${index - 100}`);
        labels.sweep();
      }
    }
    const counted = series("attempts_total");
    expect(counted).toContain("other");
    expect(counted.length).toBe(65);
    const shown = series("tierline_inflight").filter((name) => name !== "here/vllm");
    expect(shown.toSorted()).toEqual(counted.filter((name) => name !== "other").toSorted());
  });

  test("beyond the bound begin when another's have gone", () => {
    const { fleet, labels, call, series } = scene();
    for (let index = 0; index < 65; index += 1) {
      meet(fleet, `peer-${index}`);
      call(`peer-${index}/e`);
    }
    expect(series("attempts_total")).not.toContain("peer-64/e");
    lose(fleet, "peer-0");
    labels.sweep();
    call("peer-64/e");
    expect(series("attempts_total")).toContain("peer-64/e");
  });
});
