// The one clock that reads real time. Everything else is tested with a virtual one.

import { expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { freePort } from "../support/free-port.ts";

test("the system clock never goes back, and its wall clock is the machine's", () => {
  let last = systemClock.now();
  for (let turn = 0; turn < 1000; turn += 1) {
    const now = systemClock.now();
    expect(now).toBeGreaterThanOrEqual(last);
    last = now;
  }
  expect(Math.abs(systemClock.wallMs() - Date.now())).toBeLessThan(1000);
});

test("the system clock runs an action once, after the delay", async () => {
  const began = systemClock.now();
  const ended = await new Promise<number>((resolve) =>
    systemClock.after(5, () => resolve(systemClock.now())),
  );
  expect(ended - began).toBeGreaterThanOrEqual(4);
});

test("a cancelled action does not run, and may be cancelled twice", async () => {
  let ran = false;
  const cancel = systemClock.after(0, () => {
    ran = true;
  });
  cancel();
  cancel();
  // Set later for as short a time: when it runs, the cancelled one would have.
  await new Promise<void>((resolve) => systemClock.after(1, resolve));
  expect(ran).toBe(false);
});

test("a wait that setTimeout cannot hold does not fire at once", async () => {
  let ran = false;
  const cancel = systemClock.after(2 ** 40, () => {
    ran = true;
  });
  await new Promise<void>((resolve) => systemClock.after(2, resolve));
  cancel();
  expect(ran).toBe(false);
});

test("after a standstill what has arrived meanwhile is heard before who sent it is called late", async () => {
  const heard: string[] = [];
  const peer = `
    Bun.listen({ hostname: "127.0.0.1", port: Number(process.argv[1]), socket: {
      data(socket) { socket.write("here"); } } });
    console.log("ready");`;
  const port = freePort();
  const child = Bun.spawn([process.execPath, "-e", peer, String(port)], { stdout: "pipe" });
  try {
    await child.stdout.getReader().read();
    const { promise: isOver, resolve: over } = Promise.withResolvers<void>();
    await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open(socket) {
          systemClock.after(50, () => {
            heard.push("late");
            over();
          });
          const cancel = systemClock.after(50, () => void heard.push("cancelled"));
          systemClock.after(49, () => queueMicrotask(cancel));
          socket.write("?");
          Bun.sleepSync(250);
        },
        data: () => void heard.push("answer"),
      },
    });
    await isOver;
    expect(heard).toEqual(["answer", "late"]);
  } finally {
    child.kill();
  }
});
