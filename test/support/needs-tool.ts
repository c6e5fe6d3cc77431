// For tests that need a program which is not one of our dependencies.

/**
 * Whether to run a test that needs `name`, for `test.skipIf(!needsTool("promtool"))`. On a person's machine a
 * missing tool skips the test and says so; with CI=true it is an error, because there it has to be installed.
 */
export function needsTool(name: string): boolean {
  if (Bun.which(name) !== null) return true;
  if (process.env["CI"] === "true")
    throw new Error(`${name} is not installed, and CI may not skip the tests that need it.`);
  console.warn(`${name} is not installed: the tests that need it are skipped.`);
  return false;
}
