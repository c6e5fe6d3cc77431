// What the process may take by its control group, in both layouts of /sys/fs/cgroup, and what it does take.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { openMemory } from "../../src/host/memory.ts";

const dir = mkdtempSync(join(tmpdir(), "tierline-cgroup-"));
afterAll(() => rmSync(dir, { recursive: true }));

let machines = 0;

/** `groups`: /proc/self/cgroup. `files`: under /sys/fs/cgroup. */
function memoryOn(groups: string, files: Readonly<Record<string, string>>) {
  machines += 1;
  const machine = join(dir, `${machines}`);
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(machine, path)), { recursive: true });
    writeFileSync(join(machine, path), text);
  };
  write("proc/cgroup", groups);
  for (const [path, text] of Object.entries(files)) write(`cgroup/${path}`, text);
  return { ...openMemory(join(machine, "proc"), join(machine, "cgroup")), write };
}

const unit = "system.slice/tierline.service";
const v2 = `0::/${unit}\n`;
const v1 = `12:cpu,cpuacct:/\n4:memory:/${unit}\n0::/\n`;

describe("the limit", () => {
  test.each([
    ["MemoryHigh below MemoryMax", "1782579200\n", "2147483648\n", 1_782_579_200],
    ["MemoryMax alone", "max\n", "2147483648\n", 2_147_483_648],
    ["neither", "max\n", "max\n", undefined],
  ])("of a unit with %s", (_, high, max, limit) => {
    const memory = memoryOn(v2, { [`${unit}/memory.high`]: high, [`${unit}/memory.max`]: max });
    expect(memory.limitBytes()).toBe(limit);
  });

  test("follows a change at run time", () => {
    const memory = memoryOn(v2, { [`${unit}/memory.max`]: "1000000000\n" });
    memory.write(`cgroup/${unit}/memory.max`, "2000000000\n");
    expect(memory.limitBytes()).toBe(2_000_000_000);
  });

  test("of a container, whose group is the root that it sees", () => {
    expect(memoryOn("0::/\n", { "memory.max": "500000000\n" }).limitBytes()).toBe(500_000_000);
    const outside = "4:memory:/docker/3f\n";
    expect(memoryOn(outside, { "memory/memory.limit_in_bytes": "600000000\n" }).limitBytes()).toBe(
      600_000_000,
    );
  });

  test("of the first version, where its largest number is none", () => {
    const file = `memory/${unit}/memory.limit_in_bytes`;
    expect(memoryOn(v1, { [file]: "700000000\n" }).limitBytes()).toBe(700_000_000);
    expect(memoryOn(v1, { [file]: "9223372036854771712\n" }).limitBytes()).toBeUndefined();
  });

  test("is none without control groups", () => {
    expect(memoryOn("", {}).limitBytes()).toBeUndefined();
    expect(openMemory(join(dir, "nowhere"), join(dir, "nowhere")).limitBytes()).toBeUndefined();
  });
});

describe("what is used", () => {
  test.each([
    ["two", v2, `${unit}/memory.stat`, "anon 12\nsock 3000000000\nsock_more 7\n", `${unit}/memory.max`],
    [
      "one",
      v1,
      `memory/${unit}/memory.kmem.tcp.usage_in_bytes`,
      "3000000000\n",
      `memory/${unit}/memory.limit_in_bytes`,
    ],
  ])("includes the buffers of sockets, by version %s", (_, groups, file, text, limit) => {
    const used = memoryOn(groups, { [file]: text, [limit]: "9000000000\n" }).usedBytes();
    expect(used - process.memoryUsage.rss()).toBeWithin(2_950_000_000, 3_050_000_000);
  });

  test("is what is resident where no group tells more", () => {
    expect(memoryOn("", {}).usedBytes() / process.memoryUsage.rss()).toBeWithin(0.9, 1.1);
  });
});

test("where there is no descriptor left to look with, both are what they were", () => {
  memoryOn(v2, { [`${unit}/memory.max`]: "1000000000\n" });
  const machine = join(dir, `${machines}`);
  const file = join(dir, "exhausted.ts");
  writeFileSync(
    file,
    `import { openSync } from "node:fs";
    import { openMemory } from ${JSON.stringify(join(import.meta.dir, "../../src/host/memory.ts"))};
    const memory = openMemory(${JSON.stringify(join(machine, "proc"))}, ${JSON.stringify(join(machine, "cgroup"))});
    const before = [memory.limitBytes(), memory.usedBytes()];
    try { for (;;) openSync("/dev/null", "r"); } catch {}
    const after = [memory.limitBytes(), memory.usedBytes()];
    console.log(JSON.stringify([before, after]));`,
  );
  const child = Bun.spawnSync(["sh", "-c", 'ulimit -n 200 && exec "$@"', "sh", process.execPath, file]);
  const [before, after] = JSON.parse(child.stdout.toString());
  expect(before[0]).toBe(1_000_000_000);
  expect(after).toEqual(before);
});
