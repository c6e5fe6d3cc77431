import { describe, expect, test } from "bun:test";
import type { Machine } from "../../src/config/machine.ts";
import { toToml } from "../../src/config/print.ts";
import { problemText } from "../../src/config/problem.ts";
import {
  clustered,
  clusterRefusals,
  clusterWarnings,
  gossipKey,
  tlsFiles,
} from "./cluster-refusals.cases.ts";
import { complaints, engine, gold1, loadText } from "./load-text.ts";

describe("loadConfig refuses", () => {
  test.each(clusterRefusals.map((refusal) => [refusal.situation, refusal] as const))("%s", (_, refusal) => {
    expect(loadText(refusal.text, refusal).ok).toBe(false);
    expect(complaints(refusal.text, refusal)).toEqual([...refusal.says]);
  });
});

describe("loadConfig accepts with a warning", () => {
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

const loaded = (text: string, machine: Machine = gold1) => {
  const result = loadText(text, { files: gossipKey, machine });
  if (!result.ok) throw new Error(result.errors.map(problemText).join("\n"));
  return result;
};

describe("a cluster's configuration", () => {
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

  test("takes name and zone from EC2 and says so, unless others are written", () => {
    const ec2 = { name: "i-0123456789abcdef0", zone: "us-east-1a", toldBy: "ec2" } as const;
    const { config, origins } = loaded(clustered, ec2);
    expect(config.host).toEqual({ name: ec2.name, zone: ec2.zone });
    expect(toToml(origins)).toContain(
      '[host]\nname = "i-0123456789abcdef0" # default (ec2)\nzone = "us-east-1a" # default (ec2)\n',
    );
    const written = loaded('[host]\nname = "gold-7"\nzone = "rack-7"\n', ec2).config.host;
    expect(written).toEqual({ name: "gold-7", zone: "rack-7" });
    expect(loaded(clustered).config.host).toEqual({ name: "gold-1" });
  });

  test("warns where EC2 should have told the name and did not", () => {
    const { config, warnings } = loaded(clustered, { ...gold1, untold: "no answer in time" });
    expect(config.host).toEqual({ name: "gold-1" });
    expect(warnings.map(problemText)).toEqual([
      "EC2 should know this machine's name and zone, but its instance metadata do not tell: no answer in time\n" +
        "  write name and zone under [host], so that they are the same at each start",
    ]);
  });

  test("is quiet about a certificate that peers can check", () => {
    const tls = '[tls]\ncert_file = "/cert"\nkey_file = "/key"\n';
    const at = (advertise: string) =>
      complaints(`${clustered}advertise = "${advertise}"\n${tls}`, { files: tlsFiles });
    expect(at("engine.test:8010")).toEqual([]);
    expect(complaints(tls, { files: tlsFiles })).toHaveLength(1);
  });

  test("refuses a name of the machine's own that no peer could read, and says how to give another", () => {
    const machine = { name: "gold 1", toldBy: "host" } as const;
    const says =
      'host.name must be a name of letters, digits, ".", "_" and "-", at most 64 long, the first a letter or a digit, not "gold 1"\n' +
      '  that is what this machine says of itself; write name = "gold-1", or what it is for you, under [host]';
    expect(complaints(engine, { machine })).toEqual([says]);
    expect(complaints(`${engine}[host]\nzone = "a"\n`, { machine })).toEqual([`tierline.toml:5:2: ${says}`]);
    expect(complaints('[host]\nname = "gold 1"\n')).toEqual([
      `tierline.toml:2:8: ${says.slice(0, says.indexOf("\n"))}`,
    ]);
  });

  test("takes the secret that systemd hands over", () => {
    const env = { CREDENTIALS_DIRECTORY: "/run/credentials/tierline.service" };
    const files = { "/run/credentials/tierline.service/gossip.key": gossipKey["/gossip.key"] };
    const text = clustered.replace('secret_file = "/gossip.key"\n', "");
    const result = loadText(text, { env, files });
    expect(result.ok && result.config.cluster?.keys).toHaveLength(1);
    expect(complaints(text, { env })).toEqual([
      "tierline.toml:6:2: cluster.secret_file: /run/credentials/tierline.service/gossip.key does not exist\n  make it, or name another",
    ]);
    // A router alone is not asked for one.
    expect(loadText(engine, { env }).ok).toBe(true);
  });

  test("may be without an engine: a door to those of its peers", () => {
    expect(loaded(clustered).config.engines).toEqual([]);
    expect(loaded(clustered).warnings).toEqual([]);
    expect(loaded("").warnings.map(({ message }) => message)).toEqual([
      "there is no [[engine]], so every request will be refused with no_endpoint",
    ]);
  });

  test("is printed so that it means the same when it is read in again, and without the secret", () => {
    const first = loaded(`${clustered}seeds = ["dns:tierline.internal:8012"]\nadvertise = "[2001:db8::1]"\n`);
    const printed = toToml(first.origins);
    expect(loaded(printed).config).toEqual(first.config);
    expect(printed).not.toContain("0123456789abcdef");
  });
});
