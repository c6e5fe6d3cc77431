// Builds dist/tierline, one self-contained binary. Does nothing when neither sources nor flags have changed.
// Usage: bun scripts/build.ts [--target=bun-linux-arm64] [--[no-]bytecode] [--outfile=PATH] [--entry=FILE]

import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import packageJson from "../package.json";

const root = join(import.meta.dir, "..");

const mainEntry = "src/main.ts";

const { values: given } = parseArgs({
  allowNegative: true,
  options: {
    target: { type: "string", default: nativeTarget() },
    bytecode: { type: "boolean" },
    outfile: { type: "string", default: "dist/tierline" },
    entry: { type: "string", default: mainEntry },
  },
});
// Bytecode halves the time to start, 58 ms to 31. Made for another machine it has crashed there, where no test
// of ours would see it; the binary for this one is what the tests run.
const flags = { ...given, bytecode: given.bytecode ?? given.target === nativeTarget() };

const outfile = resolve(root, flags.outfile);
const stampFile = `${outfile}.stamp`;
const stamp = await stampOf();

if (existsSync(outfile) && (await textOf(stampFile)) === stampFor(outfile)) {
  console.log(`${relative(process.cwd(), outfile)} is up to date`);
} else {
  await build();
  const megabytes = (Bun.file(outfile).size / 2 ** 20).toFixed(1);
  console.log(`${relative(process.cwd(), outfile)}: ${megabytes} MiB, ${flags.target}`);
}

/**
 * The command line rather than Bun.build, because only there a failed build prints what went wrong
 * with the lines that did.
 */
async function build(): Promise<void> {
  // Moved when done: whoever runs the old binary keeps it, and half a one is never run.
  mkdirSync(dirname(outfile), { recursive: true });
  const workshop = mkdtempSync(`${outfile}.building-`);
  const defines = {
    BUILD_VERSION: packageJson.version,
    BUILD_REVISION: await revision(),
    BUILD_TARGET: flags.target,
    BUILD_BYTECODE: flags.bytecode,
    "process.env.NODE_ENV": "production",
  };
  const child = Bun.spawn({
    cmd: [
      process.execPath,
      "build",
      "--compile",
      "--minify",
      "--sourcemap",
      "--format=esm",
      ...(flags.bytecode ? ["--bytecode"] : []),
      `--target=${flags.target}`,
      // A router must not change with whatever lies in the directory that it is started from.
      "--no-compile-autoload-dotenv",
      "--no-compile-autoload-bunfig",
      ...Object.entries(defines).flatMap(([name, value]) => ["--define", `${name}=${JSON.stringify(value)}`]),
      resolve(root, flags.entry),
      ...(flags.entry === mainEntry ? [resolve(root, "src/aws-worker.ts")] : []),
      "--outfile",
      join(workshop, "tierline"),
    ],
    cwd: root,
    stdout: "ignore",
    stderr: "inherit",
  });
  const status = await child.exited;
  if (status === 0) {
    const built = join(workshop, "tierline");
    const builtStamp = stampFor(built);
    renameSync(built, outfile);
    writeFileSync(stampFile, builtStamp);
  }
  // What else lies there is a copy of the source map that is inside the binary too.
  rmSync(workshop, { recursive: true });
  if (status !== 0) process.exit(1);
}

/** The inode too: of two builds at one time, one may leave its binary and the other its stamp. */
function stampFor(binary: string): string {
  return `${stamp} ${statSync(binary).ino}\n`;
}

/** Everything that the binary is made of, and how. */
async function stampOf(): Promise<string> {
  const files = [...new Bun.Glob("src/**/*").scanSync({ cwd: root })].sort();
  const hash = new Bun.CryptoHasher("sha256");
  hash.update(JSON.stringify([Bun.version, Bun.revision, flags, await revision()]));
  for (const file of [
    ...files,
    "package.json",
    "bun.lock",
    "tsconfig.json",
    "scripts/build.ts",
    flags.entry,
  ]) {
    hash.update(`\n${file}\n`);
    hash.update(await Bun.file(resolve(root, file)).bytes());
  }
  return hash.digest("hex");
}

/** The commit, `-dirty` when the tree differs from it. Outside a repository $BUILD_REVISION, else `unknown`. */
async function revision(): Promise<string> {
  const head = await git("rev-parse", "--short", "HEAD");
  if (head === undefined) return process.env["BUILD_REVISION"] || "unknown";
  return (await git("status", "--porcelain")) === "" ? head : `${head}-dirty`;
}

async function git(...args: readonly string[]): Promise<string | undefined> {
  if (Bun.which("git") === null) return undefined;
  const child = Bun.spawn({ cmd: ["git", ...args], cwd: root, stdout: "pipe", stderr: "ignore" });
  const output = await new Response(child.stdout).text();
  return (await child.exited) === 0 ? output.trim() : undefined;
}

async function textOf(path: string): Promise<string | undefined> {
  const file = Bun.file(path);
  return (await file.exists()) ? file.text() : undefined;
}

/** The machine that we are on. `modern` needs AVX2, which every GPU host of the last ten years has. */
function nativeTarget(): string {
  const plain = `bun-${process.platform}-${process.arch}`;
  return process.platform === "linux" && process.arch === "x64" ? `${plain}-modern` : plain;
}
