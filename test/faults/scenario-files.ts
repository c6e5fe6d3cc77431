// Where the tests of a fault are: in whichever files bear its number in a title.

import { readFileSync } from "node:fs";
import { join } from "node:path";

const testDir = join(import.meta.dir, "..");

/** As the runner matches titles by it. */
export const titleMark = (fault: number): RegExp => new RegExp(`\\(fault ${fault}\\)`);

/** Paths from the root of the repository, as the runner takes them. */
export function filesOf(fault: number): string[] {
  return [...new Bun.Glob("**/*.test.ts").scanSync(testDir)]
    .filter((file) => titleMark(fault).test(readFileSync(join(testDir, file), "utf8")))
    .map((file) => join("./test", file))
    .sort();
}
