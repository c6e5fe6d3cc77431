// Writes docs/benchmarks.md.

import type { MeasureId } from "../budgets.ts";
import { measures } from "../budgets.ts";
import { intentWays } from "./intent-ways.ts";
import type { BenchKind, Results } from "./results.ts";
import { spreadOf } from "./statistics.ts";
import type { Contestant } from "./verdict.ts";
import { judge, spreadText, verdictText } from "./verdict.ts";

const contestants: readonly Contestant[] = ["tierline", "echo", "haproxy", "nginx", "direct"];

/** What `k6 run --summary-export` writes, as far as it is read here. */
export interface K6Summary {
  readonly metrics: Readonly<Record<string, Readonly<Record<string, number | object>>>>;
}

export function writePage(found: readonly Results[], k6?: K6Summary): string {
  return [
    "# Benchmarks",
    "",
    "Written by the benches themselves: `bun run bench`, `bench:intents`, `bench:cache`, `bench:hang`, `bench:hedge`, `bench:gossip` and `bench:bronze`.",
    "Do not edit. The budgets and their reasons are in `bench/budgets.ts`. What is measured side by side does the same job,",
    "one after the other in every round, alone on one core; the engines, which cost next to nothing, and the driver",
    "share the other. Figures are medians over the rounds [least–most]; a ratio or difference is taken inside each",
    "round. tierline runs as it comes: metrics, log to a file, health checks, silence watch. HAProxy and nginx write",
    "no access log; `echo` is a bare `Bun.serve` that says back its JSON.",
    "What a whole evening with crashes, an overload and a partition comes to is in [game-night.md](game-night.md).",
    ...found.flatMap(section),
    ...(k6 === undefined ? [] : k6Section(k6)),
    "",
  ].join("\n");
}

const titles: Readonly<Record<BenchKind, string>> = {
  proxy: "The way through",
  intents: "NPC intents",
  hang: "One of two engines hangs",
  hedge: "One of two engines is slow now and then",
  "result-cache": "Questions asked before",
  gossip: "What a fleet costs each of its routers",
  bronze: "Bronze in trouble, beside the players",
};

function section(results: Results): string[] {
  const { machine, samples } = results;
  const title = titles[results.kind];
  const verdicts = judge(samples);
  return [
    "",
    `## ${title}`,
    "",
    `\`${results.command}\`, ${results.date.slice(0, 10)}, commit ${machine.commit}, Bun ${machine.bun}. ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}; load average before the run ${machine.loadBefore}. ${results.extent}`,
    "",
    "| what | tierline | reference | judged | budget | |",
    "|-|-|-|-|-|-|",
    ...verdicts.map((verdict) => `| ${verdictText(verdict).join(" | ")} |`),
    "",
    ...figures(results),
    "",
    ...(results.kind === "intents" ? [...intentRatios(samples), ""] : []),
    ...verdicts.map(({ budget }) => `- *${measures[budget.measure].what}*: ${budget.reason}`),
  ];
}

/** What each way of asking is worth, round by round: beside one item a request, and beside an echo of the same JSON. */
function intentRatios({ tierline, echo }: Results["samples"]): string[] {
  const times = (ours: readonly number[], reference: readonly number[] | undefined): string =>
    reference === undefined
      ? ""
      : `${spreadText(spreadOf(ours.map((value, round) => value / (reference[round] ?? 0))), 2)}×`;
  const rows = intentWays.flatMap(({ measure, asJson }) => {
    const ours = tierline?.[measure];
    if (ours === undefined) return [];
    const cells = [times(ours, tierline?.["intents-single"]), times(ours, echo?.[asJson])];
    return [`| ${measures[measure].what} | ${cells.join(" | ")} |`];
  });
  return ["| | JSON, one a request | a bare `Bun.serve` echoing as many as JSON |", "|-|-|-|", ...rows];
}

const k6Rows: readonly (readonly [metric: string, what: string, limit: string])[] = [
  ["http_req_duration{kind:realtime}", "one-token chat of Gold (9 ms a token), ms", "p95 < 16"],
  ["http_req_duration{kind:intents}", "32 NPC intents in a batch, ms", "p95 < 16"],
  ["http_req_duration{kind:dialogue}", "eight tokens of Silver (25 ms a token), ms", "p95 < 250"],
  ["http_req_waiting{kind:stream}", "the same as a stream, to the first token, ms", "p95 < 100"],
];

function k6Section({ metrics }: K6Summary): string[] {
  const rows = k6Rows.flatMap(([metric, what, limit]) => {
    const figures = metrics[metric];
    if (figures === undefined) return [];
    const cells = ["med", "p(95)", "p(99)", "max"].map((stat) => Number(figures[stat]).toFixed(1));
    return [`| ${what} | ${cells.join(" | ")} | ${limit} |`];
  });
  const withIntents = metrics["http_req_duration{kind:intents}"] !== undefined;
  return [
    "",
    "## SLA classes under k6",
    "",
    `\`k6 run bench/k6/mixed.ts\` against the binary between two simulated engines: 100 one-token chats, ${withIntents ? "240 batches of 32 intents, " : ""}10 dialogues and 5 streams a second.`,
    "",
    "| | median | p95 | p99 | max | threshold |",
    "|-|-|-|-|-|-|",
    ...rows,
  ];
}

/** Everything that was measured, judged or not, as a table. */
export function figures({ samples }: Results): string[] {
  const present = contestants.filter((name) => samples[name] !== undefined);
  const rows = Object.entries(measures).flatMap(([id, { what, unit, digits }]) => {
    const cells = present.map((name) => {
      const values = samples[name]?.[id as MeasureId];
      return values === undefined ? "" : spreadText(spreadOf(values), digits);
    });
    return cells.every((cell) => cell === "") ? [] : [`| ${what}, ${unit} | ${cells.join(" | ")} |`];
  });
  return [`| | ${present.join(" | ")} |`, `|-|${"-|".repeat(present.length)}`, ...rows];
}
