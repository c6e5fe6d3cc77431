// `bun run dev`: a fleet of the real binary and engines that need no GPU, a tour of what it does, and then live traffic.
// `--once` ends after the tour: exit 0 if everything went as told, 1 otherwise.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createChildren } from "./dev/children.ts";
import type { House } from "./dev/house.ts";
import { buildBinary, openHouse } from "./dev/house.ts";
import { live } from "./dev/live.ts";
import { createScreen } from "./dev/screen.ts";
import { tour } from "./dev/tour.ts";

const { values } = parseArgs({ options: { once: { type: "boolean", default: false } } });
const screen = createScreen(process.stdout);
const folder = mkdtempSync(join(tmpdir(), "tierline-dev-"));
const children = createChildren(folder);
const leaving = new AbortController();

let cleaned: Promise<void> | undefined;
const cleanUp = (): Promise<void> => {
  cleaned ??= children.stop().then(() => rmSync(folder, { recursive: true, force: true }));
  return cleaned;
};

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (!leaving.signal.aborted) screen.line(`\n  Ending what was started.`);
    leaving.abort();
    void cleanUp().then(() => process.exit(0));
  });
}

try {
  process.exitCode = await show();
} catch (error) {
  // A child that a signal ends makes its step fail; the signal's own handler then has the last word.
  if (!leaving.signal.aborted) {
    process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
await cleanUp();
process.exit();

async function show(): Promise<number> {
  screen.heading("tierline: a fleet of three hosts on this machine");
  screen.line("building the binary");
  await buildBinary(children);
  const house = await openHouse(folder, children);
  introduce(house);
  const kept = await tour(house, screen);
  if (values.once) return kept ? 0 : 1;
  showCommands(house);
  screen.heading("Live, until Ctrl-C: callers at every door, and the guards");
  await live(house, screen, leaving.signal);
  return 0;
}

function introduce({ hosts, silver1, llama, bronze, usualPorts }: House): void {
  const row = (name: string, url: string, admin: string, gossip: string, engines: string): void =>
    screen.row(name, `${url.padEnd(23)}${admin.padEnd(7)}${gossip.padEnd(8)}${engines}`);
  row("host", "asked at", "admin", "gossip", "engines (simulated vLLM)");
  for (const host of hosts) {
    const beside = host === silver1 && llama !== undefined ? ", llama.cpp" : "";
    const engines = `${host.tier} ${host.msPerToken} ms/token${beside}`;
    row(host.name, host.publicUrl, `${host.ports.admin}`, `${host.ports.gossip}`, engines);
  }
  screen.row("bronze", `${bronze.model} at ${bronze.endpoint}, a stand-in for SageMaker and S3`);
  if (!usualPorts) {
    screen.line("One of the usual ports, 8010 to 8032, is taken, so these are others.");
  }
  screen.row("files", `${folder}: configurations, logs, secret`);
}

function showCommands({ gold1, gold2, bronze, usualPorts }: House): void {
  const tierline = (words: string): string =>
    `dist/tierline ${words}${usualPorts ? "" : ` --admin ${gold1.adminUrl}`}`;
  screen.heading("Try it by hand, in another terminal");
  screen.line('Questions: the commands in README.md, "A tour with curl".');
  if (!usualPorts) screen.line(`Where they say localhost:8010, write ${new URL(gold1.publicUrl).host}.`);
  screen.row("watch", tierline("top"));
  screen.row("drain", tierline("drain --wait"));
  screen.row("", tierline("undrain"));
  screen.row("hang", `curl -s ${gold1.engine.controlUrl}/control -d '{"fault":{"kind":"hang"}}'`);
  screen.row("mend", `curl -s -X DELETE ${gold1.engine.controlUrl}/control`);
  screen.row("throttle", `curl -s ${bronze.controlUrl}/control -d '{"fault":{"kind":"throttle"}}'`);
  screen.row("", `curl -s -X DELETE ${bronze.controlUrl}/control`);
  screen.row("jobs", tierline("jobs list"));
  screen.row("kill", `kill -9 ${gold2.pid()}   # the router of gold-2`);
  screen.row("start", `env $(cat ${bronze.envPath}) dist/tierline serve --config ${gold2.configPath}`);
  screen.line("More ways to break an engine: playground/README.md.");
}
