// A file of callers' keys, and the lines of a configuration that name it.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Each line is `name:key`. */
export function keysFile(...lines: readonly string[]) {
  const dir = mkdtempSync(join(tmpdir(), "tierline-keys-"));
  const file = join(dir, "keys");
  const write = (...now: readonly string[]): void => writeFileSync(file, `${now.join("\n")}\n`);
  write(...lines);
  return {
    toml: `[auth]\nmode = "keys"\nkeys_file = ${JSON.stringify(file)}\n`,
    /** In the place of what was there. */
    write,
    stop: () => rmSync(dir, { recursive: true, force: true }),
  };
}
