// An evening of a game, twice: a thousand NPCs and two hundred players on three hosts, with tierline in front of the engines
// and with HAProxy in its place; and all that can happen in an evening happens.
//
//   bun run game-night [--short] [--only tierline|haproxy] [--into FOLDER] [--keep FOLDER]
//
// `--short` is half a minute a run. Figures, page and chart go to bench/results and docs, those of a short run or of one
// alone nowhere; with `--into`, all into FOLDER. `--keep` leaves configurations, logs and state in FOLDER.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { describeMachine } from "../rig/machine.ts";
import { needTools } from "../rig/tools.ts";
import { planEvening } from "./evening.ts";
import { openGround } from "./ground.ts";
import { haproxyFront } from "./haproxy-front.ts";
import { findK6 } from "./k6.ts";
import { keepNight } from "./keep.ts";
import { playNight } from "./night.ts";
import type { NightResult } from "./results.ts";
import { tables } from "./tables.ts";
import { tierlineFront } from "./tierline-front.ts";

const { values: flags } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    only: { type: "string" },
    into: { type: "string" },
    keep: { type: "string" },
  },
});

const fronts = { tierline: tierlineFront, haproxy: haproxyFront } as const;
type FrontName = keyof typeof fronts;

if (flags.only !== undefined && !Object.hasOwn(fronts, flags.only)) {
  console.error("--only takes tierline or haproxy.");
  process.exit(2);
}
// Else it would be missed when the first evening is over.
if (flags.only !== "tierline") needTools("haproxy");
const evening = planEvening(flags.short);
const machine = describeMachine();
const folder = flags.keep === undefined ? mkdtempSync(join(tmpdir(), "game-night-")) : resolve(flags.keep);
const k6 = findK6();
if (k6 === undefined)
  console.log("k6 is not on PATH: the players say its lines as well, and there is no summary of k6's.");

const play = async (name: FrontName): Promise<NightResult | undefined> => {
  if (flags.only !== undefined && flags.only !== name) return undefined;
  const ground = openGround();
  if (ground.whole !== undefined) console.log(ground.whole);
  whole = ground.whole;
  console.log(`${name}: ${(evening.endMs + evening.warmUpMs) / 1_000} s and what is left of the quests`);
  try {
    return await playNight({
      evening,
      ground,
      makeFront: fronts[name],
      withRouter: name === "tierline",
      folder: join(folder, name),
      k6,
      tell: console.log,
    });
  } finally {
    ground.stop();
  }
};

let whole: string | undefined;
process.on("exit", () => {
  if (flags.keep === undefined) rmSync(folder, { recursive: true, force: true });
});
process.on("SIGINT", () => process.exit(130));
process.on("SIGTERM", () => process.exit(143));
const tierline = await play("tierline");
const haproxy = await play("haproxy");

const night = {
  date: new Date().toISOString(),
  command: "bun run game-night",
  machine,
  short: flags.short,
  phases: evening.phases,
  ...(whole === undefined ? {} : { whole }),
  ...(tierline === undefined ? {} : { tierline }),
  ...(haproxy === undefined ? {} : { haproxy }),
};
console.log(tables(night).join("\n"));
const written = keepNight(night, flags.into);
if (written.length > 0) console.log(`\nWritten: ${written.join(", ")}`);
const lost = tierline?.quests.lost ?? 0;
if (lost > 0) console.error(`${lost} quests that tierline had accepted were not finished.`);
process.exit(lost > 0 ? 1 : 0);
