import { afterAll, describe, expect, test } from "bun:test";
import { hostname } from "node:os";
import { startEc2Metadata } from "../../playground/ec2-metadata.ts";
import { systemClock } from "../../src/base/clock.ts";
import { askMachine, askMachineItself } from "../../src/config/ask-machine.ts";

const ec2 = startEc2Metadata({ instanceId: "i-0aaaabbbbccccdddd", availabilityZone: "eu-central-1b" });
afterAll(() => ec2.stop());

const here = { AWS_EC2_METADATA_SERVICE_ENDPOINT: ec2.url };
const told = { name: "i-0aaaabbbbccccdddd", zone: "eu-central-1b", toldBy: "ec2" } as const;
const host = { name: hostname(), toldBy: "host" } as const;

/** How often EC2 was asked, and what came of it. */
async function ask(text: string | undefined, env: Record<string, string> = here) {
  const before = ec2.requests.length;
  const readFile = (path: string): string => {
    if (path === "tierline.toml" && text !== undefined) return text;
    throw Object.assign(new Error(path), { code: "ENOENT" });
  };
  const machine = await askMachine({ path: "tierline.toml", env, readFile }, systemClock);
  return { machine, requests: ec2.requests.length - before };
}

describe("askMachine", () => {
  const fleet = '[listen]\ngossip = "127.0.0.1:8012"\n';
  const cases: readonly [string, text: string, asks: boolean][] = [
    ["where no name is written", "", true],
    ["where no zone is written in a fleet", `[host]\nname = "a"\n${fleet}`, true],
    ["not where a router alone has a name", '[host]\nname = "a"\n', false],
    ["not where name and zone are written", `[host]\nname = "a"\nzone = "b"\n${fleet}`, false],
    ["not where the file cannot be read at all", "[", false],
  ];
  for (const [when, text, asks] of cases) {
    test(`asks EC2 ${when}`, async () => {
      const answer = await ask(text);
      expect(answer).toEqual(asks ? { machine: told, requests: 2 } : { machine: host, requests: 0 });
    });
  }

  test("counts what the environment writes", async () => {
    expect((await ask("", { ...here, TIERLINE_HOST_NAME: "a" })).requests).toBe(0);
  });

  test("does not ask on a machine that has no mark of EC2, nor where that is switched off", async () => {
    expect(await ask("", {})).toEqual({ machine: host, requests: 0 });
    const off = { ...here, AWS_EC2_METADATA_DISABLED: "true" };
    expect(await ask("", off)).toEqual({ machine: host, requests: 0 });
  });

  test("falls back to the host name, with the reason, where EC2 does not answer in time", async () => {
    ec2.fault("silent");
    expect((await ask("")).machine).toEqual({ ...host, untold: "no answer in time" });
    ec2.fault(undefined);
  });
});

test("askMachineItself asks whatever is written", async () => {
  const readFile = () => '[host]\nname = "a"\n';
  expect(await askMachineItself({ env: here, readFile }, systemClock)).toEqual(told);
});
