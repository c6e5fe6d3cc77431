// What goes into the binary is pinned, named and allowed.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../package.json";
import { components } from "../scripts/components.ts";
import { billOfMaterials, licencesAllowed, licencesFile, licencesPage } from "../scripts/sbom.ts";

const all = components();
const lock = readFileSync(join(import.meta.dir, "../bun.lock"), "utf8");

test("every version in package.json is exact, of tools too", () => {
  const { dependencies, devDependencies } = packageJson;
  const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(
    ([, version]) => !/^\d+\.\d+\.\d+$/.test(version),
  );
  expect(loose).toEqual([]);
});

test("bun.lock has a SHA-512 for every package but the one of this repository, and no registry's address", () => {
  const packages = lock.slice(lock.indexOf('"packages": {')).match(/^ {4}"[^"]+": \[.*$/gm) ?? [];
  expect(packages.length).toBeGreaterThan(100);
  const bare = packages.filter((line) => !/"sha512-[A-Za-z0-9+/]{86}=="\],?$/.test(line));
  expect(bare.filter((line) => !line.includes("@file:playground/no-gpu"))).toEqual([]);
  expect(lock).not.toMatch(/https?:/);
});

test("no package may run a script when it is installed", () => {
  // Left out, Bun trusts a list of its own.
  expect(packageJson.trustedDependencies).toEqual([]);
});

test("every package in the binary is under a licence that is allowed", () => {
  const others = [...all.values()].filter(({ licence }) => !licencesAllowed.includes(licence));
  expect(others).toEqual([]);
});

test("docs/licences.md is what `bun run sbom` writes", () => {
  expect(readFileSync(licencesFile, "utf8")).toBe(licencesPage(all));
});

test("the bill of materials names each part once, with its hash, and leads nowhere that it does not name", () => {
  const bill = JSON.parse(JSON.stringify(billOfMaterials(all)));
  const refs: string[] = [bill.metadata.component, ...bill.components].map((each) => each["bom-ref"]);
  expect(new Set(refs).size).toBe(refs.length);
  expect(bill.dependencies.map(({ ref }: { ref: string }) => ref).sort()).toEqual(refs.toSorted());
  for (const { dependsOn } of bill.dependencies) for (const ref of dependsOn) expect(refs).toContain(ref);
  for (const { type, hashes } of bill.components) {
    if (type === "library") expect(hashes[0].content).toMatch(/^[0-9a-f]{128}$/);
  }
  // What package.json asks for is in it.
  for (const [name, version] of Object.entries(packageJson.dependencies))
    expect(refs).toContain(`pkg:npm/${name.replace("@", "%40")}@${version}`);
});
