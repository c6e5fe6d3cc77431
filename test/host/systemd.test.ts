// What systemd would receive, on a real datagram socket.

import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createNotifier } from "../../src/host/systemd.ts";
import type { DatagramSocket } from "../support/datagram-socket.ts";
import { datagramSocket } from "../support/datagram-socket.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const dir = mkdtempSync(join(tmpdir(), "tierline-notify-"));
const open: DatagramSocket[] = [];
let count = 0;

afterEach(() => {
  for (const socket of open.splice(0)) socket.close();
});
process.on("exit", () => rmSync(dir, { recursive: true, force: true }));

function listening(kind: "path" | "abstract" = "path"): { name: string; socket: DatagramSocket } {
  count += 1;
  const name = kind === "path" ? join(dir, `${count}.sock`) : `@tierline-test-${process.pid}-${count}`;
  const socket = datagramSocket(name);
  open.push(socket);
  return { name, socket };
}

for (const kind of ["path", "abstract"] as const) {
  test(`the notifier reaches a socket with a ${kind} name`, () => {
    const { name, socket } = listening(kind);
    createNotifier({ NOTIFY_SOCKET: name }, virtualClock()).ready("ready, 2 engines");
    expect(socket.received()).toEqual(["READY=1\nSTATUS=ready, 2 engines"]);
  });
}

test("the notifier says each change of state in systemd's words", () => {
  const { name, socket } = listening();
  const notifier = createNotifier({ NOTIFY_SOCKET: name }, virtualClock());
  notifier.status("serving");
  notifier.stopping("draining");
  notifier.extendTimeout(10_000.5);
  expect(socket.received()).toEqual([
    "STATUS=serving",
    "STOPPING=1\nSTATUS=draining",
    "EXTEND_TIMEOUT_USEC=10000500",
  ]);
});

test("a status of two lines stays one assignment", () => {
  const { name, socket } = listening();
  createNotifier({ NOTIFY_SOCKET: name }, virtualClock()).status("a\nREADY=1");
  expect(socket.received()).toEqual(["STATUS=a READY=1"]);
});

test("a reload carries the machine's monotonic clock, which never runs behind the uptime", async () => {
  const { name, socket } = listening();
  const before = await uptimeUs();
  createNotifier({ NOTIFY_SOCKET: name }, virtualClock()).reloading();
  const [message = ""] = socket.received();
  const stamp = Number(/^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(message)?.[1]);
  // Uptime counts suspended time too, and containers may have a clock of their own; a second is plenty of slack.
  expect(Math.abs(stamp - before)).toBeLessThan(1_000_000);
});

test("a notifier does nothing without a socket, with one that nobody reads, and with a kind it does not know", () => {
  for (const NOTIFY_SOCKET of [undefined, "", join(dir, "gone.sock"), "@gone", "vsock:2:1234"]) {
    const notifier = createNotifier({ NOTIFY_SOCKET }, virtualClock());
    expect(() => notifier.ready("x")).not.toThrow();
  }
});

test("a status is dropped rather than waited for when the reader's queue is full", () => {
  const { name, socket } = listening();
  const notifier = createNotifier({ NOTIFY_SOCKET: name }, virtualClock());
  for (let index = 0; index < 10_000; index += 1) notifier.status(`${index}`);
  expect(socket.received().length).toBeLessThan(10_000);
});

describe("the watchdog", () => {
  test("is fed at once and then twice in each interval, until it is stopped", async () => {
    const { name, socket } = listening();
    const clock = virtualClock();
    const stop = createNotifier({ NOTIFY_SOCKET: name, WATCHDOG_USEC: "10000000" }, clock).startWatchdog();
    expect(socket.received()).toEqual(["WATCHDOG=1"]);
    await clock.advance(4_999);
    expect(socket.received()).toEqual([]);
    await clock.advance(1);
    expect(socket.received()).toEqual(["WATCHDOG=1"]);
    await clock.advance(15_000);
    expect(socket.received()).toHaveLength(3);
    stop();
    expect(clock.pending()).toBe(0);
  });

  test("is fed when it is meant for this process, and not when for another", () => {
    const { name, socket } = listening();
    const start = (pid: number): void => {
      const env = { NOTIFY_SOCKET: name, WATCHDOG_USEC: "10000000", WATCHDOG_PID: `${pid}` };
      createNotifier(env, virtualClock()).startWatchdog();
    };
    start(process.pid + 1);
    expect(socket.received()).toEqual([]);
    start(process.pid);
    expect(socket.received()).toEqual(["WATCHDOG=1"]);
  });

  test("is left alone where the unit has none, or nonsense", () => {
    const { name, socket } = listening();
    for (const WATCHDOG_USEC of [undefined, "", "0", "-5", "soon"]) {
      const clock = virtualClock();
      createNotifier({ NOTIFY_SOCKET: name, WATCHDOG_USEC }, clock).startWatchdog();
      expect(clock.pending()).toBe(0);
    }
    expect(socket.received()).toEqual([]);
  });
});

async function uptimeUs(): Promise<number> {
  return Number.parseFloat(await Bun.file("/proc/uptime").text()) * 1_000_000;
}

test("the watchdog is fed by a process that has no descriptor left", () => {
  const { name, socket } = listening();
  const file = join(dir, "exhausted.ts");
  writeFileSync(
    file,
    `import { openSync } from "node:fs";
    import { systemClock } from ${JSON.stringify(join(import.meta.dir, "../../src/base/clock.ts"))};
    import { createNotifier } from ${JSON.stringify(join(import.meta.dir, "../../src/host/systemd.ts"))};
    const notifier = createNotifier(process.env, systemClock);
    notifier.ready("ready");
    try { for (;;) openSync("/dev/null", "r"); } catch {}
    notifier.startWatchdog()();`,
  );
  const env = { PATH: process.env["PATH"] ?? "", NOTIFY_SOCKET: name, WATCHDOG_USEC: "10000000" };
  Bun.spawnSync(["sh", "-c", 'ulimit -n 200 && exec "$@"', "sh", process.execPath, file], { env });
  expect(socket.received()).toEqual(["READY=1\nSTATUS=ready", "WATCHDOG=1"]);
});
