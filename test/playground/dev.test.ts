// `bun run dev --once`: the tour with the real binary, on a machine where the usual port is taken.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";

let squatter: Bun.TCPSocketListener | undefined;
let output: string;
let exitCode: number;

beforeAll(async () => {
  try {
    squatter = Bun.listen({ hostname: "127.0.0.1", port: 8010, socket: { data() {} } });
  } catch {
    // Somebody else has it, which is as good.
  }
  const script = join(import.meta.dir, "../../playground/dev.ts");
  const child = Bun.spawn([process.execPath, script, "--once"], { stdout: "pipe", stderr: "pipe" });
  const [told, complained] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  output = told + complained;
  exitCode = await child.exited;
}, 90_000);

afterAll(() => squatter?.stop(true));

test("the tour ends well: every step went as it is told", () => {
  expect(output).not.toContain("This is not what should have happened");
  expect({ exitCode, output }).toMatchObject({ exitCode: 0 });
});

test("it says that the usual port is taken, and where it listens instead", () => {
  expect(output).toContain("8010 or 8011 is taken");
  expect(output).toMatch(/router +http:\/\/127\.0\.0\.1:\d+ /);
});

test("the fall-back is shown with its reason", () => {
  expect(output).toMatch(/way +silver .*because (fallback-from-gold|retry-after-\w+)/);
});

test("the guards are answered while Gold hangs", () => {
  expect(output).toMatch(/Gold hangs +\d+ intents\/s, frame p50 /);
  expect(output).not.toContain("no answer");
});

test("it writes no colours into a pipe", () => {
  expect(output).not.toContain("\u001b");
});

test("nothing that it started is left", async () => {
  const urls = [...output.matchAll(/http:\/\/127\.0\.0\.1:\d+/g)].map(([url]) => url);
  expect(urls.length).toBeGreaterThanOrEqual(4);
  const left = await Promise.all(
    urls.map((url) =>
      fetch(url).then(
        () => [url],
        () => [],
      ),
    ),
  );
  expect(left.flat()).toEqual([]);
});
