import { describe, expect, test } from "bun:test";
import { needsRestart } from "../../src/config/needs-restart.ts";
import { clustered, gossipKey } from "./cluster-refusals.cases.ts";
import { engine, gold1, loadText } from "./load-text.ts";

function config(text: string, files: Readonly<Record<string, string>> = gossipKey) {
  const loaded = loadText(text, { files, machine: { ...gold1, zone: "a", toldBy: "ec2" } });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.errors));
  return loaded.config;
}

const head = '[state]\ndir = "/one"\n';
const before = config(`${head}${clustered}`);

describe("a reload needs a restart for", () => {
  const changes: readonly [setting: string, text: string][] = [
    ["host.name", `[host]\nname = "gold-2"\n${head}${clustered}`],
    ["host.zone", `[host]\nzone = "b"\n${head}${clustered}`],
    ["listen.public", head + clustered.replace("10.0.1.10:8010", "10.0.1.10:8000")],
    ["listen.admin", head + clustered.replace("[listen]\n", '[listen]\nadmin = "127.0.0.1:8000"\n')],
    ["listen.gossip", head + clustered.replace("0.0.0.0:8012", "0.0.0.0:8000")],
    ["cluster.fleet", head + clustered.replace('"prod"', '"test"')],
    ["cluster.advertise", `${head}${clustered}advertise = "10.0.1.10"\n`],
    ["state.dir", `${head.replace("one", "two")}${clustered}`],
  ];
  for (const [setting, text] of changes) {
    test(setting, () => {
      expect(needsRestart(before, config(text))).toEqual([
        `${setting} has changed, which needs a restart; nothing of the new configuration is in force.`,
      ]);
    });
  }

  test("a fleet that was joined or left, each setting of it by name", () => {
    const alone = config(`${head}[listen]\npublic = "10.0.1.10:8010"\n[auth]\nmode = "none"\n`);
    for (const [old, next] of [
      [alone, before],
      [before, alone],
    ] as const) {
      expect(needsRestart(old, next).map((line) => line.replace(/ .*/, ""))).toEqual([
        "listen.gossip",
        "cluster.fleet",
      ]);
    }
  });
});

test("a reload takes up seeds, secrets, engines and limits as it runs", () => {
  const text = `${head}${clustered}seeds = ["10.0.1.11:8012"]\n[limits]\nbody_bytes = "1MB"\n${engine}`;
  const after = config(text, { "/gossip.key": "another-secret-of-the-fleet\n" });
  expect(after.cluster?.keys).not.toEqual(before.cluster?.keys);
  expect(needsRestart(before, after)).toEqual([]);
});
