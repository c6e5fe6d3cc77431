// The listeners of the process: opened in one order, closed together. What answers on them is made elsewhere.

import type { Address } from "./base/address.ts";
import { addressText } from "./base/address.ts";
import type { Clock } from "./base/clock.ts";
import type { Config } from "./config/config.ts";
import type { App, Listener } from "./http/listen.ts";
import { listen } from "./http/listen.ts";
import type { Log } from "./telemetry/log.ts";

/** How long idle connections may close by themselves before they are closed. */
const closeGraceMs = 100;

export interface Listeners {
  readonly admin: Listener;
  /** Undefined: this router is in no fleet. */
  readonly gossip: Listener | undefined;
  readonly public: Listener;
  close(): Promise<void>;
}

export interface ListenerApps {
  readonly admin: App;
  readonly gossip: App | undefined;
  readonly public: App;
}

export type Opened =
  | { readonly ok: true; readonly listeners: Listeners }
  /** One of them could not; those before it are closed again. */
  | { readonly ok: false; readonly message: string };

/** The public one last: who finds it open finds the others so. */
export async function openListeners(
  apps: ListenerApps,
  { listen: addresses, tls }: Pick<Config, "listen" | "tls">,
  clock: Clock,
  log: Log,
): Promise<Opened> {
  const open: Listener[] = [];
  const close = async (): Promise<void> => {
    // The last answers are on their way out; a stop at once would cut them.
    const gracefully = Promise.all(open.map((listener) => listener.stop(false)));
    const grace = new Promise<void>((resolve) => clock.after(closeGraceMs, resolve));
    await Promise.race([gracefully, grace]);
    await Promise.all(open.map((listener) => listener.stop(true)));
  };
  let trying = { which: "", address: addresses.admin };
  const openAs = (which: keyof ListenerApps, app: App, address: Address): Listener => {
    trying = { which, address };
    const { host: hostname, port } = address;
    const listener = listen(app, { hostname, port, tls: which === "public" ? tls : undefined }, log);
    open.push(listener);
    return listener;
  };
  try {
    const admin = openAs("admin", apps.admin, addresses.admin);
    const gossip = apps.gossip && addresses.gossip && openAs("gossip", apps.gossip, addresses.gossip);
    const listeners = { admin, gossip, public: openAs("public", apps.public, addresses.public), close };
    return { ok: true, listeners };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    await close();
    return { ok: false, message: cannotListen(trying.which, addressText(trying.address), error) };
  }
}

function cannotListen(which: string, address: string, error: Error): string {
  const inUse = "code" in error && error.code === "EADDRINUSE";
  const why = inUse ? "another process listens there" : error.message;
  return `Cannot listen on ${address} (listen.${which}): ${why}. Stop the other process or set listen.${which} to a free address.`;
}
