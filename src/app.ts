// The router as a process: starts it, lets it be reloaded, and ends it. Introductions are in assemble.ts.

import { readFileSync } from "node:fs";
import { assemble } from "./assemble.ts";
import { systemClock } from "./base/clock.ts";
import { systemRandom } from "./base/random.ts";
import { buildInfo } from "./build-info.ts";
import { readClusterMemory, writeClusterMemory } from "./cluster-memory.ts";
import { askMachine } from "./config/ask-machine.ts";
import type { ConfigFlags, Environment } from "./config/layers.ts";
import { loadConfig } from "./config/load.ts";
import { needsRestart } from "./config/needs-restart.ts";
import { printConfigErrors, printConfigWarnings, problemText } from "./config/problem.ts";
import { createDrain } from "./drain.ts";
import type { Written } from "./host/state-dir.ts";
import { adminUrlFile, openStateDir } from "./host/state-dir.ts";
import { createNotifier } from "./host/systemd.ts";
import { createAdminApp } from "./http/admin.ts";
import { createPublicApp } from "./http/public.ts";
import type { Listeners } from "./listeners.ts";
import { openListeners } from "./listeners.ts";
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
  /** How long it waits for the fleet, so that the first request finds the models of all; a seed that is down must not hold it up. */
  joinMs: 350,
  statusEveryMs: 5000,
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
  const sources = { path: configPath, env, flags, readFile: (file: string) => readFileSync(file, "utf8") };
  const machine = await askMachine(sources, systemClock);
  const load = () => loadConfig({ ...sources, machine });
  const first = load();
  if (!first.ok) {
    printConfigErrors(first.errors, say);
    return exitConfig;
  }
  printConfigWarnings(first.warnings, say);
  let config = first.config;

  const taken = openStateDir(config.state.dir);
  if (!taken.ok) {
    say(`${taken.message}\n`);
    return 1;
  }
  const { state } = taken;
  const { log, flush } = createLog(config.log.level);
  const notifier = createNotifier(env, systemClock);
  const router = assemble(first, {
    clock: systemClock,
    random: systemRandom,
    log,
    build: buildInfo,
    env,
    onCacheCleared: (cache) => snapshots.forget(cache),
  });
  const snapshots = createSnapshots({ state, clock: systemClock, log, caches: router.savedCaches });
  const { door, cluster } = router;
  const { lifecycle } = door;

  const noteUnwritten = (written: Written): void => {
    if (!written.ok)
      log.warn({ reason: written.message }, "the next start will know the fleet by its seeds alone");
  };
  const close = async (listeners?: Listeners): Promise<void> => {
    // First, so that whoever still waits for an intent gets the default while there is a connection to read it from.
    const stopped = router.stop();
    await listeners?.close();
    await stopped;
    state.remove(adminUrlFile);
    state.close();
    flush();
  };

  const apps = { admin: createAdminApp(door), gossip: cluster?.app, public: createPublicApp(door) };
  const opened = await openListeners(apps, config, systemClock, log);
  if (!opened.ok) {
    say(`${opened.message}\n`);
    await close();
    return 1;
  }
  const { listeners } = opened;
  router.listensAt(listeners.public.url);
  router.hostStrain.watch(listeners.public);
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
      apps.public.reloaded?.();
      log.info({ file: next.file }, "reloaded");
    }
    notifier.ready(statusText());
  };

  const statusText = (): string => {
    const { alive, suspect, dead } = door.cluster.counts();
    const engines = door.fleet.local.length;
    return `${lifecycle.phase}, ${lifecycle.active} in flight, ${engines} engines, ${alive} of ${alive + suspect + dead} hosts`;
  };

  const drain = createDrain({
    lifecycle,
    players: listeners.public,
    snapshots,
    notifier,
    clock: systemClock,
    log,
    deadlineMs: () => config.drain.deadlineMs,
    hasPeers: () => door.fleet.peers.length > 0,
  });
  // From here on a signal is a wish, not an accident.
  process.on("SIGTERM", () => drain.begin("SIGTERM"));
  process.on("SIGINT", () => drain.begin("SIGINT"));
  // One request's bug must not be every player's outage; it is logged with its stack and counted as ours.
  process.on("uncaughtException", (error) => log.error({ err: error }, "uncaught exception"));
  process.on("unhandledRejection", (reason) => log.error({ err: reason }, "unhandled rejection"));

  await router.acquainted(appRule.acquaintMs);
  // By now this host knows what it serves, so that its first word to the others says so.
  if (listeners.gossip !== undefined) {
    cluster?.start({
      gossip: listeners.gossip.url,
      public: listeners.public.url,
      memory: await readClusterMemory(state),
      remember: (memory) => void writeClusterMemory(state, memory).then(noteUnwritten),
    });
  }
  await cluster?.joined(appRule.joinMs);
  if (!lifecycle.ending) lifecycle.enter("ready");
  const left = await state.writeFile(adminUrlFile, `${listeners.admin.url}\n`);
  if (!left.ok) log.warn({ reason: left.message }, "the CLI will need --admin to find this router");
  flush();
  const ready = {
    msg: "ready",
    public: listeners.public.url,
    admin: listeners.admin.url,
    gossip: listeners.gossip?.url ?? null,
  };
  process.stdout.write(
    `${JSON.stringify({ level: "info", time: new Date().toISOString(), ...ready, ...versionOf() })}\n`,
  );
  notifier.ready(statusText());
  if (reloadDue) reload();
  // After this host serves: nobody waits for what it remembers.
  if (!lifecycle.ending) void snapshots.load();
  const stopWatchdog = notifier.startWatchdog();
  const status = setInterval(() => notifier.status(statusText()), appRule.statusEveryMs);

  const code = await drain.ended;
  clearInterval(status);
  stopWatchdog();
  // After the last answer, so that until then nobody takes this host for gone.
  await cluster?.leave();
  await close(listeners);
  return code;
}

const versionOf = () => ({ version: buildInfo.version, revision: buildInfo.revision, pid: process.pid });
