// `tierline version`: what this binary is.

import { buildInfo } from "../build-info.ts";
import type { Command } from "./command.ts";
import { exit, jsonOption, printJson } from "./command.ts";

export const version: Command = {
  name: "version",
  about: "Print the version, the revision, and what it was built with and for",
  options: { json: jsonOption },
  example: "version --json",
  async run(given, io) {
    const { version, revision, bun, target } = buildInfo;
    if (given.has("json")) printJson(io, buildInfo);
    else io.out(`tierline ${version} (revision ${revision}, Bun ${bun}, ${target})\n`);
    return exit.ok;
  },
};
