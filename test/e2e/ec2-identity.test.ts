// The compiled binary on a machine that EC2 knows: what it is called when nobody has named it, then and after a reload.

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEc2Metadata } from "../../playground/ec2-metadata.ts";
import { cleanup } from "../support/cleanup.ts";
import { binary, engineToml } from "../support/tierline.ts";

const ends = cleanup();
const instanceId = "i-0aaaabbbbccccdddd";

function unnamedHost() {
  const ec2 = ends(startEc2Metadata({ instanceId, availabilityZone: "eu-central-1b" }));
  const dir = mkdtempSync(join(tmpdir(), "tierline-ec2-"));
  ends({ stop: () => rmSync(dir, { recursive: true, force: true }) });
  const file = join(dir, "tierline.toml");
  writeFileSync(join(dir, "gossip.key"), "0123456789abcdef\n");
  const listen = '[listen]\npublic = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n';
  writeFileSync(file, `${listen}${engineToml("gold", "http://127.0.0.1:1")}`);
  const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: ec2.url };
  return { ec2, dir, file, spawn: spawnIn(dir, env) };
}

const spawnIn = (cwd: string, env: Record<string, string>) => (args: readonly string[]) =>
  Bun.spawn([binary, ...args], { cwd, env, stdout: "pipe", stderr: "pipe" });

test("a router that nobody has named is called by its instance id, and a reload finds it by the same", async () => {
  const { ec2, file, spawn } = unnamedHost();
  const router = spawn(["serve", "--config", file]);
  ends({ stop: () => router.kill("SIGKILL") });
  const lines = logLines(router.stdout);
  const ready = await lines("ready");
  const metrics = await (await fetch(`${ready["admin"]}/metrics`)).text();
  expect(metrics).toContain(`tierline_endpoint_available{endpoint="${instanceId}/vllm"`);
  // Had it to ask again, and got no answer, it would have another name, which a reload refuses.
  ec2.fault("silent");
  router.kill("SIGHUP");
  expect(await lines("reloaded")).toBeDefined();
  router.kill("SIGTERM");
  expect(await router.exited).toBe(0);
});

test("print-config says that name and zone are from EC2, check-config that EC2 is silent", async () => {
  const { ec2, dir, file, spawn } = unnamedHost();
  writeFileSync(
    file,
    `[listen]\ngossip = "127.0.0.1:8012"\n[cluster]\nfleet = "test"\nsecret_file = "${join(dir, "gossip.key")}"\n`,
  );
  const printed = await spawn(["print-config", "--config", file]).stdout.text();
  expect(printed).toContain(
    `[host]\nname = "${instanceId}" # default (ec2)\nzone = "eu-central-1b" # default (ec2)\n`,
  );
  ec2.fault("no-tokens");
  const check = spawn(["check-config", file]);
  expect(await check.stderr.text()).toStartWith("warning: EC2 should know this machine's name and zone");
  expect(await check.exited).toBe(0);
});

/** Resolves to the first line with that message. */
function logLines(stream: ReadableStream<Uint8Array>) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  return async (msg: string): Promise<Record<string, unknown>> => {
    for (;;) {
      const whole = text.split("\n").slice(0, -1);
      const found = whole.map((line) => JSON.parse(line)).find((line) => line.msg === msg);
      if (found !== undefined) return found;
      const { value, done } = await reader.read();
      if (done) throw new Error(`ended without ${msg}: ${text}`);
      text += decoder.decode(value, { stream: true });
    }
  };
}
