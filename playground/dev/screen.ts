// Everything that `bun run dev` writes to the terminal goes through here: calm, aligned, coloured only on a TTY.

export interface Screen {
  /** Whether somebody watches; else lines are plain and nothing is redrawn. */
  readonly isTerminal: boolean;
  line(text?: string): void;
  heading(text: string): void;
  /** `name` in a column of its own, `text` beside it. */
  row(name: string, text: string): void;
  /** Text without a line end, for what comes token by token. */
  piece(text: string): void;
  /** Lines that replace those of the last call, as long as nothing else was written. On a pipe: plain lines. */
  redraw(lines: readonly string[]): void;
  dim(text: string): string;
  bold(text: string): string;
  good(text: string): string;
  bad(text: string): string;
}

const nameWidth = 12;
const indent = "  ";

export function createScreen(output: NodeJS.WriteStream): Screen {
  const isTerminal = output.isTTY === true;
  const coloured = isTerminal && process.env["NO_COLOR"] === undefined;
  const paint = (code: number) => (text: string) => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text);
  const bold = paint(1);
  const dim = paint(2);
  /** How many lines the last redraw left below which nothing has been written since. */
  let drawn = 0;

  const write = (text: string): void => {
    drawn = 0;
    output.write(text);
  };

  return {
    isTerminal,
    dim,
    bold,
    good: paint(32),
    bad: paint(31),
    line: (text = "") => write(`${text === "" ? "" : indent}${text}\n`),
    heading: (text) => write(`\n${bold(text)}\n`),
    row: (name, text) => write(`${indent}${dim(name.padEnd(nameWidth))}${text}\n`),
    piece: write,
    redraw(lines) {
      const back = isTerminal && drawn > 0 ? `\u001b[${drawn}A\u001b[J` : "";
      output.write(`${back}${lines.map((line) => `${indent}${line}\n`).join("")}`);
      drawn = lines.length;
    },
  };
}

/** 9.3 ms, 412 ms, 1.2 s: three digits are enough for a person. */
export function duration(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 100 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
