// How the table of settings is written down: a zod schema, and beside it what people need to know of each part.

import { z } from "zod";
import type { Kind } from "./kinds.ts";
import type { Table } from "./path.ts";

export interface SettingNote {
  readonly about: string;
  /** The default, as one would write it in the file. */
  readonly fallback?: unknown;
  /** Says what holds when nobody writes the setting and there is no fixed default. */
  readonly otherwise?: string;
  /** How one would write it; for settings without a default. */
  readonly example?: unknown;
  /** What to do where it must be written and is not, told from the table around it. Not given: write the example. */
  readonly whenMissing?: (around: Table) => string | undefined;
  /** `serve --<flag> VALUE` sets it too. */
  readonly flag?: string;
  /** A second variable that sets it, by a name that people's systems already use. `TIERLINE_…` wins over it. */
  readonly alsoEnv?: {
    readonly name: string;
    /** What its text means, where that differs from what the kind makes of it. */
    readonly fromText?: (text: string) => unknown;
  };
}

export interface SectionNote {
  readonly about: string;
  /** A piece of a file, where one look says more than the table. */
  readonly example?: string;
}

const settings = new WeakMap<z.core.$ZodType, SettingNote & { readonly kind: Kind }>();
const sections = new WeakMap<z.core.$ZodType, SectionNote>();

/** A setting that always has a value: a default, one found at start, or else it must be written. */
export function setting<Schema extends z.ZodType>(kind: Kind<Schema>, note: SettingNote): Schema {
  settings.set(kind.schema, { ...note, kind });
  return kind.schema;
}

/** A setting that may stay without a value. */
export function optional<Schema extends z.ZodType>(
  kind: Kind<Schema>,
  note: SettingNote,
): z.ZodOptional<Schema> {
  return z.optional(setting(kind, note));
}

/** A table of settings. A key that it does not declare is an error. */
export function section<Shape extends z.ZodRawShape>(about: string, shape: Shape, example?: string) {
  const schema = z.strictObject(shape);
  sections.set(schema, { about, ...(example === undefined ? {} : { example }) });
  return schema;
}

export const noteOf = (schema: z.core.$ZodType) => settings.get(schema);
export const sectionNoteOf = (schema: z.core.$ZodType): SectionNote => sections.get(schema) ?? { about: "" };
