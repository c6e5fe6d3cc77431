// Two thousand callers who do not read what they asked for, behind the compiled binary, in a network with small buffers,
// so that what the router holds is not hidden in the kernel.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { measured } from "../support/measured.ts";
import { createNet, needsNet } from "../support/netns.ts";
import type { SlowReaders } from "../support/slow-readers.ts";

const hasNet = needsNet();
const kilobyte = 1024;

async function slowReaders(
  readers: number,
  kind: "stream" | "whole",
): Promise<SlowReaders & { each: number }> {
  const net = createNet(["router"], []);
  try {
    const { behind } = net.place("router");
    for (const buffers of ["tcp_wmem", "tcp_rmem"])
      Bun.spawnSync([...behind, "sysctl", "-qw", `net.ipv4.${buffers}=4096 8192 16384`]);
    const script = join(import.meta.dir, "../support/slow-readers.ts");
    const child = Bun.spawn([...behind, process.execPath, script, `${readers}`, kind], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, errors, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (code !== 0) throw new Error(errors);
    const told: SlowReaders = JSON.parse(out);
    return { ...told, each: (told.bytesStalled - told.bytesBefore) / readers };
  } finally {
    net.stop();
  }
}

function expectTheRestUnharmed(told: SlowReaders): void {
  expect(told).toMatchObject({ enginesBusy: 0, inflight: 0, timedOut: told.readers, failed: 0 });
  // Ten seconds, and some for the buffers and for the machine.
  expect(told.cutAfterMs).toBeWithin(10_000, 20_000);
  expect(told.p99MeanwhileMs).toBeLessThan(Math.max(5 * told.p99BeforeMs, 300));
}

describe("callers who do not read", () => {
  test.skipIf(!hasNet)(
    "2,000 of streams take at most 64 kB each in the process, are cut and their engines freed after 10 s, and others do not notice (fault 30)",
    async () => {
      let told = await slowReaders(2000, "stream");
      // What is resident depends on when the garbage was last collected.
      if (told.each > 64 * kilobyte) told = await slowReaders(2000, "stream");
      expect(told.each).toBeLessThanOrEqual(64 * kilobyte);
      expectTheRestUnharmed(told);
      measured(
        30,
        `2,000 unread streams took ${Math.round(told.each / kilobyte)} KiB each; all were cut and their engines free after ${(told.cutAfterMs / 1000).toFixed(1)} s; p99 of others ${told.p99BeforeMs.toFixed(0)} ms before, ${told.p99MeanwhileMs.toFixed(0)} ms meanwhile`,
      );
    },
    90_000,
  );

  test.skipIf(!hasNet)(
    "whole answers of 64 MB are held to well under a megabyte each, and cut as streams are (fault 30)",
    async () => {
      const told = await slowReaders(200, "whole");
      expect(told.each).toBeLessThanOrEqual(640 * kilobyte);
      expectTheRestUnharmed(told);
      measured(30, `200 unread whole answers of 64 MB took ${Math.round(told.each / kilobyte)} KiB each`);
    },
    60_000,
  );
});
