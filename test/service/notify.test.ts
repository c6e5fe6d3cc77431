// The compiled binary as a systemd service: what it tells, and that it keeps its state directory to itself.

import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DatagramSocket } from "../support/datagram-socket.ts";
import { datagramSocket } from "../support/datagram-socket.ts";
import type { Tierline } from "../support/tierline.ts";
import { startTierline } from "../support/tierline.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function service(env: Record<string, string> = {}): Promise<{ router: Tierline; told: Told }> {
  const dir = mkdtempSync(join(tmpdir(), "tierline-service-"));
  const name = join(dir, "notify.sock");
  const socket = datagramSocket(name);
  cleanups.push(() => {
    socket.close();
    rmSync(dir, { recursive: true });
  });
  const router = await startTierline({ env: { NOTIFY_SOCKET: name, ...env } });
  cleanups.push(() => router.stop());
  return { router, told: telling(socket) };
}

/** Resolves with the first message, from the start on, that fits. */
type Told = (fits: RegExp) => Promise<string>;

function telling(socket: DatagramSocket): Told {
  const messages: string[] = [];
  return async (fits) => {
    for (const until = Date.now() + 5000; Date.now() < until; await Bun.sleep(5)) {
      messages.push(...socket.received());
      const index = messages.findIndex((message) => fits.test(message));
      const [found] = index < 0 ? [] : messages.splice(index, 1);
      if (found !== undefined) return found;
    }
    throw new Error(`nothing like ${fits} among ${JSON.stringify(messages)}`);
  };
}

test("a service says that it is ready, reloading, ready again and stopping, and ends with 0", async () => {
  const { router, told } = await service();
  await told(/^READY=1\nSTATUS=ready, /);
  router.signal("SIGHUP");
  await told(/^RELOADING=1\nMONOTONIC_USEC=\d+$/);
  await told(/^READY=1\n/);
  router.signal("SIGTERM");
  await told(/^STOPPING=1\nSTATUS=draining/);
  await told(/^EXTEND_TIMEOUT_USEC=\d+$/);
  expect(await router.exited).toBe(0);
});

test("a service feeds its watchdog every half of WATCHDOG_USEC", async () => {
  const { told } = await service({ WATCHDOG_USEC: "100000" });
  await told(/^WATCHDOG=1$/);
  const start = Date.now();
  for (let times = 0; times < 4; times += 1) await told(/^WATCHDOG=1$/);
  // The fourth after the first comes after 200 ms; systemd would end the service at 100 ms without one.
  expect(Date.now() - start).toBeLessThan(400);
});

test("a second router on one state.dir is refused with the first one's process, and the first goes on", async () => {
  const first = await startTierline();
  cleanups.push(() => first.stop());
  const second = Bun.spawn([join(import.meta.dir, "../../dist/tierline"), "serve"], {
    cwd: first.dir,
    env: {
      TIERLINE_CONFIG: join(first.dir, "tierline.toml"),
    },
    stdout: "pipe",
    stderr: "pipe",
  });
  expect(await second.exited).toBe(1);
  expect(await second.stderr.text()).toContain(
    `Another router (process ${first.pid}) already uses the state.dir `,
  );
  expect(await second.stdout.text()).toBe("");
  expect((await fetch(`${first.url}/readyz`)).status).toBe(200);
});

test("a running router leaves its admin address in state.dir, and takes it away when it ends", async () => {
  const router = await startTierline();
  cleanups.push(() => router.stop());
  const file = join(router.dir, "state", "admin.url");
  expect(readFileSync(file, "utf8")).toBe(`${router.adminUrl}\n`);
  router.signal("SIGTERM");
  expect(await router.exited).toBe(0);
  expect(existsSync(file)).toBe(false);
});
