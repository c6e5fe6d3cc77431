// `tierline cache stats | config | clear | entries`: the admin cache API from a shell.

import type { CacheName } from "../base/cache-control.ts";
import { cacheNames } from "../base/cache-control.ts";
import { askAndPrint } from "./ask-router.ts";
import { cleared, clearedText, figures, figuresTable, page, pageTable } from "./cache-answers.ts";
import type { Command, Given, Io, Option } from "./command.ts";
import { exit, jsonOption, queryOf } from "./command.ts";
import { routerOptions } from "./router.ts";

const cacheOption: Option = { value: "NAME", about: cacheNames.join(" or ") };

export const cacheStats: Command = {
  name: "cache stats",
  about: "Show what both caches hold, and how often they knew the answer",
  options: { ...routerOptions, json: jsonOption },
  example: "cache stats",
  run: (given, io) =>
    askAndPrint(given, io, { method: "GET", path: "/api/cache/stats", answer: figures }, (caches) =>
      figuresTable(cacheNames, caches),
    ),
};

export const cacheConfig: Command = {
  name: "cache config",
  about: "Show the caches' settings, or change some of them at once, until the router restarts",
  options: {
    cache: cacheOption,
    "max-entries": { value: "N", about: "entries at most" },
    "max-memory-mb": { value: "N", about: "megabytes at most" },
    "ttl-seconds": { value: "N", about: "how long an entry is fresh" },
    enabled: { value: "BOOL", about: "true, or false to answer without it" },
    ...routerOptions,
    json: jsonOption,
  },
  example: "cache config --cache results --max-memory-mb 256",
  async run(given, io) {
    const cache = cacheNamed(given, io);
    if (!cache.ok) return exit.meaning;
    const change: Record<string, unknown> = {};
    for (const [option, { read, expects }] of Object.entries(changes)) {
      const text = given.text(option);
      if (text === undefined) continue;
      const value = read(text);
      if (value === undefined) {
        io.err(`--${option} needs ${expects}, not ${JSON.stringify(text)}.\n`);
        return exit.meaning;
      }
      change[option.replaceAll("-", "_")] = value;
    }
    const changing = Object.keys(change).length > 0;
    if (changing && cache.name === undefined) {
      io.err(`tierline cache config: say whose settings to change: --cache ${cacheNames.join(" or ")}.\n`);
      return exit.usage;
    }
    const question = changing
      ? { method: "POST" as const, body: { cache: cache.name, ...change } }
      : { method: "GET" as const };
    const shown = cache.name === undefined ? cacheNames : [cache.name];
    return askAndPrint(given, io, { ...question, path: "/api/cache/config", answer: figures }, (caches) =>
      figuresTable(shown, caches),
    );
  },
};

export const cacheClear: Command = {
  name: "cache clear",
  about: "Forget entries, here and at all peers: all of both caches, or those that are named",
  options: {
    cache: cacheOption,
    archetype: { value: "NAME", about: "the intents of this archetype only" },
    prefix: { value: "TEXT", about: "entries whose key begins so only" },
    "reset-stats": { about: "count from 0 again" },
    local: { about: "only here: do not tell the peers" },
    ...routerOptions,
    json: jsonOption,
  },
  example: "cache clear --archetype guard",
  async run(given, io) {
    const cache = cacheNamed(given, io);
    if (!cache.ok) return exit.meaning;
    const body = {
      cache: cache.name,
      archetype: given.text("archetype"),
      prefix: given.text("prefix"),
      reset_stats: given.has("reset-stats"),
      local: given.has("local"),
    };
    const question = { method: "POST" as const, path: "/api/cache/clear", body, answer: cleared };
    return askAndPrint(given, io, question, clearedText);
  },
};

export const cacheEntries: Command = {
  name: "cache entries",
  about: "List the entries of a cache, the most recently used first",
  options: {
    cache: { ...cacheOption, required: true },
    limit: { value: "N", about: "entries at most, up to 1000; else 100" },
    after: { value: "KEY", about: "go on behind this one" },
    prefix: { value: "TEXT", about: "entries whose key begins so only" },
    ...routerOptions,
    json: jsonOption,
  },
  example: "cache entries --cache intents --prefix guard --limit 20",
  async run(given, io) {
    const cache = cacheNamed(given, io);
    if (!cache.ok) return exit.meaning;
    const query = queryOf(given, { cache: "cache", limit: "limit", after: "after", prefix: "prefix" });
    const question = { method: "GET" as const, path: `/api/cache/entries?${query}`, answer: page };
    return askAndPrint(given, io, question, pageTable);
  },
};

const numberOf = (text: string): number | undefined =>
  /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
const number = { read: numberOf, expects: "a number" };

/** What `cache config` can change, with the API's names but for the dashes. How much is too much, the router knows. */
const changes: Readonly<
  Record<string, { readonly read: (text: string) => unknown; readonly expects: string }>
> = {
  "max-entries": number,
  "max-memory-mb": number,
  "ttl-seconds": number,
  enabled: {
    read: (text) => (text === "true" ? true : text === "false" ? false : undefined),
    expects: "true or false",
  },
};

type NamedCache = { readonly ok: true; readonly name: CacheName | undefined } | { readonly ok: false };

function cacheNamed(given: Given, io: Io): NamedCache {
  const written = given.text("cache");
  const name = cacheNames.find((known) => known === written);
  if (written === undefined || name !== undefined) return { ok: true, name };
  io.err(`There is no cache ${JSON.stringify(written)}; there are ${cacheNames.join(" and ")}.\n`);
  return { ok: false };
}
