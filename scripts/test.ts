// The whole suite, in two halves. What tests functions passes at once or fails. What starts routers, engines and fleets and
// looks at the clock has a machine under it that others use too: such a test may be tried four times, and the end of the
// run names those that needed it. With arguments it is `bun test` of the built binary: `bun run test test/http -t name`.

const limits = ["--timeout", "30000"];
/** Programs of ours at work, each of which a neighbour on the machine can make late. */
const machines = ["test/e2e", "test/playground", "test/service"];
const attempts = 4;

const given = process.argv.slice(2);
if (given.length > 0) process.exit((await bunTest([...limits, ...given])).code);

const halves = [
  await bunTest([...limits, ...machines.flatMap((room) => ["--path-ignore-patterns", `${room}/**`])]),
  await bunTest([...limits, "--retry", String(attempts - 1), ...machines]),
];
const output = halves.map((half) => half.output).join("");
const again = output.match(/^\(pass\) .* \(attempt \d+\).*$/gm) ?? [];
console.log(`\n${again.length} passed only when they were tried again`);
for (const line of again) console.log(line);
const total = (what: string): number =>
  [...output.matchAll(new RegExp(`^ *(\\d+) ${what}$`, "gm"))].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
console.log(`\nin all\n ${total("pass")} pass\n ${total("skip")} skip\n ${total("fail")} fail`);
process.exit(halves.find(({ code }) => code !== 0)?.code ?? 0);

/** Shown as it comes; `output` is free of colours. */
async function bunTest(args: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
  const child = Bun.spawn([process.execPath, "test", ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...(process.stderr.isTTY && { FORCE_COLOR: "1" }) },
  });
  const passOn = async (from: ReadableStream<Uint8Array>, to: NodeJS.WriteStream): Promise<string> => {
    let text = "";
    const decoder = new TextDecoder();
    for await (const bytes of from) {
      to.write(bytes);
      text += decoder.decode(bytes, { stream: true });
    }
    return text;
  };
  const [, told] = await Promise.all([
    passOn(child.stdout, process.stdout),
    passOn(child.stderr, process.stderr),
  ]);
  return { code: await child.exited, output: Bun.stripANSI(told) };
}
