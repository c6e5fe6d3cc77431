// What Prometheus reads, to the letter.

import { describe, expect, test } from "bun:test";
import { observe } from "../../src/base/histogram.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import { createEndpointLabels } from "../../src/telemetry/endpoint-labels.ts";
import { registerFleetGauges } from "../../src/telemetry/fleet-gauges.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { createRegistry } from "../../src/telemetry/registry.ts";
import { advertWith, engineThere } from "../support/adverts.ts";
import { needsTool } from "../support/needs-tool.ts";

describe("the registry", () => {
  test("exposes a counter by its labels, in the order they were first counted", () => {
    const registry = createRegistry();
    const served = registry.counter("served_total", "Served.", ["tier", "outcome"]);
    served.with("gold", "ok").add(1);
    served.with("silver", "left").add(2);
    served.with("gold", "ok").add(1);
    expect(registry.expose()).toBe(
      [
        "# HELP served_total Served.",
        "# TYPE served_total counter",
        'served_total{tier="gold",outcome="ok"} 2',
        'served_total{tier="silver",outcome="left"} 2',
        "",
      ].join("\n"),
    );
  });

  test("exposes a counter without labels as 0 before anything was counted", () => {
    const registry = createRegistry();
    registry.counter("retries_total", "Retries.", []);
    expect(registry.expose()).toEndWith("\nretries_total 0\n");
  });

  test("hands out the same member for the same labels, so that it may be kept", () => {
    const family = createRegistry().counter("a", "A.", ["x"]);
    expect(family.with("1")).toBe(family.with("1"));
    expect(family.with("1")).not.toBe(family.with("2"));
  });

  test("tells label values apart that would be one if joined", () => {
    const registry = createRegistry();
    const family = registry.counter("a_total", "A.", ["x", "y"]);
    family.with("1,2", "3").add(1);
    family.with("1", "2,3").add(10);
    expect(registry.expose()).toContain('a_total{x="1,2",y="3"} 1\na_total{x="1",y="2,3"} 10\n');
  });

  test("refuses too few and too many labels, which would be a bug", () => {
    const family = createRegistry().counter("a_total", "A.", ["x", "y"]);
    expect(() => family.with("1")).toThrow("x, y");
    expect(() => family.with("1", "2", "3")).toThrow("x, y");
    expect(() => family.with()).toThrow("x, y");
  });

  test("forgets the members with a value of any label, and counts them from 0 if they come again", () => {
    const registry = createRegistry();
    const family = registry.counter("a_total", "A.", ["x", "y"]);
    for (const [x, y] of [
      ["1", "a"],
      ["1", "b"],
      ["2", "a"],
    ] as const)
      family.with(x, y).add(1);
    family.forget("x", "1");
    expect(registry.expose()).toEndWith('counter\na_total{x="2",y="a"} 1\n');
    family.with("1", "a").add(5);
    expect(registry.expose()).toEndWith('a_total{x="2",y="a"} 1\na_total{x="1",y="a"} 5\n');
    family.forget("y", "a");
    expect(registry.expose()).toEndWith("# TYPE a_total counter\n");
    family.with("2", "a").add(7);
    expect(registry.expose()).toEndWith('a_total{x="2",y="a"} 7\n');
    expect(() => family.forget("z", "a")).toThrow("x, y");
  });

  test("escapes quotes, backslashes and line breaks in label values, and nothing else", () => {
    const registry = createRegistry();
    registry.counter("a_total", "A.", ["x"]).with('say "hi"\\\n{é}').add(1);
    expect(registry.expose()).toContain('a_total{x="say \\"hi\\"\\\\\\n{é}"} 1\n');
  });

  test("cumulates a histogram's buckets up to +Inf, beside its sum and its count", () => {
    const registry = createRegistry();
    const family = registry.histogram("took_seconds", "Took.", ["tier"], [0.001, 0.01, 1]);
    for (const value of [0.0005, 0.001, 0.5, 7]) observe(family.with("gold"), value);
    expect(registry.expose()).toBe(
      [
        "# HELP took_seconds Took.",
        "# TYPE took_seconds histogram",
        'took_seconds_bucket{tier="gold",le="0.001"} 2',
        'took_seconds_bucket{tier="gold",le="0.01"} 2',
        'took_seconds_bucket{tier="gold",le="1"} 3',
        'took_seconds_bucket{tier="gold",le="+Inf"} 4',
        'took_seconds_sum{tier="gold"} 7.5015',
        'took_seconds_count{tier="gold"} 4',
        "",
      ].join("\n"),
    );
  });

  test("exposes a histogram without labels", () => {
    const registry = createRegistry();
    observe(registry.histogram("took_seconds", "Took.", [], [1]).with(), 0.5);
    expect(registry.expose()).toContain(
      'took_seconds_bucket{le="1"} 1\ntook_seconds_bucket{le="+Inf"} 1\ntook_seconds_sum 0.5\ntook_seconds_count 1\n',
    );
  });

  test("reads a gauge when somebody asks, not before", () => {
    const registry = createRegistry();
    let asked = 0;
    registry.gauge("depth", "Depth.", ["at"], (set) => {
      asked += 1;
      set(asked, "here");
    });
    expect(asked).toBe(0);
    expect(registry.expose()).toContain('depth{at="here"} 1\n');
    expect(registry.expose()).toContain('depth{at="here"} 2\n');
  });

  test("exposes what is read but only rises as a counter", () => {
    const registry = createRegistry();
    registry.gauge("cpu_seconds_total", "CPU.", [], (set) => set(1.5), "counter");
    expect(registry.expose()).toContain("# TYPE cpu_seconds_total counter\ncpu_seconds_total 1.5\n");
  });
});

/** Every family with a value in it, as a router has them after a day. */
function livedIn(): string {
  const registry = createRegistry();
  const metrics = createMetrics(registry);
  metrics.requests.with("realtime", "gold", "local", "ok").add(3);
  metrics.attempts.with("gold-1/vllm", "ok").add(3);
  metrics.shed.with("realtime", "queue-full").add(1);
  metrics.tokens.with("gold", "completion").add(64);
  for (const family of [metrics.requestSeconds, metrics.firstByteSeconds]) {
    observe(family.with("realtime", "gold"), 0.0093);
  }
  observe(metrics.overheadSeconds.with(), 0.0002);
  const spec = { name: "gold-1/vllm", tier: "gold", locality: "local", slots: 4, queueLimit: 4 } as const;
  const fleet = createFleet([{ spec, identity: "here", models: ["m"] }]);
  fleet.endpoints[0]?.begin("m", false, 1, 1_000_000);
  registerFleetGauges(registry, fleet, () => 1_000_000, createEndpointLabels(fleet, []));
  return registry.expose();
}

describe("tierline's own metrics", () => {
  test("are all named tierline_, with help, a type, and no family twice", () => {
    const names = [...livedIn().matchAll(/^# TYPE (\S+) (counter|gauge|histogram)$/gm)].map(
      ([, name]) => name,
    );
    expect(names.length).toBeGreaterThan(10);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toStartWith("tierline_");
  });

  test("have buckets from 0.5 ms on, in rising order", () => {
    const page = livedIn();
    expect(page).toContain(
      'tierline_request_duration_seconds_bucket{sla="realtime",tier="gold",le="0.0005"} 0',
    );
    const ends = [...page.matchAll(/^tierline_overhead_seconds_bucket\{le="([\d.]+)"\}/gm)].map(([, le]) =>
      Number(le),
    );
    expect(ends).toEqual(ends.toSorted((a, b) => a - b));
  });

  test("show the fleet: what is in flight, how full the tier is, and that it is available", () => {
    const page = livedIn();
    expect(page).toContain('tierline_inflight{endpoint="gold-1/vllm"} 1\n');
    expect(page).toContain('tierline_pool_utilization_ratio{tier="gold"} 0.25\n');
    expect(page).toContain('tierline_breaker_state{endpoint="gold-1/vllm"} 0\n');
    expect(page).toContain('tierline_endpoint_available{endpoint="gold-1/vllm"} 1\n');
  });

  test("show of peers' endpoints those that were used, 64 at most, and no queue or pool of theirs", () => {
    const registry = createRegistry();
    const now = 1_000_000;
    const spec = { name: "here/vllm", tier: "gold", locality: "local", slots: 4, queueLimit: 4 } as const;
    const fleet = createFleet([{ spec, identity: "1", models: ["m"] }], { name: "here", zone: undefined });
    const advert = advertWith([engineThere({ name: "e", slots: 64 })]);
    const meet = (name: string): void => {
      fleet.setPeer({ name, boot: "1", state: "alive", advert, advertAt: now }, now);
    };
    for (let index = 0; index < 100; index += 1) meet(`peer-${index}`);
    registerFleetGauges(registry, fleet, () => now, createEndpointLabels(fleet, []));
    expect(registry.expose()).not.toContain("peer-");
    fleet.named("peer-7/e")?.begin("m", false, fleet.nextPick(), now);
    expect(registry.expose()).toContain('tierline_inflight{endpoint="peer-7/e"} 1\n');
    expect(registry.expose()).toContain('tierline_pool_utilization_ratio{tier="gold"} 0\n');
    expect(registry.expose()).not.toContain('tierline_queue_depth{endpoint="peer-7/e"}');
    for (const endpoint of fleet.peers) endpoint.begin("m", false, fleet.nextPick(), now);
    expect(registry.expose().match(/^tierline_inflight\{endpoint="peer-/gm)?.length).toBe(64);
  });

  test.skipIf(!needsTool("promtool"))("are accepted by promtool without a complaint", async () => {
    const promtool = Bun.spawn(["promtool", "check", "metrics"], {
      stdin: new Blob([livedIn()]),
      stdout: "pipe",
      stderr: "pipe",
    });
    const said = (await promtool.stdout.text()) + (await promtool.stderr.text());
    expect([await promtool.exited, said]).toEqual([0, ""]);
  });
});
