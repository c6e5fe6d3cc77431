// From a path, an environment and flags to a Config, or to every reason why there is none.

import { certificateIsForPeers } from "./cluster-rules.ts";
import type { Config } from "./config.ts";
import { toConfig } from "./config.ts";
import type { EffectiveSetting } from "./effective.ts";
import { effectiveSettings } from "./effective.ts";
import { keyRulesHaveKeys } from "./key-rules.ts";
import type { ConfigProblem } from "./problem.ts";
import type { ConfigSources } from "./read-values.ts";
import { readValues } from "./read-values.ts";
import { rules } from "./rules.ts";
import { readSecrets } from "./secrets.ts";

export interface LoadedConfig {
  readonly ok: true;
  readonly config: Config;
  /** The file that was read; undefined when there was none. */
  readonly file: string | undefined;
  /** Each setting that has a value, as written, with where it came from. No secret is among them. */
  readonly origins: readonly EffectiveSetting[];
  readonly warnings: readonly ConfigProblem[];
}

export interface RefusedConfig {
  readonly ok: false;
  /** At least one; those of a file in its order. */
  readonly errors: readonly ConfigProblem[];
}

export function loadConfig(from: ConfigSources): LoadedConfig | RefusedConfig {
  const reading = readValues(from);
  const { values, layered } = reading;
  if (values === undefined || layered === undefined) return { ok: false, errors: inOrder(reading.errors) };

  const warnings = [...layered.warnings];
  const errors = [...reading.errors];
  for (const { reads, severity, check } of rules) {
    if (reads.some((table) => reading.refused.has(table))) continue;
    (severity === "error" ? errors : warnings).push(...check(values, layered.sources));
  }
  const secrets = readSecrets(values, layered.sources, from.readFile);
  if (!secrets.ok) errors.push(...secrets.errors);
  if (!secrets.ok || errors.length > 0) return { ok: false, errors: inOrder(errors) };
  const { keys, tls } = secrets.secrets;
  warnings.push(...keyRulesHaveKeys(values, layered.sources, keys));
  if (tls !== undefined) warnings.push(...certificateIsForPeers(values, layered.sources, tls));
  return {
    ok: true,
    config: toConfig(values, secrets.secrets),
    file: reading.file,
    origins: effectiveSettings(layered),
    warnings: inOrder(warnings),
  };
}

/** By file in the order of mention, then as they stand there; what has no place in a file comes first. */
function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const files: (string | undefined)[] = [undefined, ...problems.map(({ file }) => file)];
  return problems.toSorted(
    (left, right) =>
      files.indexOf(left.file) - files.indexOf(right.file) ||
      (left.line ?? 0) - (right.line ?? 0) ||
      (left.column ?? 0) - (right.column ?? 0),
  );
}
