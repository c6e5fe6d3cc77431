// Writes docs/configuration.md from the table of settings: `bun scripts/config-docs.ts`. A test holds them together.

import type { Section, Setting } from "../src/config/settings.ts";
import { each, sections, settingsOf, tablesOf, variablesOf } from "../src/config/settings.ts";

const intro = `# Configuration

<!-- Written by scripts/config-docs.ts from src/config/schema.ts. Change those, then run the script. -->

One TOML file: the one that \`--config\` names, else \`$TIERLINE_CONFIG\`, else \`/etc/tierline/tierline.toml\` if there is
one. Every setting has a default or is optional, but where a table says "must be written". The smallest file that does something:

\`\`\`toml
[[engine]]
tier = "gold"
kind = "vllm"
url = "http://127.0.0.1:8000"
\`\`\`

**Who wins.** Defaults, then the file, then the environment, then flags of \`serve\`. \`tierline print-config\` prints what
holds, each value with its origin: \`# default\` (\`# default (ec2)\` where EC2 was asked), \`# file:LINE\`, \`# env NAME\` or \`# flag\`.

**Environment.** Each setting outside \`[auth.key.NAME]\`, \`[[engine]]\`, \`[aliases.NAME]\` and \`[intents.archetype.NAME]\` has a variable, named
below; some have a second one, by a name that is older than tierline, and then \`TIERLINE_…\` wins. Lists are separated by
commas. An empty variable counts as not set. An unknown \`TIERLINE_\` variable is a warning, for other programs may own it.

**Files.** A relative path is relative to the directory that the router was started in. Files with keys and tokens are
named in the configuration, never written into it; they are read at start and again on SIGHUP.

**Sizes** are numbers of bytes or text: \`"4MB"\` is 4,000,000 bytes, \`"4MiB"\` is 4,194,304.

**Mistakes.** \`tierline check-config FILE\` says with line and column what \`serve\` would refuse, and exits with 78. An
unknown key is an error, because a setting that does nothing is worse than none.
`;

export function configurationPage(): string {
  return `${[intro, ...sections.map(sectionText)].filter((text) => text !== "").join("\n")}`;
}

function sectionText(section: Section): string {
  const own = settingsOf(section);
  const about = section.about === "" ? "" : `${section.about}\n`;
  const table = ["| key | is | default |", "|---|---|---|", ...own.map(rowText)].join("\n");
  const example = section.example === undefined ? [] : [`\`\`\`toml\n${section.example}\n\`\`\`\n`];
  return [`## ${titleOf(section)}`, about, ...example, ...(own.length === 0 ? [] : [`${table}\n`])].join(
    "\n",
  );
}

function titleOf(section: Section): string {
  if (section.shape === "list") return `\`[[${section.pattern.join(".")}]]\``;
  const name = tablesOf(section).map((step) => (step === each ? "NAME" : step));
  return `\`[${name.join(".")}]\``;
}

function rowText(setting: Setting): string {
  const { pattern, kind, about, flag } = setting;
  const variables = variablesOf(setting).map(({ name }) => `\`${name}\``);
  const ways = [...variables, ...(flag === undefined ? [] : [`\`serve --${flag}\``])];
  const is = [about, `${upperFirst(kind.expects)}.`, ways.length === 0 ? "" : `Also ${ways.join(", ")}.`];
  const cells = [`\`${pattern.at(-1)}\``, is.filter((text) => text !== "").join(" "), fallbackText(setting)];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function fallbackText({ fallback, otherwise, example, optional }: Setting): string {
  if (fallback !== undefined) return code(fallback);
  return otherwise ?? `${optional ? "" : "must be written, "}such as ${code(example)}`;
}

const code = (value: unknown): string =>
  `\`${Array.isArray(value) ? `[${value.map((item) => JSON.stringify(item)).join(", ")}]` : JSON.stringify(value)}\``;

const upperFirst = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

if (import.meta.main) await Bun.write("docs/configuration.md", configurationPage());
