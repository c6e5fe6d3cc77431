// docs/reliability.md from the table of faults and the last full run. `bun run fault all` writes both files.

import { join } from "node:path";
import { faults } from "./faults.ts";
import { filesOf } from "./scenario-files.ts";

export interface FaultRun {
  readonly number: number;
  readonly held: boolean;
  readonly seconds: number;
  readonly figures: readonly string[];
  /** The first time it fell short. */
  readonly again?: boolean;
}

export interface LastRun {
  readonly day: string;
  readonly revision: string;
  readonly machine: string;
  /** Faults lasted as long as in earnest. */
  readonly long: boolean;
  readonly runs: readonly FaultRun[];
}

export const lastRunFile = join(import.meta.dir, "last-run.json");
export const reliabilityFile = join(import.meta.dir, "../../docs/reliability.md");

export function reliabilityPage({ day, revision, machine, long, runs }: LastRun): string {
  const heldIn = runs.filter((run) => run.held).length;
  const inPart = faults.filter(({ short }) => short !== undefined).length;
  const rows = faults.map(({ number, fault, survives, instead, short }) => {
    const run = runs.find((each) => each.number === number);
    const figures = run === undefined || run.figures.length === 0 ? "not measured" : run.figures.join("; ");
    const remarks = [instead, short].filter((text) => text !== undefined).map((text) => `. *${text}*`);
    const measuredText = `${figures}${remarks.join("")}`;
    const held = `held${short === undefined ? "" : ", in part"}${run?.again === true ? ", at the second try" : ""}`;
    const verdict = run?.held === true ? held : "**fell short**";
    return `| ${number} | ${fault} | ${survives} | ${measuredText} | ${verdict} | ${linksTo(number)} |`;
  });
  return `# Reliability

<!-- Written by \`bun run fault all\` from test/faults/faults.ts and what the tests measured. Run that instead of editing. -->

The 50 faults that tierline is tested against, and what came of each in the last full run: **${heldIn} of ${faults.length} held**,
${inPart} of them in part (what is missing is said there), ${day}, revision ${revision}, ${machine}${long ? ", each fault as long as in earnest" : ""}.

Whatever the fault: the process stays up in bounded memory, every caller gets a valid answer or an honest error by the
deadline, and a metric names the cause. What surviving means beyond that stands in the third column.

\`\`\`sh
bun run fault            # lists them
bun run fault 14         # runs one, and prints what it measured
TIERLINE_LONG=1 bun run fault all   # runs all, as long as in earnest, and writes this page
\`\`\`

Most run the compiled binary between engines that are told to misbehave; faults of the network run in network
namespaces, which takes Linux and root. Those of large fleets run in virtual time: the same code, hundreds of routers in
one process. All of them are part of \`bun run test\`.

| # | fault | survived means | measured | | test |
|---|---|---|---|---|---|
${rows.join("\n")}
`;
}

const linksTo = (fault: number): string =>
  filesOf(fault)
    .map((path) => `[${path.replace(/^test\/|\.test\.ts$/g, "")}](../${path})`)
    .join(" ");
