// What is in the binary, for those who must know: a bill of materials (CycloneDX 1.6), the licences of all of it with their
// texts, and docs/licences.md. `bun run sbom`; a test holds the page to bun.lock.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../package.json";
import type { Component } from "./components.ts";
import { components } from "./components.ts";

const root = join(import.meta.dir, "..");
export const licencesFile = join(root, "docs/licences.md");

/** What a studio's lawyers pass without a question: no copyleft, and nothing unnamed. */
export const licencesAllowed: readonly string[] = ["MIT", "Apache-2.0", "ISC", "BSD-3-Clause", "0BSD"];

const purl = ({ name, version }: Pick<Component, "name" | "version">): string =>
  `pkg:npm/${name.replace("@", "%40")}@${version}`;

/** https://cyclonedx.org/docs/1.6/json/. Without a time of making: two builds of one revision have one bill. */
export function billOfMaterials(all: ReadonlyMap<string, Component>): unknown {
  const own = `pkg:generic/tierline@${packageJson.version}`;
  const bun = `pkg:generic/bun@${Bun.version}`;
  const ref = (key: string): string => {
    const found = all.get(key);
    if (found === undefined) throw new Error(`${key} is needed and not there`);
    return purl(found);
  };
  const direct = Object.keys(packageJson.dependencies).map(ref);
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: {
        type: "application",
        "bom-ref": own,
        name: packageJson.name,
        version: packageJson.version,
        licenses: [{ license: { id: packageJson.license } }],
        purl: own,
      },
    },
    components: [
      {
        type: "platform",
        "bom-ref": bun,
        name: "bun",
        version: Bun.version,
        licenses: [{ license: { id: "MIT" } }],
        purl: bun,
      },
      ...[...all.values()].map((each) => ({
        type: "library",
        "bom-ref": purl(each),
        name: each.name,
        version: each.version,
        licenses: [{ license: { id: each.licence } }],
        purl: purl(each),
        ...(each.sha512 === undefined
          ? {}
          : { hashes: [{ alg: "SHA-512", content: Buffer.from(each.sha512, "base64").toString("hex") }] }),
      })),
    ],
    dependencies: [
      { ref: own, dependsOn: [bun, ...direct] },
      { ref: bun, dependsOn: [] },
      ...[...all.values()].map((each) => ({ ref: purl(each), dependsOn: each.needs.map(ref) })),
    ],
  };
}

export function licencesPage(all: ReadonlyMap<string, Component>): string {
  const rows = sorted(all).map(({ name, version, licence }) => `| ${name} | ${version} | ${licence} |`);
  return `# What is in the binary

<!-- Written by \`bun run sbom\` from bun.lock. Run that instead of editing. -->

tierline itself is under ${packageJson.license}. The binary has Bun ${Bun.version} in it, which is under MIT and names the
licences of its own parts at https://bun.sh/docs/project/license: most permissive, JavaScriptCore and WebKit under LGPL-2
and TinyCC under LGPL-2.1 among them. What the packages below give to it is what the sources import of them.
\`bun run sbom\` also writes \`dist/tierline.cdx.json\`, a bill of materials in CycloneDX 1.6 with the SHA-512 of each
package, and \`dist/THIRD-PARTY-LICENCES.txt\`, which must go along with a binary that is given away.

Versions are exact, and bun.lock pins the SHA-512 of each archive, of the tools as well; every script installs with
\`--frozen-lockfile\`. No package runs a script when it is installed: Bun runs none that \`trustedDependencies\` does not
name, and that list is empty.

| package | version | licence |
|---|---|---|
${rows.join("\n")}
`;
}

function licenceTexts(all: ReadonlyMap<string, Component>): string {
  const parts = sorted(all).map(({ name, version, licence, licenceText }) => {
    const text = licenceText ?? `(Its package has no text; it is under ${licence}.)`;
    return `${name} ${version}\n${licence}\n\n${text}\n`;
  });
  return parts.join(`\n${"-".repeat(80)}\n\n`);
}

const sorted = (all: ReadonlyMap<string, Component>): Component[] =>
  [...all.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));

if (import.meta.main) {
  const all = components();
  mkdirSync(join(root, "dist"), { recursive: true });
  writeFileSync(
    join(root, "dist/tierline.cdx.json"),
    `${JSON.stringify(billOfMaterials(all), undefined, 2)}\n`,
  );
  writeFileSync(join(root, "dist/THIRD-PARTY-LICENCES.txt"), licenceTexts(all));
  writeFileSync(licencesFile, licencesPage(all));
  console.log(
    `${all.size} packages: dist/tierline.cdx.json, dist/THIRD-PARTY-LICENCES.txt, docs/licences.md`,
  );
}
