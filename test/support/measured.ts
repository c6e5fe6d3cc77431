// What a test of a fault scenario has measured, for docs/reliability.md. `bun run fault` gathers it; otherwise nobody listens.

import { appendFileSync } from "node:fs";

/** The variable that names the file in which `scripts/fault.ts` looks for figures. */
export const measuredInto = "TIERLINE_MEASURED";

export interface Measurement {
  readonly fault: number;
  /** A clause with its figures and their units, as it stands in the table. */
  readonly figure: string;
}

/** Called where a test of a fault has passed its last expectation. */
export function measured(fault: number, figure: string): void {
  const file = process.env[measuredInto];
  const line: Measurement = { fault, figure };
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(line)}\n`);
}
