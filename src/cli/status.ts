// `tierline status`: this host and its peers on one screen, and first what is wrong.

import type { Command } from "./command.ts";
import { jsonOption } from "./command.ts";
import type { Look } from "./fleet-answers.ts";
import { withLook } from "./fleet-answers.ts";
import { problemLines } from "./fleet-problems.ts";
import { byPressure, cacheWords, columns, fleetLine, marksText, rowsOf, tierRows } from "./fleet-tables.ts";
import { laneTrouble, laneWords } from "./job-answers.ts";
import { routerOptions } from "./router.ts";
import { cutText, fittedTable, wrappedText } from "./table.ts";

/** With the tiers and the caches this fills a screen of 24 lines, however large the fleet. */
const statusRule = { problemsMost: 4, endpointsMost: 7 } as const;

export const status: Command = {
  name: "status",
  about: "Show this host and its peers on one screen, and first what is wrong",
  options: { ...routerOptions, json: jsonOption },
  example: "status",
  run: (given, io) => withLook(given, io, async (seen) => io.out(statusText(seen, io.columns()))),
};

const { endpoint, tier, state, pressure, used, p50, p99, breaker } = columns;
const shown = [endpoint, state, pressure, used, p50, p99, breaker, tier];

function statusText({ fleet, caches }: Look, width: number | undefined): string {
  const here = [
    wrappedText(`cache hits here: ${cacheWords(caches).join(", ")}`, width),
    // What ails the endpoint is in AWS's words, which may be long: the screen has no room for more than their beginning.
    ...(fleet.jobs === undefined ? [] : [cutText(`jobs here: ${laneWords(fleet.jobs)}`, width)]),
  ];
  const blocks = [
    `${wrappedText(`${fleetLine(fleet)}.`, width)}\n`,
    wrongText(fleet, width),
    tiersText(fleet, width),
    endpointsText(fleet, width),
    here.map((line) => `${line}\n`).join(""),
  ];
  return blocks.filter((block) => block !== "").join("\n");
}

function wrongText(fleet: Look["fleet"], width: number | undefined): string {
  const trouble = fleet.jobs && laneTrouble(fleet.jobs);
  const lines = problemLines(fleet, statusRule.problemsMost).concat(trouble ?? []);
  return lines.map((line) => `${wrappedText(line, width)}\n`).join("");
}

function tiersText(fleet: Look["fleet"], width: number | undefined): string {
  const rows = tierRows(fleet);
  return rows.length === 1 ? "" : fittedTable(rows, width);
}

/** This host's own first, whatever they do; of the others those under most pressure. */
function endpointsText(fleet: Look["fleet"], width: number | undefined): string {
  const all = byPressure(fleet);
  const own = all.filter(({ locality }) => locality === "local");
  const ordered = [...own, ...all.filter(({ locality }) => locality !== "local")];
  if (ordered.length === 0) return "No engine anywhere in the fleet.\n";
  const rows = rowsOf(shown, ordered.slice(0, statusRule.endpointsMost));
  const rest = ordered.length - statusRule.endpointsMost;
  const marks = marksText(rows);
  const notes = [
    ...(rest > 0 ? [`and ${rest} more under less pressure: tierline top --once`] : []),
    ...(marks === undefined ? [] : [marks]),
  ];
  return fittedTable(rows, width) + notes.map((note) => `${wrappedText(note, width)}\n`).join("");
}
