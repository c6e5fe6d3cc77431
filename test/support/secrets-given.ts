// The secrets that a router was given, by files and by its environment, and whether any text holds one of them. Every
// router that the tests start is looked through by it when it stops: no secret may stand in what it has printed.

import { readFileSync } from "node:fs";

/** Shorter ones would be found in ordinary words. */
const shortest = 4;

const fileNames = /^\s*(?:keys_file|admin_token_file|api_key_file|secret_file|key_file)\s*=\s*"([^"]+)"/gm;
const variables = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

export function secretsGiven(config: string, env: Readonly<Record<string, string>>): string[] {
  const fromFiles = [...config.matchAll(fileNames)].flatMap(([, file = ""]) => secretsIn(textOf(file)));
  const fromEnv = variables.map((name) => env[name] ?? "");
  return [...new Set([...fromFiles, ...fromEnv])].filter((secret) => secret.length >= shortest);
}

/** Those of them that the text holds, shortened so that a failed test does not print them either. */
export function leaksIn(text: string, secrets: Iterable<string>): string[] {
  return [...secrets].filter((secret) => text.includes(secret)).map((secret) => `${secret.slice(0, 2)}…`);
}

/** A test may name a file that is not there, or is a folder. */
function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** Lines of keys are `name:key`; of PEM every line but its frame is secret; a token or a fleet's secret is its line. */
function secretsIn(text: string): string[] {
  const lines = text.split("\n").map((line) => line.trim());
  const bare = lines.filter((line) => line !== "" && !line.startsWith("#") && !line.startsWith("-----"));
  return bare.map((line) => /^[A-Za-z0-9._-]{1,64}:(.+)$/.exec(line)?.[1] ?? line);
}
