// Everything that `bun run dev` writes to the terminal goes through here: calm, aligned, coloured only on a TTY.

export interface Screen {
  /** Whether somebody watches; else lines are plain and nothing is redrawn. */
  readonly isTerminal: boolean;
  line(text?: string): void;
  /** What another program has written for a pipe, cut to the screen. */
  quote(lines: readonly string[]): void;
  heading(text: string): void;
  /** `name` in a column of its own, `text` beside it. */
  row(name: string, text: string): void;
  /** The same for what may need several lines. */
  paragraph(name: string, text: string): void;
  /** The same for what comes token by token: each piece follows the one before, and the last call ends the line. */
  pieces(name: string): { add(text: string): void; end(): void };
  /** A table whose lines, cut to the screen, replace those of the last call if nothing else was written. On a pipe: plain lines. */
  redraw(lines: readonly string[]): void;
  dim(text: string): string;
  bold(text: string): string;
  good(text: string): string;
  bad(text: string): string;
}

const nameWidth = 10;
const indent = "  ";

export function createScreen(output: NodeJS.WriteStream): Screen {
  const isTerminal = output.isTTY === true;
  const coloured = isTerminal && process.env["NO_COLOR"] === undefined;
  const paint = (code: number) => (text: string) => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text);
  const bold = paint(1);
  const dim = paint(2);
  /** How many lines the last redraw left below which nothing has been written since. */
  let drawn = 0;

  // A terminal that does not know its size says 0.
  const width = (): number => output.columns || 80;
  const write = (text: string): void => {
    drawn = 0;
    output.write(text);
  };

  const row = (name: string, text: string): void => write(`${indent}${dim(name.padEnd(nameWidth))}${text}\n`);

  const line = (text = ""): void => write(`${text === "" ? "" : indent}${text}\n`);

  return {
    isTerminal,
    dim,
    bold,
    good: paint(32),
    bad: paint(31),
    line,
    quote(lines) {
      for (const text of lines) line(cut(text, width() - indent.length));
    },
    heading: (text) => write(`\n${bold(text)}\n`),
    row,
    paragraph(name, text) {
      const room = width() - indent.length - nameWidth;
      for (const [index, line] of wrapped(text, room).entries()) row(index === 0 ? name : "", line);
    },
    pieces(name) {
      write(`${indent}${dim(name.padEnd(nameWidth))}`);
      return { add: write, end: () => write("\n") };
    },
    redraw(lines) {
      const back = isTerminal && drawn > 0 ? `\u001b[${drawn}A\u001b[J` : "";
      const shown = isTerminal ? lines.map((line) => cut(line, width() - indent.length)) : lines;
      const [head = "", ...rest] = shown;
      output.write(`${back}${[dim(head), ...rest].map((line) => `${indent}${line}\n`).join("")}`);
      drawn = lines.length;
    },
  };
}

/** At most so long, its end visible as cut. */
const cut = (text: string, columns: number): string =>
  text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}…`;

function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length === 0 || Bun.stringWidth(longer) > columns) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

/** 9.3 ms, 412 ms, 1.2 s: three digits are enough for a person. */
export function duration(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 100 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
