// Runs the compiled binary as a process, for tests that look at it from outside.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linesOf } from "../../playground/dev/decoded.ts";
import { leaksIn, secretsGiven } from "./secrets-given.ts";

export const binary = join(import.meta.dir, "../../dist/tierline");

export interface Tierline {
  /** Of the public listener: scheme, host and port. */
  readonly url: string;
  readonly adminUrl: string;
  readonly pid: number;
  readonly dir: string;
  /** Everything it has logged so far, a parsed line each. */
  readonly log: readonly LogLine[];
  readonly stderr: () => string;
  /** Resolves when a log line fits; rejects after `timeoutMs`. */
  logged(fits: (line: LogLine) => boolean, timeoutMs?: number): Promise<LogLine>;
  /** One figure of /metrics: the sum over all series whose labels contain all of `labels`. */
  metric(name: string, labels?: Record<string, string>): Promise<number>;
  writeConfig(config: string): void;
  /** SIGHUP, with another configuration where one is given; resolves when it is in force. */
  reload(config?: string): Promise<void>;
  signal(name: NodeJS.Signals): void;
  readonly exited: Promise<number>;
  stop(): Promise<number>;
}

export type LogLine = Readonly<Record<string, unknown>>;

export interface TierlineOptions {
  /** Everything but `[listen]`, `[state]` and `[host]`, which are made here. */
  readonly config?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly name?: string;
  /** The lines of `[listen]`. */
  readonly listen?: string;
  /** Where its state and its configuration are; it stays after `stop`, for the next start. */
  readonly dir?: string;
  /** What the command is put behind, such as `ip netns exec NAME`. */
  readonly behind?: readonly string[];
  /** How a test reaches the listeners. */
  readonly reach?: Reach;
}

export type Reach = (url: string, init?: RequestInit) => Promise<Response>;

const freePorts = `public = "127.0.0.1:0"
admin = "127.0.0.1:0"`;

/** A host called `gold-1` on free loopback ports, where nothing else is asked for. */
export async function startTierline({
  config = "",
  env = {},
  name = "gold-1",
  listen = freePorts,
  dir: givenDir,
  behind = [],
  reach = fetch,
}: TierlineOptions = {}): Promise<Tierline> {
  if (!existsSync(binary)) throw new Error("dist/tierline is missing: bun run build");
  const dir = givenDir ?? mkdtempSync(join(tmpdir(), "tierline-test-"));
  const file = join(dir, "tierline.toml");
  const secrets = new Set<string>();
  let written = "";
  /** Again at the end, for a test may have changed the files that hold them. */
  const learnSecrets = (): void => {
    for (const secret of secretsGiven(written, env)) secrets.add(secret);
  };
  const writeConfig = (text: string): void => {
    written = head(name, listen, dir) + text;
    writeFileSync(file, written);
    learnSecrets();
  };
  writeConfig(config);

  const child = Bun.spawn([...behind, binary, "serve", "--config", file], {
    cwd: dir,
    // Whoever is asked who this machine is, the tests have named it.
    env: { PATH: process.env["PATH"] ?? "", AWS_EC2_METADATA_DISABLED: "true", ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
  const log: LogLine[] = [];
  let stderr = "";
  let changed = Promise.withResolvers<void>();
  const grew = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const reading = (async () => {
    for await (const line of linesOf(child.stdout)) {
      log.push(parseLine(line));
      grew();
    }
  })();
  const complaining = (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of child.stderr) stderr += decoder.decode(bytes, { stream: true });
  })();
  const exited = child.exited.then(async (code) => {
    await Promise.all([reading, complaining]);
    grew();
    return code;
  });

  const logged = async (fits: (line: LogLine) => boolean, timeoutMs = 10_000): Promise<LogLine> => {
    const late = Bun.sleep(timeoutMs).then(() => "late" as const);
    for (;;) {
      const found = log.find(fits);
      if (found !== undefined) return found;
      const what = await Promise.race([changed.promise, late, exited]);
      const again = log.find(fits);
      if (again !== undefined) return again;
      if (what !== undefined) {
        throw new Error(
          `no such log line (${what}). stderr: ${stderr}\nlog: ${JSON.stringify(log.slice(-5))}`,
        );
      }
    }
  };

  const ready = await logged((line) => line["msg"] === "ready");
  const url = String(ready["public"]);
  const adminUrl = String(ready["admin"]);
  return {
    url,
    adminUrl,
    pid: child.pid,
    dir,
    log,
    stderr: () => stderr,
    logged,
    async metric(name, labels = {}) {
      const text = await (await reach(`${adminUrl}/metrics`)).text();
      const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
      let sum = 0;
      for (const line of text.split("\n")) {
        const series = line.slice(0, line.lastIndexOf(" "));
        const fits = series === name || series.startsWith(`${name}{`);
        if (fits && wanted.every((label) => series.includes(label)))
          sum += Number(line.slice(series.length + 1));
      }
      return sum;
    },
    writeConfig,
    async reload(text) {
      const before = log.length;
      if (text !== undefined) writeConfig(text);
      child.kill("SIGHUP");
      await logged((line) => line["msg"] === "reloaded" && log.indexOf(line) >= before);
    },
    signal: (name) => child.kill(name),
    exited,
    async stop() {
      child.kill("SIGTERM");
      const code = await exited;
      learnSecrets();
      const leaks = leaksIn(JSON.stringify(log) + stderr, secrets);
      if (leaks.length > 0) throw new Error(`the router has printed secrets: ${leaks.join(", ")}`);
      if (givenDir === undefined) rmSync(dir, { recursive: true, force: true });
      return code;
    },
  };
}

function head(name: string, listen: string, dir: string): string {
  return `[host]
name = "${name}"
[listen]
${listen}
[state]
dir = ${JSON.stringify(join(dir, "state"))}
`;
}

function parseLine(line: string): LogLine {
  const parsed: unknown = JSON.parse(line);
  return typeof parsed === "object" && parsed !== null ? Object.fromEntries(Object.entries(parsed)) : {};
}

/** `[[engine]]` for a simulated engine. */
export function engineToml(tier: "gold" | "silver", url: string, more = "", kind = "vllm"): string {
  return `[[engine]]\ntier = "${tier}"\nkind = "${kind}"\nurl = "${url}"\n${more}\n`;
}
