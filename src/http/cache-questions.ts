// What the cache API may be asked: members, their ranges, and the sentence for what does not fit.

import { z } from "zod";
import type { Bounds } from "../base/cache-bounds.ts";
import { cacheBounds } from "../base/cache-bounds.ts";
import { cacheNames } from "../base/cache-control.ts";

const pageRule = { entries: 100, entriesMost: 1000 } as const;

const within = (schema: z.ZodNumber, { from, to }: Bounds) => schema.min(from).max(to).optional();
const cache = z.enum(cacheNames);
const flag = z.boolean().optional();
/** Query parameters are text. */
const limit = z
  .string()
  .regex(/^\d{1,9}$/)
  .transform(Number)
  .pipe(z.int().min(1).max(pageRule.entriesMost));

const range = ({ from, to }: Bounds): string => `from ${from} to ${to}`;

/** Each completes "must be …". */
const expects: ReadonlyMap<string, string> = new Map([
  ["cache", `one of ${cacheNames.map((name) => JSON.stringify(name)).join(", ")}`],
  ["enabled", "true or false"],
  ["max_entries", `a whole number ${range(cacheBounds.entries)}`],
  ["max_memory_mb", `a number ${range(cacheBounds.memoryMb)}`],
  ["ttl_seconds", `a number ${range(cacheBounds.ttlSeconds)}`],
  ["archetype", "the name of an archetype"],
  ["prefix", "the beginning of a key"],
  ["reset_stats", "true or false"],
  ["local", "true or false"],
  ["limit", `a whole number ${range({ from: 1, to: pageRule.entriesMost })}`],
  ["after", "a key, as `next` named it"],
]);

export const configChange = z.strictObject({
  cache,
  enabled: flag,
  max_entries: within(z.int(), cacheBounds.entries),
  max_memory_mb: within(z.number(), cacheBounds.memoryMb),
  ttl_seconds: within(z.number(), cacheBounds.ttlSeconds),
});

export const clearing = z.strictObject({
  cache: cache.optional(),
  archetype: z.string().min(1).optional(),
  prefix: z.string().optional(),
  reset_stats: flag,
  /** Not to be told to the peers. */
  local: flag,
});

export const pageQuestion = z.strictObject({
  cache,
  limit: limit.default(pageRule.entries),
  after: z.string().optional(),
  prefix: z.string().optional(),
});

export type Understood<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly why: string };

type Asked = Readonly<Record<string, unknown>>;

/** `asked` as `schema` has it, or a sentence for each member that does not fit. */
export function readQuestion<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  asked: Asked,
): Understood<z.output<z.ZodObject<Shape>>> {
  const read = schema.safeParse(asked);
  if (read.success) return { ok: true, value: read.data };
  const known = Object.keys(schema.shape);
  return { ok: false, why: read.error.issues.map((issue) => sentence(issue, asked, known)).join(" ") };
}

function sentence(issue: z.core.$ZodIssue, asked: Asked, known: readonly string[]): string {
  if (issue.code === "unrecognized_keys") {
    return `There is no ${issue.keys.map((key) => JSON.stringify(key)).join(", ")} here; there are ${known.join(", ")}.`;
  }
  const name = String(issue.path[0]);
  const must = expects.get(name) ?? "something else";
  const sent = asked[name];
  return sent === undefined
    ? `${name} is missing; it must be ${must}.`
    : `${name} must be ${must}, not ${shown(sent)}.`;
}

/** Enough of it to be recognised. */
function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`;
}
