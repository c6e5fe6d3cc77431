// A program that writes jobs and says of each change that it is on the disk: for a test that takes the power away.

import { writeSync } from "node:fs";
import { openJobStore } from "../../src/jobs/sqlite-store.ts";
import { newJob, roomy } from "./job-place.ts";

const [dir = "", many = "0"] = process.argv.slice(2);
const opened = openJobStore(dir, roomy);
if (!opened.ok) throw new Error(opened.trouble.message);
const { store } = opened;

for (let at = 0; at < Number(many); at += 1) {
  const { id } = newJob(at);
  const say = (state: string) => writeSync(1, `${at} ${state}\n`);
  store.accept(newJob(at, { request: Buffer.alloc((at * 977) % 9000, 65 + (at % 26)) }));
  say("accepted");
  if (at % 2 === 0) continue;
  store.move(id, 0, { to: "submitting" });
  say("submitting");
  store.move(id, 1, { to: "done", result: Buffer.alloc((at * 991) % 30_000, 65 + (at % 26)), endedAtMs: at });
  say("done");
  // What is forgotten leaves free pages, which are written over.
  if (at % 10 === 9) store.sweep(at - 40, 5);
}
