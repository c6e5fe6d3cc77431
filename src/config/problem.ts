// What can be wrong with a configuration, and how it is told: where, what happened, what to do.

/** An error or a warning. Without a file the message itself names its place: an environment variable or a flag. */
export interface ConfigProblem {
  readonly file?: string;
  /** 1 is the first line. */
  readonly line?: number;
  /** 1 is the first column, as editors count. */
  readonly column?: number;
  readonly message: string;
  readonly hint?: string;
}

export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** `file:line:column: message`, and the hint on a line of its own. */
export function problemText(problem: ConfigProblem): string {
  const place = [problem.file, problem.line, problem.column].filter((part) => part !== undefined).join(":");
  const text = place === "" ? problem.message : `${place}: ${problem.message}`;
  return problem.hint === undefined ? text : `${text}\n  ${problem.hint}`;
}

/** Writes errors for people, one a paragraph, and how many there are when there is more than one. */
export function printConfigErrors(errors: readonly ConfigProblem[], write: (text: string) => void): void {
  for (const error of errors) write(`${problemText(error)}\n`);
  if (errors.length > 1) write(`${errors.length} errors in the configuration.\n`);
}

export function printConfigWarnings(warnings: readonly ConfigProblem[], write: (text: string) => void): void {
  for (const warning of warnings) write(`warning: ${problemText(warning)}\n`);
}
