// The router as a process: starts it, lets it be reloaded and drained, and ends it. Introductions are in assemble.ts.

import { readFileSync } from "node:fs";
import { assemble } from "./assemble.ts";
import { systemClock } from "./base/clock.ts";
import { systemRandom } from "./base/random.ts";
import { buildInfo } from "./build-info.ts";
import { addressText } from "./config/address.ts";
import type { Config } from "./config/config.ts";
import type { ConfigFlags, Environment } from "./config/layers.ts";
import { loadConfig } from "./config/load.ts";
import { printConfigErrors, printConfigWarnings, problemText } from "./config/problem.ts";
import { adminUrlFile, openStateDir } from "./host/state-dir.ts";
import { createNotifier } from "./host/systemd.ts";
import { createAdminApp } from "./http/admin.ts";
import type { Listener } from "./http/listen.ts";
import { listen } from "./http/listen.ts";
import { createPublicApp } from "./http/public.ts";
import { createSnapshots } from "./snapshots.ts";
import { createLog } from "./telemetry/log.ts";

export interface ServeOptions {
  readonly configPath?: string;
  readonly flags: ConfigFlags;
  readonly env: Environment;
}

const appRule = {
  /** How long readiness waits for engines to say what they serve; one that is down must not hold it up. */
  acquaintMs: 300,
  statusEveryMs: 5000,
  /** What systemd is asked for beyond the drain's own deadline. */
  drainMarginMs: 2000,
  /** Of the drain deadline, kept for saving the caches: twice what the slowest disk needs. At most half of it. */
  saveMs: 2000,
  /** Time for the last error events to leave before connections are closed. */
  cutGraceMs: 200,
  /** How long idle connections may close by themselves before they are closed. */
  closeGraceMs: 100,
} as const;

const exitConfig = 78;

const say = (text: string): void => void process.stderr.write(text);

/** Runs until it is told to end. Resolves to the exit code. */
export async function serve({ configPath, flags, env }: ServeOptions): Promise<number> {
  // A reload that is asked for while the router starts is done when it has started; without a handler it would end it.
  let reload = (): void => {
    reloadDue = true;
  };
  let reloadDue = false;
  process.on("SIGHUP", () => reload());
  const load = () =>
    loadConfig({ path: configPath, env, flags, readFile: (file) => readFileSync(file, "utf8") });
  const first = load();
  if (!first.ok) {
    printConfigErrors(first.errors, say);
    return exitConfig;
  }
  printConfigWarnings(first.warnings, say);
  let config = first.config;

  const opened = openStateDir(config.state.dir);
  if (!opened.ok) {
    say(`${opened.message}\n`);
    return 1;
  }
  const { state } = opened;
  const { log, flush } = createLog(config.log.level);
  const notifier = createNotifier(env, systemClock);
  const router = assemble(first, {
    clock: systemClock,
    random: systemRandom,
    log,
    build: buildInfo,
    onCacheCleared: (cache) => snapshots.forget(cache),
  });
  const snapshots = createSnapshots({ state, clock: systemClock, log, caches: router.savedCaches });
  const { door } = router;
  const { lifecycle } = door;

  const listeners: Listener[] = [];
  const open = (which: "public" | "admin"): Listener | undefined => {
    const { host, port } = config.listen[which];
    const app = which === "public" ? createPublicApp(door) : createAdminApp(door);
    const tls = which === "public" ? config.tls : undefined;
    try {
      const listener = listen(app, { hostname: host, port, tls }, log);
      listeners.push(listener);
      return listener;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      say(`${cannotListen(which, addressText(config.listen[which]), error)}\n`);
      return undefined;
    }
  };
  const close = async (): Promise<void> => {
    // First, so that whoever still waits for an intent gets the default while there is a connection to read it from.
    router.stop();
    // The last answers are on their way out; a stop at once would cut them.
    const gracefully = Promise.all(listeners.map((listener) => listener.stop(false)));
    const grace = new Promise<void>((resolve) => systemClock.after(appRule.closeGraceMs, resolve));
    await Promise.race([gracefully, grace]);
    await Promise.all(listeners.map((listener) => listener.stop(true)));
    state.remove(adminUrlFile);
    state.close();
    flush();
  };

  const adminListener = open("admin");
  const publicListener = adminListener && open("public");
  if (adminListener === undefined || publicListener === undefined) {
    await close();
    return 1;
  }

  // From here on a signal is a wish, not an accident.
  const ended = Promise.withResolvers<number>();
  const saving = new AbortController();
  const end = (signal: string): void => {
    if (lifecycle.ending) {
      log.warn({ signal }, "told a second time: ending at once");
      saving.abort();
      ended.resolve(1);
      return;
    }
    drain(signal).then(ended.resolve, ended.reject);
  };

  const drain = async (signal: string): Promise<number> => {
    const { deadlineMs } = config.drain;
    lifecycle.end();
    log.info({ signal, inflight: lifecycle.active, deadline_ms: deadlineMs }, "draining");
    notifier.stopping(`draining, ${lifecycle.active} in flight`);
    notifier.extendTimeout(deadlineMs + appRule.drainMarginMs);
    const late = Promise.withResolvers<"late">();
    const timeToSave = Promise.withResolvers<void>();
    const stopTimers = [
      systemClock.after(deadlineMs - Math.min(appRule.saveMs, deadlineMs / 2), timeToSave.resolve),
      systemClock.after(deadlineMs, () => late.resolve("late")),
    ];
    const idle = lifecycle.idle();
    // What is in flight may add to the caches, but must not take the time that saving them needs.
    await Promise.race([idle, timeToSave.promise]);
    const saved = snapshots
      .save(saving.signal)
      .catch((error: unknown) => log.error({ err: error }, "not saved"));
    const which = await Promise.race([Promise.all([idle, saved]), late.promise]);
    for (const stop of stopTimers) stop();
    saving.abort();
    if (which !== "late" || lifecycle.active === 0) return 0;
    const cut = lifecycle.cutAll();
    log.warn({ cut }, "the drain deadline has passed: what was left has been cut");
    await new Promise<void>((resolve) => systemClock.after(appRule.cutGraceMs, resolve));
    return 1;
  };

  reload = () => {
    notifier.reloading();
    const next = load();
    const errors = next.ok ? needsRestart(config, next.config) : next.errors.map(problemText);
    if (!next.ok || errors.length > 0) {
      log.error({ errors }, "reload rejected, kept old config");
    } else {
      for (const warning of next.warnings) log.warn(problemText(warning));
      config = next.config;
      log.level = config.log.level;
      router.reconfigure(next);
      log.info({ file: next.file }, "reloaded");
    }
    notifier.ready(statusText());
  };

  const statusText = (): string =>
    `${lifecycle.phase}, ${lifecycle.active} in flight, ${door.fleet.endpoints.length} engines`;

  process.on("SIGTERM", () => end("SIGTERM"));
  process.on("SIGINT", () => end("SIGINT"));
  // One request's bug must not be every player's outage; it is logged with its stack and counted as ours.
  process.on("uncaughtException", (error) => log.error({ err: error }, "uncaught exception"));
  process.on("unhandledRejection", (reason) => log.error({ err: reason }, "unhandled rejection"));

  await router.acquainted(appRule.acquaintMs);
  if (!lifecycle.ending) lifecycle.enter("ready");
  const left = await state.writeFile(adminUrlFile, `${adminListener.url}\n`);
  if (!left.ok) log.warn({ reason: left.message }, "the CLI will need --admin to find this router");
  flush();
  const ready = { msg: "ready", public: publicListener.url, admin: adminListener.url, gossip: null };
  process.stdout.write(
    `${JSON.stringify({ level: "info", time: new Date().toISOString(), ...ready, ...versionOf() })}\n`,
  );
  notifier.ready(statusText());
  if (reloadDue) reload();
  // After this host serves: nobody waits for what it remembers.
  if (!lifecycle.ending) void snapshots.load();
  const stopWatchdog = notifier.startWatchdog();
  const status = setInterval(() => notifier.status(statusText()), appRule.statusEveryMs);

  const code = await ended.promise;
  clearInterval(status);
  stopWatchdog();
  await close();
  return code;
}

const versionOf = () => ({ version: buildInfo.version, revision: buildInfo.revision, pid: process.pid });

/** What a running process cannot change about itself. */
function needsRestart(old: Config, next: Config): string[] {
  const fixed: [string, (config: Config) => string][] = [
    ["host.name", ({ host }) => host.name],
    ["listen.public", ({ listen: { public: address } }) => addressText(address)],
    ["listen.admin", ({ listen: { admin } }) => addressText(admin)],
    ["state.dir", ({ state }) => state.dir],
    ["tls", ({ tls }) => JSON.stringify(tls ?? null)],
  ];
  return fixed
    .filter(([, read]) => read(old) !== read(next))
    .map(
      ([name]) => `${name} has changed, which needs a restart; nothing of the new configuration is in force.`,
    );
}

function cannotListen(which: string, address: string, error: Error): string {
  const inUse = "code" in error && error.code === "EADDRINUSE";
  const why = inUse ? "another process listens there" : error.message;
  return `Cannot listen on ${address} (listen.${which}): ${why}. Stop the other process or set listen.${which} to a free address.`;
}
