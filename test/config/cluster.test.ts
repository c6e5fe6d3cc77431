import { describe, expect, test } from "bun:test";
import { comesLater } from "../../src/config/later.ts";
import { toToml } from "../../src/config/print.ts";
import { problemText } from "../../src/config/problem.ts";
import { clustered, clusterRefusals, clusterWarnings, gossipKey } from "./cluster-refusals.cases.ts";
import { complaints, engine, loadText } from "./load-text.ts";

const isHere = !comesLater(["cluster"]);

describe.if(isHere)("loadConfig refuses", () => {
  test.each(clusterRefusals.map((refusal) => [refusal.situation, refusal] as const))("%s", (_, refusal) => {
    expect(loadText(refusal.text, refusal).ok).toBe(false);
    expect(complaints(refusal.text, refusal)).toEqual([...refusal.says]);
  });
});

describe.if(isHere)("loadConfig accepts with a warning", () => {
  test.each(clusterWarnings.map((warning) => [warning.situation, warning] as const))("%s", (_, warning) => {
    const text = `${engine}${warning.text}`;
    expect(loadText(text, warning).ok).toBe(true);
    // The engine takes the first four lines.
    const says = warning.says.map((line) =>
      line.replace(/:(\d+):/, (_, number: string) => `:${Number(number) + 4}:`),
    );
    expect(complaints(text, warning)).toEqual(says);
  });
});

const loaded = (text: string, zone?: string) => {
  const result = loadText(text, { files: gossipKey, zone });
  if (!result.ok) throw new Error(result.errors.map(problemText).join("\n"));
  return result;
};

describe.if(isHere)("a cluster's configuration", () => {
  test("has its fleet, its seeds by kind, its own address and its keys", () => {
    const text = `${engine}${clustered}advertise = "10.0.1.10:9010"
seeds = ["10.0.1.11:8012", "[2001:db8::1]:8012", "dns:tierline.internal:8012"]
`;
    const { config, warnings } = loaded(text);
    expect(warnings).toEqual([]);
    expect(config.listen.gossip).toEqual({ host: "0.0.0.0", port: 8012 });
    expect(config.cluster).toEqual({
      fleet: "prod",
      seeds: [
        { kind: "address", address: "10.0.1.11:8012" },
        { kind: "address", address: "[2001:db8::1]:8012" },
        { kind: "dns", host: "tierline.internal", port: 8012 },
      ],
      advertise: { host: "10.0.1.10", port: 9010 },
      keys: [new TextEncoder().encode("0123456789abcdef")],
    });
  });

  test("can be without seeds and an address: others will find it", () => {
    expect(loaded(clustered).config.cluster).toMatchObject({ fleet: "prod", seeds: [] });
    expect(loaded(clustered).config.cluster?.advertise).toBeUndefined();
  });

  test("lets peers have the engines, and the models that aliases and archetypes mean", () => {
    const asks = `[intents.archetype.guard]
prompt = "A guard."
actions = ["patrol"]
default = "patrol"
model = "b"
[aliases]
fast = { tier = "silver" }
`;
    expect(loaded(clustered).warnings).toEqual([]);
    expect(loaded(`${engine}models = ["a"]\n${clustered}${asks}`).warnings).toEqual([]);
    expect(loaded(`${engine}models = ["a"]\n${asks}`).warnings).toHaveLength(2);
  });

  test("is none without a gossip listener", () => {
    const { config } = loaded('[cluster]\nfleet = "prod"\n');
    expect(config.cluster).toBeUndefined();
    expect(config.listen.gossip).toBeUndefined();
  });

  test("comes from the environment as well", () => {
    const env = {
      TIERLINE_LISTEN_GOSSIP: "127.0.0.1:8012",
      TIERLINE_CLUSTER_FLEET: "prod",
      TIERLINE_CLUSTER_SECRET_FILE: "/gossip.key",
      TIERLINE_CLUSTER_SEEDS: "127.0.0.1:8013, dns:tierline.internal:8012",
      TIERLINE_HOST_ZONE: "a",
    };
    const result = loadText(engine, { env, files: gossipKey });
    expect(result.ok && result.config.cluster?.seeds).toHaveLength(2);
    expect(result.ok && result.config.host.zone).toBe("a");
  });

  test("takes the zone that the machine knows, unless another is written", () => {
    expect(loaded(clustered, "us-east-1a").config.host).toEqual({ name: "gold-1", zone: "us-east-1a" });
    expect(loaded('[host]\nzone = "rack-7"\n', "us-east-1a").config.host.zone).toBe("rack-7");
    expect(loaded(clustered).config.host).toEqual({ name: "gold-1" });
  });

  test("is printed so that it means the same when it is read in again, and without the secret", () => {
    const first = loaded(`${clustered}seeds = ["dns:tierline.internal:8012"]\nadvertise = "[2001:db8::1]"\n`);
    const printed = toToml(first.origins);
    expect(loaded(printed).config).toEqual(first.config);
    expect(printed).not.toContain("0123456789abcdef");
  });
});

// As long as nothing in the program would heed them.
test.skipIf(isHere)("loadConfig refuses a cluster that this version does not have", () => {
  const text = '[host]\nzone = "a"\n[listen]\ngossip = "0.0.0.0:8012"\n[cluster]\nfleet = "prod"\n';
  const hint = "this version of tierline does not have it yet; take it out until yours does";
  expect(complaints(text, { env: { TIERLINE_CLUSTER_FLEET: "x" } })).toEqual([
    `tierline.toml:2:1: unknown key zone in [host]\n  ${hint}`,
    `tierline.toml:4:1: unknown key gossip in [listen]\n  ${hint}`,
    `tierline.toml:5:2: unknown table [cluster]\n  ${hint}`,
  ]);
});
