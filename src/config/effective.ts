// The settings as they hold: each value in the form of the file, with its origin. What print-config shows.

import type { Layered } from "./layers.ts";
import { layer } from "./layers.ts";
import type { Machine } from "./machine.ts";
import type { Path } from "./path.ts";
import { valueAt } from "./path.ts";
import type { Setting } from "./settings.ts";
import { placesOf, sections, settingsOf, tablesOf } from "./settings.ts";
import type { Origin } from "./sources.ts";

export interface EffectiveSetting {
  readonly setting: Setting;
  readonly path: Path;
  /** A TOML value, as one would write it; files of secrets are named here, never read. */
  readonly value: unknown;
  readonly origin: Origin;
}

export function effectiveSettings({ tree, sources }: Layered): EffectiveSetting[] {
  // Table by table, so that the tables of a list or a map stay in the order in which they were written.
  return sections.flatMap((section) => {
    const own = settingsOf(section);
    return placesOf(tablesOf(section), tree).flatMap((table) =>
      own.flatMap((setting): EffectiveSetting[] => {
        const path = [...table, setting.pattern.at(-1) ?? ""];
        const value = valueAt(tree, path);
        return value === undefined ? [] : [{ setting, path, value, origin: sources.originOf(path) }];
      }),
    );
  });
}

/** What holds on this machine when nobody says anything. */
export const defaultSettings = (machine: Machine): EffectiveSetting[] =>
  effectiveSettings(layer({ document: undefined, env: {}, flags: {}, machine }));
