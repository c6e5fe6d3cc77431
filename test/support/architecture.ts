// The two laws of the house as functions: where an import may go, and what the rooms below the waterline may touch.
// The architecture test asks them; scripts/graph.ts draws what `readImports` finds.

import { posix } from "node:path";

/** The rooms, lowest floor first. */
export const floors: readonly (readonly string[])[] = [
  ["base"],
  ["cluster", "fleet"],
  ["routing", "intents"],
  ["wire", "telemetry"],
  ["engines", "host"],
  ["dispatch"],
  ["jobs"],
  ["http"],
  ["roof"],
];
/** The floors up to this one do not touch the world. */
export const waterline = 2;

/** Packages that only compute, and may be used below the waterline. */
const purePackages: ReadonlySet<string> = new Set(["mnemonist"]);
/** They exist to touch the world, so that nobody else has to. */
const exempt: ReadonlySet<string> = new Set(["src/base/clock.ts", "src/base/random.ts"]);

export interface SourceFile {
  /** From the root of the repository: `src/fleet/fleet.ts`. */
  readonly path: string;
  readonly text: string;
}

export interface Import {
  readonly line: number;
  /** As written. */
  readonly specifier: string;
  /** From the root of the repository; undefined for a package. */
  readonly target: string | undefined;
}

/** The program, below `root`. */
export async function sourceFiles(root: string): Promise<readonly SourceFile[]> {
  const paths = [...new Bun.Glob("src/**/*.ts").scanSync({ cwd: root })].sort();
  return Promise.all(paths.map(async (path) => ({ path, text: await Bun.file(`${root}/${path}`).text() })));
}

/** Everything that is imported, types and dynamic imports as well; also `export … from`. */
export function readImports(file: SourceFile): readonly Import[] {
  const text = withoutComments(file.text);
  const found = text.matchAll(
    /(?:\bfrom|\bimport|\brequire)\s*\(?\s*(?:"([^"\n]+)"|'([^'\n]+)'|`([^`\n]+)`)/g,
  );
  return [...found].map((match) => {
    const specifier = match[1] ?? match[2] ?? match[3] ?? "";
    const target = specifier.startsWith(".") ? posix.join(posix.dirname(file.path), specifier) : undefined;
    return { line: lineAt(text, match.index), specifier, target };
  });
}

/** The room of a file in src/: its folder, where the roof is the top folder, cli/ and config/ together. */
export function roomOf(path: string): string {
  const folder = /^src\/([^/]+)\//.exec(path)?.[1];
  return folder === undefined || folder === "cli" || folder === "config" ? "roof" : folder;
}

export const floorOf = (room: string): number => floors.findIndex((rooms) => rooms.includes(room));

/** Every breach of the two laws in a file: `file:line -> what: what to do instead`. */
export function breachesIn(file: SourceFile): readonly string[] {
  return [...wrongArrows(file), ...bannedWords(file)];
}

function wrongArrows(file: SourceFile): string[] {
  const room = roomOf(file.path);
  const floor = floorOf(room);
  if (floor < 0)
    return [`${file.path}: the room ${room} has no floor. Give it one in test/support/architecture.ts.`];
  return readImports(file).flatMap(({ line, specifier, target }) => {
    const wrong = target === undefined ? wrongPackage(file, specifier) : wrongTarget(file.path, target);
    return wrong === undefined ? [] : [`${file.path}:${line} -> ${target ?? specifier}: ${wrong}`];
  });
}

function wrongPackage(file: SourceFile, specifier: string): string | undefined {
  if (floorOf(roomOf(file.path)) > waterline || exempt.has(file.path) || purePackages.has(specifier))
    return undefined;
  return "below the waterline nothing touches the world. Take what you need as an argument, or move this upstairs.";
}

function wrongTarget(path: string, target: string): string | undefined {
  if (!target.startsWith("src/")) {
    return target === "package.json" ? undefined : "the program imports nothing from outside of src/.";
  }
  const from = roomOf(path);
  const to = roomOf(target);
  const ownFolder = posix.dirname(path);
  if (from === to) {
    if (ownFolder === "src/config" && !target.startsWith("src/config/")) {
      return "config/ knows nobody on the roof. Hand it what it needs, or move the shared part into config/.";
    }
    return undefined;
  }
  if (floorOf(to) < 0) return `the room ${to} has no floor.`;
  if (floorOf(to) === floorOf(from)) {
    return `${from} and ${to} are on one floor and do not know each other. Let somebody above introduce them: take a function or a plain value.`;
  }
  if (floorOf(to) > floorOf(from)) {
    return `this goes up, from ${from} to ${to}. Return an event or take a function; whoever is above connects them.`;
  }
  return undefined;
}

interface Ban {
  readonly word: RegExp;
  readonly instead: string;
}

const everywhere: readonly Ban[] = [
  {
    // A member called so is fine: `app.fetch`, `{ fetch: … }`. The identifier itself is the global one.
    word: /(?<![.\w$])fetch\b(?!\s*\??:)|\b(?:globalThis|window|self|Bun)\.fetch\b/g,
    instead: "global fetch has a limit for the whole process. Use wire/client.ts.",
  },
];

const underWater: readonly Ban[] = [
  {
    word: /\bDate\b|\bperformance\b|\bTemporal\b/g,
    instead: "take a Clock or an Instant (base/clock.ts).",
  },
  {
    word: /\bset(?:Timeout|Interval|Immediate)\b|\bAbortSignal\.timeout\b/g,
    instead: "take a Clock and use `after` (base/clock.ts).",
  },
  { word: /\bMath\.random\b|\bcrypto\b/g, instead: "take a Random (base/random.ts)." },
  {
    word: /\bprocess\b|\bimport\.meta\b/g,
    instead: "take it as an argument; main.ts reads the environment.",
  },
  { word: /\bglobalThis\b/g, instead: "name what you need, and take it as an argument." },
  { word: /\bBun\b/g, instead: "the runtime's world is for the rooms above: wire/, host/, http/." },
  { word: /\bWebSocket\b|\bEventSource\b/g, instead: "sockets are for the rooms above the waterline." },
];

function bannedWords(file: SourceFile): string[] {
  const code = withoutStrings(file.text);
  const wet = floorOf(roomOf(file.path)) <= waterline && !exempt.has(file.path);
  return (wet ? [...everywhere, ...underWater] : everywhere).flatMap(({ word, instead }) =>
    [...code.matchAll(word)].map(
      (match) => `${file.path}:${lineAt(code, match.index)} -> ${match[0]}: ${instead}`,
    ),
  );
}

const lineAt = (text: string, index: number): number => text.slice(0, index).split("\n").length;

/** A regular expression can only begin where a value can, which is what tells it from a division. */
const lexemes =
  /(?<comment>\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?<template>`(?:\\[\s\S]|[^`\\])*`)|(?<=(?:[(,=:[!&|?{};>]|\breturn)\s*)(?<regex>\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*)/g;

const blank = (text: string): string => text.replaceAll(/[^\n]/g, " ");

function withoutComments(text: string): string {
  return text.replaceAll(lexemes, (whole, comment?: string) =>
    comment === undefined ? whole : blank(whole),
  );
}

/** Templates are kept, because code may stand in them: a word too many is better than one too few. */
function withoutStrings(text: string): string {
  return text.replaceAll(lexemes, (whole, _comment, _string, template?: string) =>
    template === undefined ? blank(whole) : whole,
  );
}
