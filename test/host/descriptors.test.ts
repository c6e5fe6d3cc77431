// How many file descriptors are open, and how many there may be: of this process, and of one with an older kernel.

import { afterAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { createDescriptors } from "../../src/host/descriptors.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const dir = mkdtempSync(join(tmpdir(), "tierline-fds-"));
afterAll(() => rmSync(dir, { recursive: true }));

const limits = (soft: string): string =>
  `Limit                     Soft Limit           Hard Limit           Units     \nMax open files            ${soft.padEnd(20)} 1048576              files     \n`;

function fakeProc(name: string, soft: string): string {
  const proc = join(dir, name);
  mkdirSync(proc);
  writeFileSync(join(proc, "limits"), limits(soft));
  return proc;
}

describe("descriptors of this process", () => {
  test("are counted as one more when one is opened", () => {
    const descriptors = createDescriptors(systemClock);
    const before = descriptors.open() ?? 0;
    const fd = openSync("/dev/null", "r");
    // An older kernel tells them by a count that is not taken again at once.
    const after = createDescriptors(systemClock).open() ?? 0;
    closeSync(fd);
    expect(after).toBe(before + 1);
    expect(Math.abs(before - readdirSync("/proc/self/fd").length)).toBeLessThan(3);
    expect(descriptors.limit).toBeGreaterThan(0);
  });
});

describe("where the folder does not tell their number, as before Linux 6.2", () => {
  test("they are counted one by one, and anew only after 2 s", async () => {
    const clock = virtualClock();
    const proc = fakeProc("listed", "512");
    // An entry for each of this process's descriptors, and a size of 0.
    symlinkSync("/proc/self/fdinfo", join(proc, "fd"));
    const descriptors = createDescriptors(clock, proc);
    const before = descriptors.open() ?? 0;
    expect(before).toBeGreaterThan(3);
    const fd = openSync("/dev/null", "r");
    expect(descriptors.open()).toBe(before);
    await clock.advance(2000);
    expect(descriptors.open()).toBe(before + 1);
    // Until then what has been closed by the hundred counts no more.
    descriptors.closed(2);
    expect(descriptors.open()).toBe(before - 1);
    closeSync(fd);
  });

  test("all of them are open where there is none left to count them with", () => {
    const proc = fakeProc("exhausted", "200");
    symlinkSync("/proc/self/fdinfo", join(proc, "fd"));
    const script = `
      import { openSync } from "node:fs";
      import { systemClock } from ${JSON.stringify(join(import.meta.dir, "../../src/base/clock.ts"))};
      import { createDescriptors } from ${JSON.stringify(join(import.meta.dir, "../../src/host/descriptors.ts"))};
      const descriptors = createDescriptors(systemClock, ${JSON.stringify(proc)});
      try { for (;;) openSync("/dev/null", "r"); } catch {}
      console.log(descriptors.open());
    `;
    const file = join(dir, "exhaust.ts");
    writeFileSync(file, script);
    const child = Bun.spawnSync(["sh", "-c", 'ulimit -n 200 && exec "$@"', "sh", process.execPath, file]);
    expect(child.stdout.toString()).toBe("200\n");
  });
});

test("no limit is undefined", () => {
  expect(createDescriptors(systemClock, fakeProc("endless", "unlimited")).limit).toBeUndefined();
});

test("without /proc nothing is known", () => {
  const descriptors = createDescriptors(systemClock, join(dir, "nowhere"));
  expect([descriptors.limit, descriptors.open()]).toEqual([undefined, undefined]);
});
