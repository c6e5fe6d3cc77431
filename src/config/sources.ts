// Where each value came from, and with that how an error about it begins and what it points at.

import type { Path } from "./path.ts";
import { pathText } from "./path.ts";
import type { ConfigProblem, Place } from "./problem.ts";
import { settingAt } from "./settings.ts";
import type { TomlDocument } from "./toml-document.ts";

/** As print-config says it. `file:12` is line 12 of the configuration file. */
export type Origin = "default" | "default (ec2)" | "flag" | `file:${number}` | `env ${string}`;

export interface Sources {
  record(path: Path, origin: Origin): void;
  originOf(path: Path): Origin;
  /** Somebody wrote it, be it in the file, the environment or a flag. */
  written(path: Path): boolean;
  /** What people call it there: `listen.public`, `TIERLINE_LISTEN_PUBLIC`, `--public`. */
  called(path: Path): string;
  /** A problem with the value at the path; one without a value points at the nearest table around it. */
  problem(path: Path, message: string, hint?: string): ConfigProblem;
  /** A problem with the key itself, not with what it is set to. */
  keyProblem(path: Path, message: string, hint: string): ConfigProblem;
}

export function createSources(document: TomlDocument | undefined): Sources {
  const origins = new Map<string, Origin>();

  /** A list's items have their list's origin. */
  const originOf = (path: Path): Origin =>
    origins.get(pathText(path.slice(0, settingAt(path)?.pattern.length ?? path.length))) ?? "default";

  const placeOf = (path: Path): Place | undefined => {
    const origin = originOf(path);
    if (document === undefined || origin === "flag" || origin.startsWith("env ")) return undefined;
    const exact = document.valuePlace(path) ?? document.keyPlace(path);
    return exact ?? (path.length > 1 ? placeOf(path.slice(0, -1)) : undefined);
  };

  return {
    record: (path, origin) => void origins.set(pathText(path), origin),
    originOf,
    written: (path) => !originOf(path).startsWith("default"),
    called(path) {
      const origin = originOf(path);
      if (origin === "flag") return `--${settingAt(path)?.flag}`;
      return origin.startsWith("env ") ? origin.slice("env ".length) : plainName(path);
    },
    problem: (path, message, hint) => ({
      ...placeOf(path),
      message,
      ...(hint === undefined ? {} : { hint }),
    }),
    keyProblem: (path, message, hint) => ({ ...document?.keyPlace(path), message, hint }),
  };
}

/** Without the indexes: the position says which one of a list it is. */
export const plainName = (path: Path): string => pathText(path.filter((step) => typeof step === "string"));
