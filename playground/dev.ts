// `bun run dev`: the real binary between engines that need no GPU, a tour of what it does, and then live traffic.
// `--once` ends after the tour: exit 0 if everything went as told, 1 otherwise.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createChildren } from "./dev/children.ts";
import type { House } from "./dev/house.ts";
import { buildBinary, openHouse } from "./dev/house.ts";
import { live } from "./dev/live.ts";
import type { Screen } from "./dev/screen.ts";
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

for (const signal of ["SIGINT", "SIGTERM"] as const) {
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
  screen.heading("tierline, between engines that need no GPU");
  screen.line("building the binary");
  await buildBinary();
  const house = await openHouse(folder, children);
  introduce(house, screen);
  const kept = await tour(house, screen);
  if (values.once) return kept ? 0 : 1;
  showCommands(house, screen);
  screen.heading("Live");
  await live(house, screen, leaving.signal);
  return 0;
}

function introduce(house: House, to: Screen): void {
  to.row("router", `${house.publicUrl}   admin ${house.adminUrl}`);
  if (!house.publicUrl.endsWith(":8010")) {
    to.row("", "8010 or 8011 is taken by somebody else, so these are free ports.");
  }
  to.row("gold", `${house.gold.url}   simulated vLLM, 9 ms a token, "${house.gold.model}"`);
  to.row("silver", `${house.silver.url}   simulated vLLM, 25 ms a token, "${house.silver.model}"`);
  if (house.llama !== undefined) to.row("", `${house.llama.url}   llama.cpp, "${house.llama.model}"`);
  to.row("config", house.configPath);
  to.row("log", house.logPath);
}

function showCommands(house: House, to: Screen): void {
  const body = (more: string): string =>
    `-H 'content-type: application/json' -d '{${more}"messages":[{"role":"user","content":"Who goes there?"}]}'`;
  const chat = `${house.publicUrl}/v1/chat/completions`;
  const control = (controlUrl: string, fault: string): string =>
    `curl -s ${controlUrl}/control -d '{"fault":${fault}}'`;
  to.heading("Try it by hand");
  to.row("chat", `curl -si ${chat} ${body('"model":"gold","max_tokens":8,')}`);
  to.row("stream", `curl -sN ${chat} ${body('"model":"silver","stream":true,')}`);
  to.row("models", `curl -s ${house.publicUrl}/v1/models`);
  to.row(
    "intent",
    `curl -s ${house.publicUrl}/v1/npc/intents -d '{"archetype":"guard","npc":17,"features":{"threat":0.7},"explain":true}'`,
  );
  to.row("cache", `dist/tierline cache stats --admin ${house.adminUrl}`);
  to.row("health", `curl -s ${house.publicUrl}/health`);
  to.row("metrics", `curl -s ${house.publicUrl}/metrics`);
  to.row("explain", `dist/tierline explain --sla realtime --admin ${house.adminUrl}`);
  to.row("hang Gold", control(house.gold.controlUrl, '{"kind":"hang"}'));
  to.row("fail Silver", control(house.silver.controlUrl, '{"kind":"status","status":500,"probability":0.5}'));
  to.row("mend Gold", `curl -s -X DELETE ${house.gold.controlUrl}/control`);
  to.row("mend Silver", `curl -s -X DELETE ${house.silver.controlUrl}/control`);
  to.row("", "More faults: playground/README.md. Ctrl-C ends everything that was started.");
}
