// The firewall's cap on connections, as the documentation has it, in a network of its own.

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needsNet } from "../support/netns.ts";

const dir = mkdtempSync(join(tmpdir(), "tierline-caps-"));
afterAll(() => rmSync(dir, { recursive: true }));

const documented = (): string => {
  const page = readFileSync(join(import.meta.dir, "../../docs/operations.md"), "utf8");
  return /```nft\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
};

const client = `
const server = Bun.serve({ hostname: "127.0.0.1", port: 8010, fetch: () => new Response() });
let taken = 0;
for (let turn = 0; turn < 9; turn += 1)
  await Bun.connect({ hostname: "127.0.0.1", port: 8010, socket: { data() {} } }).then(() => { taken += 1 }, () => {});
console.log(taken);
process.exit(0);
`;

test.skipIf(!needsNet())(
  "the documented nftables rules load, and cap the connections from one address",
  () => {
    const space = `tierline-caps-${process.pid}`;
    const rules = join(dir, "caps.nft");
    writeFileSync(rules, documented().replace("ct count over 512", "ct count over 5"));
    writeFileSync(join(dir, "client.ts"), client);
    const run = (...command: string[]): string => {
      const { exitCode, stdout, stderr } = Bun.spawnSync(command);
      if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
      return stdout.toString().trim();
    };
    run("ip", "netns", "add", space);
    try {
      const inside = (...command: string[]): string => run("ip", "netns", "exec", space, ...command);
      inside("ip", "link", "set", "lo", "up");
      inside("nft", "-f", rules);
      expect(inside(process.execPath, join(dir, "client.ts"))).toBe("5");
    } finally {
      run("ip", "netns", "del", space);
    }
  },
);
