// What the binary is made of beside our own sources: the packages that `dependencies` of package.json lead to, as bun.lock
// pins them, and Bun. Tools that only build or test are not in it.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../package.json";

const root = join(import.meta.dir, "..");

export interface Component {
  readonly name: string;
  readonly version: string;
  /** SPDX expression, as the package says. */
  readonly licence: string;
  /** Base64, of the archive that the registry serves. Undefined for Bun, which is no package. */
  readonly sha512: string | undefined;
  /** Packages that it leads to itself. */
  readonly needs: readonly string[];
  readonly licenceText: string | undefined;
}

interface LockedPackage {
  readonly dependencies?: Readonly<Record<string, string>>;
}

type Lock = Readonly<
  Record<string, readonly [id: string, registry: string, LockedPackage, integrity: string]>
>;

/** By the identity that the graph uses: a name, or a path of names where a package has its own copy of another. */
export function components(): ReadonlyMap<string, Component> {
  const lock: { readonly packages: Lock } = Bun.JSONC.parse(
    readFileSync(join(root, "bun.lock"), "utf8"),
  ) as never;
  const found = new Map<string, Component>();
  const visit = (key: string): void => {
    const locked = lock.packages[key];
    if (found.has(key)) return;
    if (locked === undefined) throw new Error(`bun.lock has no ${key}; run bun install`);
    const [id, , { dependencies = {} }, integrity] = locked;
    const at = id.lastIndexOf("@");
    const needs = Object.keys(dependencies).map((name) => lockedKey(lock.packages, key, name));
    found.set(key, {
      name: id.slice(0, at),
      version: id.slice(at + 1),
      sha512: integrity.replace(/^sha512-/, ""),
      needs,
      ...licenceOf(key, id),
    });
    needs.forEach(visit);
  };
  Object.keys(packageJson.dependencies).forEach(visit);
  return found;
}

/** Names are looked up as modules are: beside the one who asks, then one level up. */
function lockedKey(packages: Lock, from: string, name: string): string {
  for (let at = from; at !== ""; at = at.includes("/") ? at.slice(0, at.lastIndexOf("/")) : "") {
    if (packages[`${at}/${name}`] !== undefined) return `${at}/${name}`;
  }
  return name;
}

/** `key` as bun.lock has it: `a/b` is the `b` that only `a` uses. */
function licenceOf(key: string, id: string): Pick<Component, "licence" | "licenceText"> {
  const folder = join(root, "node_modules", key.replace(/(?<!^@[^/]*|\/@[^/]*)\//g, "/node_modules/"));
  const file = join(folder, "package.json");
  if (!existsSync(file)) throw new Error(`${id} is not installed at ${folder}; run bun install`);
  const { license }: { license?: string } = JSON.parse(readFileSync(file, "utf8"));
  if (license === undefined) throw new Error(`${id} does not say under which licence it is`);
  const text = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  return {
    licence: license,
    licenceText: text === undefined ? undefined : readFileSync(join(folder, text), "utf8").trim(),
  };
}
