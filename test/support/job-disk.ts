// A program on a small disk of its own: what the job store answers when that is full, broken, and read-only. Prints one
// JSON object.

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openJobStore } from "../../src/jobs/sqlite-store.ts";
import { newJob, roomy } from "./job-place.ts";

const [dir = ""] = process.argv.slice(2);
const opened = openJobStore(dir, roomy);
if (!opened.ok) throw new Error(opened.trouble.message);
const { store } = opened;

const kind = (answer: { kind: string; trouble?: { kind: string } }) => answer.trouble?.kind ?? answer.kind;

const ballast = join(dir, "ballast");
writeFileSync(ballast, Buffer.alloc(512 * 1024));
const accepted: string[] = [];
let full = "";
for (let at = 0; at < 2000 && full === ""; at += 1) {
  const answer = store.accept(newJob(at, { request: Buffer.alloc(4000) }));
  if (answer.kind === "stored") accepted.push(answer.job.id);
  else full = kind(answer);
}
const [first = ""] = accepted;
const done = { to: "done", result: Buffer.alloc(100_000), endedAtMs: 1 } as const;
const endWhileFull = kind(store.move(first, 0, done));
const readWhileFull = kind(store.toDo(first));
rmSync(ballast);
const afterRoom = store.accept(newJob(5000));
if (afterRoom.kind === "stored") accepted.push(afterRoom.job.id);
const endAfterRoom = kind(store.move(first, 0, done));

// A write beyond this limit fails as one to a broken device does.
limitFiles("1");
const broken = kind(store.accept(newJob(6000)));
const readWhileBroken = kind(store.get(first));
limitFiles("unlimited");
const afterBroken = store.accept(newJob(6001));
if (afterBroken.kind === "stored") accepted.push(afterBroken.job.id);
store.close();

remount("ro");
const startReadOnly = openJobStore(dir, roomy);

remount("rw");
const again = openJobStore(dir, roomy);
if (!again.ok) throw new Error(again.trouble.message);
let lost = 0;
for (const id of accepted) {
  const found = again.store.get(id);
  if (found.kind !== "found" || found.value === undefined) lost += 1;
}
console.log(
  JSON.stringify({
    full,
    endWhileFull,
    readWhileFull,
    afterRoom: afterRoom.kind,
    endAfterRoom,
    broken,
    readWhileBroken,
    afterBroken: afterBroken.kind,
    startReadOnly: startReadOnly.ok ? "opened" : startReadOnly.trouble.kind,
    lost,
  }),
);

function limitFiles(bytes: string): void {
  run("prlimit", "--pid", String(process.pid), `--fsize=${bytes}:unlimited`);
}

function remount(mode: "ro" | "rw"): void {
  run("mount", "-o", `remount,${mode}`, dir);
}

function run(...command: string[]): void {
  const ran = Bun.spawnSync(command);
  if (!ran.success) throw new Error(ran.stderr.toString());
}
