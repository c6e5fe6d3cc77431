// The evening as a picture: a panel for each class, attainment over time in both runs, the phases behind. Colours that
// colour-blind people can tell apart, and a second difference for those who print: one line is dashed.

import { callClasses } from "./cast.ts";
import type { Phase } from "./evening.ts";
import type { GameNight } from "./results.ts";
import type { RunName } from "./tables.ts";
import { classTitles, runsOf, runTitles } from "./tables.ts";

const size = { width: 1_000, left: 60, right: 30, panel: 120, gap: 34, top: 92, bottom: 34 } as const;

/** Of Okabe and Ito's palette. */
const lines: Readonly<Record<RunName, { readonly color: string; readonly dash: string }>> = {
  tierline: { color: "#0072B2", dash: "" },
  haproxy: { color: "#D55E00", dash: "6 3" },
};

export function chart(night: GameNight): string {
  const endMs = night.phases.at(-1)?.toMs ?? 1;
  const plotWidth = size.width - size.left - size.right;
  const x = (ms: number): number => size.left + (ms / endMs) * plotWidth;
  const topOf = (panel: number): number => size.top + panel * (size.panel + size.gap);
  const height = topOf(callClasses.length) - size.gap + size.bottom;
  const foot = height - size.bottom;

  const panels = callClasses.flatMap((of, panel) => {
    const top = topOf(panel);
    const y = (share: number): number => top + (1 - share) * size.panel;
    const grid = [0, 0.5, 1].flatMap((share) => [
      `<line x1="${size.left}" x2="${size.width - size.right}" y1="${y(share)}" y2="${y(share)}" stroke="#bbb" stroke-width="0.7"/>`,
      text(size.left - 8, y(share) + 4, `${share * 100} %`, 'text-anchor="end" fill="#444"'),
    ]);
    const paths = runsOf(night).map(([name, { scores }]) => {
      const points = binned(scores[of]?.seconds ?? [], of === "quests" ? 5 : 2)
        .map(({ atMs, share }) => `${x(atMs).toFixed(1)},${y(share).toFixed(1)}`)
        .join(" ");
      const { color, dash } = lines[name];
      return `<polyline points="${points}" fill="none" stroke="${color}" stroke-width="2" stroke-linejoin="round"${dash === "" ? "" : ` stroke-dasharray="${dash}"`}/>`;
    });
    return [text(size.left, top - 8, classTitles[of], 'font-weight="600" fill="#111"'), ...grid, ...paths];
  });
  const seconds = Array.from({ length: Math.floor(endMs / 20_000) + 1 }, (_, index) => index * 20);
  const legend = runsOf(night).flatMap(([name], index) => {
    const left = size.left + index * 150;
    const { color, dash } = lines[name];
    return [
      `<line x1="${left}" x2="${left + 34}" y1="22" y2="22" stroke="${color}" stroke-width="3"${dash === "" ? "" : ` stroke-dasharray="${dash}"`}/>`,
      text(left + 42, 26, runTitles[name], 'fill="#111"'),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${height}" font-family="system-ui, sans-serif" font-size="12" role="img">`,
    "<title>Share of calls answered as promised, over a game night, with tierline and with HAProxy in its place</title>",
    `<rect width="${size.width}" height="${height}" fill="#fff"/>`,
    ...night.phases.map((phase, index) => band(phase, index, x, foot)),
    ...night.phases.map((phase, index) => bandTitle(phase, index, x)),
    ...legend,
    ...panels,
    ...seconds.map((second) =>
      text(x(second * 1_000), foot + 20, `${second} s`, 'text-anchor="middle" fill="#444"'),
    ),
    "</svg>",
    "",
  ].join("\n");
}

const bandTop = 38;

function band({ fromMs, toMs }: Phase, index: number, x: (ms: number) => number, foot: number): string {
  const left = x(fromMs);
  const width = x(toMs) - left;
  return `<rect x="${left.toFixed(1)}" y="${bandTop}" width="${width.toFixed(1)}" height="${foot - bandTop}" fill="${index % 2 === 0 ? "#f3f3f3" : "#e6e9ee"}"/>`;
}

/** On two lines by turns, so that none runs into the next. */
function bandTitle({ fromMs, toMs, title }: Phase, index: number, x: (ms: number) => number): string {
  const top = bandTop + (index % 2 === 0 ? 15 : 30);
  return text(x((fromMs + toMs) / 2), top, title, 'text-anchor="middle" fill="#333" font-size="11"');
}

/** Seconds in which nobody asked have no share; a bin of them is left out. */
function binned(
  seconds: readonly (readonly [asked: number, good: number])[],
  width: number,
): { readonly atMs: number; readonly share: number }[] {
  const points: { atMs: number; share: number }[] = [];
  for (let from = 0; from < seconds.length; from += width) {
    const bin = seconds.slice(from, from + width);
    const asked = bin.reduce((sum, [each]) => sum + each, 0);
    const good = bin.reduce((sum, [, each]) => sum + each, 0);
    if (asked > 0) points.push({ atMs: (from + bin.length / 2) * 1_000, share: good / asked });
  }
  return points;
}

const text = (x: number, y: number, words: string, more: string): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${words}</text>`;
