// Draws the rooms of src/ and who imports whom into docs/ARCHITECTURE.md, between two markers: `bun run graph`.

import type { SourceFile } from "../test/support/architecture.ts";
import { floors, readImports, roomOf, sourceFiles } from "../test/support/architecture.ts";

const page = "docs/ARCHITECTURE.md";
const begin = "<!-- graph: written by `bun run graph` -->";
const end = "<!-- /graph -->";

/** The text of the page with the graph of these files between its markers. */
export function withGraph(text: string, files: readonly SourceFile[]): string {
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`${page} has lost the markers of the graph`);
  return `${text.slice(0, from)}${begin}\n\n\`\`\`mermaid\n${graphOf(files)}\`\`\`\n\n${text.slice(to)}`;
}

/** Mermaid: a box a floor, the roof on top, and an arrow where at least one file imports another room's. */
function graphOf(files: readonly SourceFile[]): string {
  const rooms = new Set(files.map(({ path }) => roomOf(path)));
  const arrows = new Set<string>();
  for (const file of files) {
    const from = roomOf(file.path);
    for (const { target } of readImports(file)) {
      if (target === undefined || !target.startsWith("src/")) continue;
      const to = roomOf(target);
      // Everybody stands on the ground, and the roof knows everybody: drawn, these arrows would hide the others.
      if (to !== from && to !== "base" && from !== "roof") arrows.add(`  ${from} --> ${to}`);
    }
  }
  const boxes = floors
    .map((all, floor) => ({ floor, present: all.filter((room) => rooms.has(room)) }))
    .filter(({ present }) => present.length > 0)
    .reverse()
    .map(
      ({ floor, present }) => `  subgraph floor${floor}["${floor}"]\n    ${present.join("\n    ")}\n  end`,
    );
  return `flowchart TD\n${[...boxes, ...[...arrows].sort()].join("\n")}\n`;
}

if (import.meta.main) await Bun.write(page, withGraph(await Bun.file(page).text(), await sourceFiles(".")));
