// The kinds of value that a setting can have: how each is checked, and how it is called in an error and in the docs.

import { z } from "zod";
import type { Address } from "./address.ts";
import { parseAddress } from "./address.ts";
import { parseByteSize } from "./byte-size.ts";

export interface Kind<Schema extends z.ZodType = z.ZodType> {
  readonly schema: Schema;
  /** Completes "must be …". */
  readonly expects: string;
  /** The names to choose from, for did-you-mean. */
  readonly choices?: readonly string[];
  /** What to do about a common slip. */
  readonly advice?: (written: unknown) => string | undefined;
  /** What an environment variable's or a flag's text means; text that fits nothing stays, for the schema to refuse. */
  readonly fromText: (text: string) => unknown;
}

const asIs = (text: string): string => text;

export const text = (expects: string, pattern: RegExp): Kind<z.ZodString> => ({
  schema: z.string().regex(pattern),
  expects,
  fromText: asIs,
});

export const filePath = (): Kind<z.ZodString> => ({
  schema: z.string().min(1),
  expects: "the path of a file",
  fromText: asIs,
});

export const folderPath = (): Kind<z.ZodString> => ({
  schema: z.string().min(1),
  expects: "the path of a folder",
  fromText: asIs,
});

/** Both ends belong to it. `unit`: "milliseconds", or nothing for a plain count. */
export const wholeNumber = (from: number, to: number, unit?: string): Kind<z.ZodInt> => ({
  schema: z.int().min(from).max(to),
  expects: `a whole number${unit === undefined ? "" : ` of ${unit}`} from ${from} to ${to}`,
  fromText: (written) => (/^[+-]?\d+$/.test(written) ? Number(written) : written),
});

export const yesNo = (): Kind<z.ZodBoolean> => ({
  schema: z.boolean(),
  expects: "true or false",
  fromText: (written) => (written === "true" ? true : written === "false" ? false : written),
});

export const choice = <const Name extends string>(names: readonly [Name, ...Name[]]) => ({
  schema: z.enum(names),
  expects: `one of ${names.map((name) => JSON.stringify(name)).join(", ")}`,
  choices: names,
  fromText: asIs,
});

/** At least one item. In the environment the items are separated by commas. */
export const listOf = <Item extends z.ZodType>(item: Kind<Item>, expects: string) => ({
  schema: z.array(item.schema).min(1),
  expects,
  ...(item.choices === undefined ? {} : { choices: item.choices }),
  fromText: (written: string) => written.split(",").map((part) => item.fromText(part.trim())),
});

/** As `listOf`, but it may be empty. */
export const maybeEmptyListOf = <Item extends z.ZodType>(item: Kind<Item>, expects: string) => ({
  ...listOf(item, expects),
  schema: z.array(item.schema),
});

/** Bytes in the end; `"4MB"`, `"64KiB"` or a number before. */
export const byteSize = (from: string, to: string) => ({
  schema: z.unknown().transform((written, context): number => {
    const bytes = parseByteSize(written);
    if (bytes !== undefined && bytes >= (parseByteSize(from) ?? 0) && bytes <= (parseByteSize(to) ?? 0)) {
      return bytes;
    }
    context.addIssue({ code: "custom" });
    return z.NEVER;
  }),
  expects: `a size from "${from}" to "${to}", such as "4MB" or "512KiB"`,
  fromText: (written: string) => (/^\d+$/.test(written) ? Number(written) : written),
});

export const address = () => ({
  schema: z.string().transform((written, context): Address => {
    const parsed = parseAddress(written);
    if (parsed) return parsed;
    context.addIssue({ code: "custom" });
    return z.NEVER;
  }),
  expects: 'an address with a port, such as "127.0.0.1:8010" or "[::1]:8010"',
  advice: (written: unknown): string | undefined =>
    /^:?\d+$/.test(String(written))
      ? "say on which address: 127.0.0.1 for this machine, 0.0.0.0 for all"
      : undefined,
  fromText: asIs,
});

/** The address of a server: scheme, host and port; the paths are the engine's own. */
export const serverUrl = (): Kind<z.ZodString> => ({
  schema: z.string().refine((written) => {
    const url = URL.parse(written);
    return (
      url !== null &&
      (url.protocol === "http:" || url.protocol === "https:") &&
      url.username === "" &&
      url.password === "" &&
      url.pathname === "/" &&
      !/[?#]/.test(written)
    );
  }),
  expects: 'the address of a server, such as "http://127.0.0.1:8000"',
  advice(written) {
    const url = typeof written === "string" ? URL.parse(written) : null;
    if (url === null || !url.protocol.startsWith("http")) return "start it with http:// or https://";
    if (url.username !== "" || url.password !== "")
      return "put the key into a file and name it in api_key_file";
    return "leave out what follows the port: tierline adds the paths, /v1 among them";
  },
  fromText: asIs,
});

/** What a browser sends as `Origin`, or `*` for any. */
export const origin = (): Kind<z.ZodString> => ({
  schema: z.string().refine((written) => written === "*" || URL.parse(written)?.origin === written),
  expects: 'an origin such as "http://localhost:3000"',
  fromText: asIs,
});
