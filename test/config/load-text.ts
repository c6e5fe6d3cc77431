// Loads a configuration from texts instead of a disk, on a machine called gold-1.

import { loadConfig } from "../../src/config/load.ts";
import type { Machine } from "../../src/config/machine.ts";
import { problemText } from "../../src/config/problem.ts";
import type { ConfigSources } from "../../src/config/read-values.ts";

export const gold1: Machine = { name: "gold-1", toldBy: "host" };

type Given = Partial<Pick<ConfigSources, "env" | "flags" | "machine">> & {
  readonly files?: Readonly<Record<string, string>>;
};

/** The text stands in `tierline.toml`; without one there is no file at all. */
export function loadText(
  text: string | undefined,
  { env = {}, flags = {}, files = {}, machine = gold1 }: Given = {},
) {
  const disk = new Map(Object.entries(files));
  if (text !== undefined) disk.set("tierline.toml", text);
  return loadConfig({
    path: text === undefined ? undefined : "tierline.toml",
    env,
    flags,
    machine,
    readFile: (path) => diskFile(disk, path),
  });
}

/** The errors or, of a good configuration, the warnings, as people read them. */
export function complaints(text: string | undefined, given: Given = {}): string[] {
  const loaded = loadText(text, given);
  return (loaded.ok ? loaded.warnings : loaded.errors).map(problemText);
}

function diskFile(disk: ReadonlyMap<string, string>, path: string): string {
  const text = disk.get(path);
  if (text === undefined) throw Object.assign(new Error(`no ${path}`), { code: "ENOENT" });
  if (text === "unreadable") throw Object.assign(new Error(`no ${path}`), { code: "EACCES" });
  return text;
}

export const engine = '[[engine]]\ntier = "gold"\nkind = "vllm"\nurl = "http://127.0.0.1:8000"\n';
