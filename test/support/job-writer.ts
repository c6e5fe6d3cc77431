// A program that writes jobs and says of each change that it is on the disk: for a test that takes the power away.

import { writeSync } from "node:fs";
import { openJobStore } from "../../src/jobs/sqlite-store.ts";
import { newJob, roomy } from "./job-place.ts";

const [dir = "", many = "0"] = process.argv.slice(2);
const opened = openJobStore(dir, roomy);
if (!opened.ok) throw new Error(opened.trouble.message);
const { store } = opened;

/** Every other lot of jobs is written in one transaction. */
const lot = 4;
const accept = (at: number) =>
  store.accept(newJob(at, { request: Buffer.alloc((at * 977) % 9000, 65 + (at % 26)) }));
const tell = (at: number, state: string) => writeSync(1, `${at} ${state}\n`);

for (let at = 0; at < Number(many); at += 1) {
  const { id } = newJob(at);
  const say = (state: string) => tell(at, state);
  const isTogether = at % (2 * lot) < lot;
  const ats = isTogether ? (at % lot === 0 ? [at, at + 1, at + 2, at + 3] : []) : [at];
  store.together(() => ats.map(accept));
  for (const each of ats) tell(each, "accepted");
  if (at % 2 === 0) continue;
  store.move(id, 0, { to: "submitting" });
  say("submitting");
  store.move(id, 1, { to: "done", result: Buffer.alloc((at * 991) % 30_000, 65 + (at % 26)), endedAtMs: at });
  say("done");
  // What is forgotten leaves free pages, which are written over.
  if (at % 10 === 9) store.sweep(at - 40, 5);
}
