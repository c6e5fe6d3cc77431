// For tests that need what is not one of our dependencies: a program, or the right to use it.

/**
 * Whether to run a test that needs `name`, for `test.skipIf(!needsTool("promtool"))`. On a person's machine a
 * missing tool skips the test and says so; with CI=true it is an error, because there it has to be installed.
 */
export function needsTool(name: string): boolean {
  return Bun.which(name) !== null || lacking(`${name} is not installed`);
}

/** The same for what a tool is allowed to do here; `why`, a clause such as "nobody may … here", where it is not. */
export function needsRight(why: string | undefined): boolean {
  return why === undefined || lacking(why);
}

function lacking(what: string): false {
  if (process.env["CI"] === "true") throw new Error(`${what}, and CI may not skip the tests that need it.`);
  console.warn(`${what}: the tests that need it are skipped.`);
  return false;
}
