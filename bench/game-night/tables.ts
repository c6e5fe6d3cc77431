// The figures of a game night as tables of Markdown: for the page, and for whoever watches the run.

import type { CallClass } from "./cast.ts";
import { callClasses, sla } from "./cast.ts";
import type { Phase } from "./evening.ts";
import type { GameNight, NightResult } from "./results.ts";
import type { Score } from "./scores.ts";
import { attainment } from "./scores.ts";

export const runNames = ["tierline", "haproxy"] as const;
export type RunName = (typeof runNames)[number];
export const runTitles: Readonly<Record<RunName, string>> = { tierline: "tierline", haproxy: "HAProxy" };

export const classTitles: Readonly<Record<CallClass, string>> = {
  intents: "NPC intents",
  realtime: "one-liners (realtime)",
  interactive: "dialogue (interactive)",
  quests: "quests (async)",
};

const promises: Readonly<Record<CallClass, string>> = {
  intents: `an engine's opinion, not the default, within ${sla.intentMs} ms`,
  realtime: `the whole line within ${sla.oneLinerMs} ms`,
  interactive: `the first word within ${sla.firstWordMs / 1_000} s, and then all of it, unbroken`,
  quests: "finished",
};

export const tables = (night: GameNight): string[] => [
  ...overall(night),
  "",
  ...byPhase(night),
  "",
  ...ledger(night),
  "",
  ...missed(night),
  "",
  ...headroom(night),
];

export function runsOf(night: GameNight): (readonly [RunName, NightResult])[] {
  return runNames.flatMap((name) => {
    const result = night[name];
    return result === undefined ? [] : [[name, result] as const];
  });
}

/** 99.97 % must not read 100. */
export function percent(score: Pick<Score, "asked" | "good"> | undefined): string {
  if (score === undefined || score.asked === 0) return "–";
  const share = attainment(score) * 100;
  if (share === 100) return "100 %";
  return `${(Math.floor(share * 10) / 10).toFixed(1)} %`;
}

export function overall(night: GameNight): string[] {
  const runs = runsOf(night);
  const heads = runs.flatMap(([name]) => [runTitles[name], "asked", "p50", "p99"]);
  const rows = callClasses.map((of) => {
    const cells = runs.flatMap(([, { scores }]) => {
      const all = scores[of]?.all;
      return [`**${percent(all)}**`, count(all?.asked ?? 0), duration(all?.p50Ms), duration(all?.p99Ms)];
    });
    return `| ${classTitles[of]} | ${promises[of]} | ${cells.join(" | ")} |`;
  });
  const inTime = runs.flatMap(([, { scores }]) => {
    const all = scores.intents?.all;
    return [percent(all && { asked: all.asked, good: all.inTime }), "", "", ""];
  });
  const valid = `| | a valid action in time, be it the default | ${inTime.join(" | ")} |`;
  return [
    `| | answered as promised | ${heads.join(" | ")} |`,
    `|-|-|${"-|".repeat(heads.length)}`,
    ...rows.slice(0, 1),
    valid,
    ...rows.slice(1),
  ];
}

export function byPhase(night: GameNight): string[] {
  const runs = runsOf(night);
  const heads = callClasses.flatMap((of) => runs.map(([name]) => `${shortTitles[of]}, ${runTitles[name]}`));
  const rows = night.phases.map((phase) => {
    const cells = callClasses.flatMap((of) =>
      runs.map(([, { scores }]) => percent(scores[of]?.phases[phase.id])),
    );
    return `| ${phase.title} | ${spanOf(phase)} | ${cells.join(" | ")} |`;
  });
  return [`| phase | seconds | ${heads.join(" | ")} |`, `|-|-|${"-|".repeat(heads.length)}`, ...rows];
}

const shortTitles: Readonly<Record<CallClass, string>> = {
  intents: "intents",
  realtime: "one-liners",
  interactive: "dialogue",
  quests: "quests",
};

const spanOf = ({ fromMs, toMs }: Phase): string => `${fromMs / 1_000}–${toMs / 1_000}`;

export function ledger(night: GameNight): string[] {
  const rows = runsOf(night).map(
    ([
      name,
      {
        quests: { asked, accepted, finished, lost },
      },
    ]) => `| ${runTitles[name]} | ${asked} | ${accepted} | ${finished} | ${lost} |`,
  );
  return ["| quests | asked | accepted | finished | accepted and lost |", "|-|-|-|-|-|", ...rows];
}

/** Phases in which more than one in a hundred was missed, and what became of those. */
export function missed(night: GameNight): string[] {
  const rows = runsOf(night).flatMap(([name, { scores }]) =>
    callClasses.flatMap((of) =>
      night.phases.flatMap(({ id, title }) => {
        const score = scores[of]?.phases[id];
        if (score === undefined || attainment(score) >= 0.99) return [];
        return [
          `| ${runTitles[name]} | ${shortTitles[of]} | ${title} | ${percent(score)} | ${whyOf(score)} |`,
        ];
      }),
    ),
  );
  if (rows.length === 0) return [];
  return ["| run | class | phase | as promised | what became of them |", "|-|-|-|-|-|", ...rows];
}

export function headroom(night: GameNight): string[] {
  const rows = runsOf(night).map(
    ([
      name,
      {
        idleShare,
        lag: { npcs, players },
      },
    ]) => {
      const lag = ({ p50Ms, p99Ms, maxMs }: typeof npcs): string => `${p50Ms}, ${p99Ms}, ${maxMs} ms`;
      return `| ${runTitles[name]} | ${Math.round(idleShare * 100)} % | ${lag(npcs)} | ${npcs.cores} | ${lag(players)} | ${players.cores} |`;
    },
  );
  return [
    "| run | CPU that nobody used | driver of the NPCs: lag p50, p99, longest | cores | driver of the players: lag p50, p99, longest | cores |",
    "|-|-|-|-|-|-|",
    ...rows,
  ];
}

/** The most frequent ends, good ones among them: what it is a share of. */
function whyOf({ why }: Score): string {
  return why
    .slice(0, 6)
    .map(([what, times]) => `${what.replaceAll("|", "/")}: ${count(times)}`)
    .join("; ");
}

const count = (value: number): string => value.toLocaleString("en-US");

function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  return ms < 10
    ? `${ms.toFixed(1)} ms`
    : ms < 10_000
      ? `${Math.round(ms)} ms`
      : `${(ms / 1_000).toFixed(1)} s`;
}
