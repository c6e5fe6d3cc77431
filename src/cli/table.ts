// Figures for people: aligned columns, and numbers that can be read at a glance.

const gap = "  ";

/** The first row is the head. The first column holds names and stands left, the others figures and stand right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = widthsOf(rows);
  const lines = rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join(gap)
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}

/** Words in columns, all of them left, without a head. */
export function wordTable(rows: readonly (readonly string[])[]): string[] {
  const widths = widthsOf(rows);
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join(gap)
      .trimEnd(),
  );
}

const widthsOf = (rows: readonly (readonly string[])[]): number[] =>
  (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 3 });

export const countText = (count: number): string => grouped.format(count);

export const shareText = (share: number): string => `${(share * 100).toFixed(1)} %`;

export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const [size, unit] =
    bytes < 1e6 ? [bytes / 1e3, "kB"] : bytes < 1e9 ? [bytes / 1e6, "MB"] : [bytes / 1e9, "GB"];
  return `${size.toFixed(1)} ${unit}`;
}

export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  return seconds < 7200 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(0)} h`;
}

/** The narrowest that names are cut to before a column is left out. */
const narrowName = 20;

/** A table that fits: columns are left out from the right, and the names in the first one cut, if need be. */
export function fittedTable(rows: readonly (readonly string[])[], columns: number | undefined): string {
  if (columns === undefined) return table(rows);
  const [names = 0, ...others] = widthsOf(rows);
  const least = Math.min(names, narrowName);
  let shown = others.length;
  const widthOf = (count: number): number =>
    others.slice(0, count).reduce((sum, width) => sum + gap.length + width, 0);
  while (shown > 1 && least + widthOf(shown) > columns) shown -= 1;
  const room = Math.max(1, columns - widthOf(shown));
  return table(rows.map(([name = "", ...cells]) => [cutText(name, room), ...cells.slice(0, shown)]));
}

/** At most so long, its end visible as cut. */
export const cutText = (text: string, columns: number | undefined): string =>
  columns === undefined || text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}…`;

/** What others have said, without what a terminal would obey. */
export const plainText = (text: string): string => text.replaceAll(/\p{Cc}/gu, "?");

/** In lines of at most so many columns, those after the first indented. */
export function wrappedText(text: string, columns: number | undefined, indent = "    "): string {
  if (columns === undefined) return text;
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    const longer = `${line} ${word}`;
    if (line === undefined || longer.length > columns) lines.push(line === undefined ? word : indent + word);
    else lines[lines.length - 1] = longer;
  }
  return lines.map((line) => cutText(line, columns)).join("\n");
}
