// The kinds of value that a setting can have: how each is checked, and how it is called in an error and in the docs.

import { z } from "zod";
import type { Address } from "../base/address.ts";
import { parseAddress } from "../base/address.ts";
import type { Seed } from "../host/discovery.ts";
import { readS3Url } from "../jobs/objects.ts";
import type { Advertised } from "./advertised.ts";
import { parseAdvertised } from "./advertised.ts";
import { parseByteSize } from "./byte-size.ts";
import { parseSeed } from "./seed.ts";

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

/** A word or a few, as a prompt's line and a log's can hold them. */
export const word = (expects: string): Kind<z.ZodString> => ({
  schema: z.string().regex(/^(?!\s)[^\p{Cc}]{1,64}(?<!\s)$/u),
  expects,
  advice: (written) =>
    typeof written === "string" ? "1 to 64 characters on one line, no space around them" : undefined,
  fromText: asIs,
});

/** Several lines may be; `kilobytes` bounds their UTF-8. */
export const longText = (kilobytes: number): Kind<z.ZodString> => ({
  schema: z
    .string()
    .refine((written) => written.trim() !== "" && Buffer.byteLength(written) <= kilobytes * 1000),
  expects: `text that is not empty, of at most ${kilobytes} KB`,
  advice: (written) =>
    typeof written === "string" && written.trim() !== ""
      ? `this is ${Math.ceil(Buffer.byteLength(written) / 1000)} KB long`
      : undefined,
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

/** As `wholeNumber`, with fractions. */
export const number = (from: number, to: number, unit?: string): Kind<z.ZodNumber> => ({
  schema: z.number().min(from).max(to),
  expects: `a number${unit === undefined ? "" : ` of ${unit}`} from ${from} to ${to}`,
  fromText: numberFromText,
});

/** As `number`, but it must be above 0. */
export const numberAboveZero = (to: number): Kind<z.ZodNumber> => ({
  schema: z.number().gt(0).max(to),
  expects: `a number above 0 and at most ${to}`,
  fromText: numberFromText,
});

/** A part of a whole; none of it is not a part. */
export const share = (): Kind<z.ZodNumber> => numberAboveZero(1);

export const finiteNumber = (): Kind<z.ZodNumber> => ({
  schema: z.number(),
  expects: "a number",
  advice: (written) =>
    typeof written === "number" ? "the lowest and the highest bucket have no end anyway" : undefined,
  fromText: numberFromText,
});

const numberFromText = (written: string): unknown =>
  /^[+-]?(\d+\.?\d*|\.\d+)$/.test(written) ? Number(written) : written;

export const yesNo = (): Kind<z.ZodBoolean> => ({
  schema: z.boolean(),
  expects: "true or false",
  fromText: (written) => (written === "true" ? true : written === "false" ? false : written),
});

/** For a setting that is either written so or left out. */
export const onlyTrue = (): Kind<z.ZodLiteral<true>> => ({
  schema: z.literal(true),
  expects: "true",
  advice: (written) => (written === false ? "take it out instead" : undefined),
  fromText: asIs,
});

/** The text of a variable that says the opposite of a `yesNo` setting: `DISABLE_…=1`. */
export function yesNoReversed(written: string): unknown {
  if (/^(true|1|yes)$/i.test(written)) return false;
  return /^(false|0|no)$/i.test(written) ? true : written;
}

export const choice = <const Name extends string>(names: readonly [Name, ...Name[]]) => ({
  schema: z.enum(names),
  expects: `one of ${names.map((name) => JSON.stringify(name)).join(", ")}`,
  choices: names,
  fromText: asIs,
});

/** At least one item, at most `most`. In the environment the items are separated by commas. */
export const listOf = <Item extends z.ZodType>(
  item: Kind<Item>,
  expects: string,
  most = Number.POSITIVE_INFINITY,
) => ({
  schema: z.array(item.schema).min(1).max(most),
  expects,
  advice(written: unknown): string | undefined {
    if (!Array.isArray(written)) return item.advice?.(written);
    return written.length > most ? `there are ${written.length}; ${most} is the most` : undefined;
  },
  ...(item.choices === undefined ? {} : { choices: item.choices }),
  fromText: (written: string) => written.split(",").map((part) => item.fromText(part.trim())),
});

/** As `listOf`, but it may be empty. */
export const maybeEmptyListOf = <Item extends z.ZodType>(
  item: Kind<Item>,
  expects: string,
  most = Number.POSITIVE_INFINITY,
) => ({
  ...listOf(item, expects, most),
  schema: z.array(item.schema).max(most),
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

/** Text that means something else in the end; `parse` answers undefined where it means nothing. */
const parsed = <Meaning>(parse: (written: string) => Meaning | undefined) =>
  z.string().transform((written, context): Meaning => {
    const meaning = parse(written);
    if (meaning !== undefined) return meaning;
    context.addIssue({ code: "custom" });
    return z.NEVER;
  });

export const address = () => ({
  schema: parsed<Address>(parseAddress),
  expects: 'an address with a port, such as "127.0.0.1:8010" or "[::1]:8010"',
  advice: (written: unknown): string | undefined =>
    /^:?\d+$/.test(String(written))
      ? "say on which address: 127.0.0.1 for this machine, 0.0.0.0 for all"
      : undefined,
  fromText: asIs,
});

export const advertised = () => ({
  schema: parsed<Advertised>(parseAdvertised),
  expects: 'where other machines reach this one, such as "10.0.1.10", "[2001:db8::1]" or "10.0.1.10:8010"',
  advice: (written: unknown): string | undefined =>
    /^(0\.0\.0\.0|\[::\])/.test(String(written))
      ? "that means every address of a machine, and nobody can call it"
      : undefined,
  fromText: asIs,
});

export const seed = () => ({
  schema: parsed<Seed>(parseSeed),
  expects: 'the gossip address of a router, such as "10.0.1.11:8012" or "dns:tierline.internal:8012"',
  advice(written: unknown): string | undefined {
    if (/^ec2-tag:/.test(String(written)))
      return 'seeds by EC2 tag come with a later version of tierline; until then name hosts, or "dns:NAME:PORT"';
    if (typeof written !== "string") return undefined;
    if (/:\/\//.test(written)) return "leave out the scheme: HOST:PORT";
    return /:\d+$/.test(written)
      ? undefined
      : "add the port of the gossip listener there, which is 8012 by custom";
  },
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

/** A bucket, and what the names of the objects in it begin with. */
export const s3Place = (): Kind<z.ZodString> => ({
  schema: z.string().refine((written) => readS3Url(written) !== undefined),
  expects: 'a place in S3, such as "s3://bucket/results"',
  advice: (written) =>
    typeof written === "string" && !written.startsWith("s3://")
      ? "start it with s3:// and the name of the bucket"
      : undefined,
  fromText: asIs,
});

/** What a browser sends as `Origin`, or `*` for any. */
export const origin = (): Kind<z.ZodString> => ({
  schema: z.string().refine((written) => written === "*" || URL.parse(written)?.origin === written),
  expects: 'an origin such as "http://localhost:3000"',
  fromText: asIs,
});
