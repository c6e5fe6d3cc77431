// Tells systemd how the service is: sd_notify's datagrams, and the watchdog fed from the event loop.
// Outside a `Type=notify` unit every call does nothing.

import { ptr } from "bun:ffi";
import type { Clock } from "../base/clock.ts";
import { libc } from "./libc.ts";

export interface Notifier {
  /** Accepting requests; also the end of a reload. */
  ready(status: string): void;
  /** The line that `systemctl status` shows. */
  status(text: string): void;
  reloading(): void;
  stopping(status: string): void;
  /** Asks for `ms` more, counted from now, before systemd kills what has not ended. */
  extendTimeout(ms: number): void;
  /** Feeds the watchdog, where the unit has one, until the returned function is called. */
  startWatchdog(): () => void;
}

/** What systemd puts into the environment: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID. */
export type NotifyEnvironment = Readonly<Record<string, string | undefined>>;

/** `wait`: for room in the queue of the receiver. */
type Send = (state: string, wait: boolean) => void;

const CLOCK_MONOTONIC = 1;
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const MSG_DONTWAIT = 0x40;

export function createNotifier(env: NotifyEnvironment, clock: Clock): Notifier {
  const send = sender(env["NOTIFY_SOCKET"]);
  const watchdogMs = watchdogIntervalMs(env);
  return {
    ready: (status) => send(`READY=1\nSTATUS=${oneLine(status)}`, true),
    status: (text) => send(`STATUS=${oneLine(text)}`, false),
    reloading: () => send(`RELOADING=1\nMONOTONIC_USEC=${monotonicUs()}`, true),
    stopping: (status) => send(`STOPPING=1\nSTATUS=${oneLine(status)}`, true),
    extendTimeout: (ms) => send(`EXTEND_TIMEOUT_USEC=${Math.ceil(ms * 1000)}`, true),
    startWatchdog() {
      if (watchdogMs === undefined) return () => {};
      let cancelTimer = (): void => {};
      const feed = (): void => {
        send("WATCHDOG=1", false);
        cancelTimer = clock.after(watchdogMs, feed);
      };
      feed();
      return () => cancelTimer();
    },
  };
}

/** Half of what systemd allows; undefined without a watchdog, or with one that is meant for another process. */
function watchdogIntervalMs(env: NotifyEnvironment): number | undefined {
  const allowedUs = Number(env["WATCHDOG_USEC"]);
  const pid = env["WATCHDOG_PID"];
  if (!(Number.isFinite(allowedUs) && allowedUs > 0)) return undefined;
  return pid === undefined || Number(pid) === process.pid ? allowedUs / 2000 : undefined;
}

/** A second line would be a second assignment. */
const oneLine = (text: string): string => text.replaceAll("\n", " ");

function sender(target: string | undefined): Send {
  // A path or, after "@", a name in the abstract namespace. What else exists (vsock) is for virtual machines.
  const known = target !== undefined && (target.startsWith("/") || target.startsWith("@"));
  const c = known ? libc() : undefined;
  if (!known || c === undefined) return () => {};
  const address = unixAddress(target);
  let fd = -1;
  return (state, wait) => {
    const message = Buffer.from(state);
    // Kept: a router without a free descriptor must not miss its watchdog.
    if (fd < 0) fd = c.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    // A lost line costs nothing; a lost change of state would leave systemd waiting.
    const flags = wait ? MSG_NOSIGNAL : MSG_NOSIGNAL | MSG_DONTWAIT;
    c.sendto(fd, ptr(message), message.length, flags, ptr(address), address.length);
  };
}

/** The machine's CLOCK_MONOTONIC, with which systemd compares; Bun's own clocks count from the start of the process. */
function monotonicUs(): bigint {
  const time = Buffer.alloc(16);
  libc()?.clock_gettime(CLOCK_MONOTONIC, ptr(time));
  return time.readBigInt64LE(0) * 1_000_000n + time.readBigInt64LE(8) / 1000n;
}

/** A sockaddr_un. An abstract name begins with NUL and is as long as it is; a path ends with NUL. */
function unixAddress(target: string): Buffer {
  const name = Buffer.from(target.startsWith("@") ? `\0${target.slice(1)}` : `${target}\0`);
  const address = Buffer.alloc(2 + name.length);
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  return address;
}
