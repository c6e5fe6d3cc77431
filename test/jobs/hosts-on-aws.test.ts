// Hosts that lose and adopt jobs, over the real SDK and the stand-in for AWS: that what S3's conditions are relied upon for
// goes over the wire as meant.

import { expect, test } from "bun:test";
import type { Clock } from "../../src/base/clock.ts";
import { systemClock } from "../../src/base/clock.ts";
import { until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import type { JobHost } from "../support/job-fleet.ts";
import { jobHosts } from "../support/job-fleet.ts";
import { sageMakerScene } from "../support/sagemaker-scene.ts";

const ends = cleanup();

/** A lease of 20 s is over in two. */
const pace = 10;
const patienceMs = 30_000;
const startMs = systemClock.now();
const fastClock: Clock = {
  now: () => systemClock.now() * pace,
  wallMs: () => systemClock.wallMs() + (systemClock.now() - startMs) * (pace - 1),
  after: (delayMs, action) => systemClock.after(delayMs / pace, action),
};

const scene = sageMakerScene();

// A machine that stands still for a quarter of a second does so for more than two of theirs.
const trials = { timeout: 120_000, retry: 3 };

test(
  "a host that is killed loses each job to one of the others, and what it does on its return is shown to nobody",
  async () => {
    const { standIn, aws } = ends(scene);
    const hosts = ends(jobHosts(aws, fastClock));
    const gold1 = hosts.host("gold-1");
    const others = [hosts.host("gold-2"), hosts.host("gold-3")];
    const leases = () => gold1.keeping.leases.list(new AbortController().signal);
    await until(
      "three leases",
      async () => {
        const listed = await leases();
        return listed.kind === "names" && listed.names.length === 3;
      },
      patienceMs,
    );
    standIn.fault({ kind: "lost-output" });
    const ids: string[] = [];
    for (let count = 0; count < 12; count += 1) ids.push(await gold1.order());
    await until("all handed over", () => gold1.store.counts().submitted === ids.length, patienceMs);
    const disk = hosts.kill(gold1);
    hosts.heard.set("gold-1", "dead");
    standIn.fault();
    const adopted = () => others.flatMap((host) => adoptedBy(host));
    await until("all adopted", () => adopted().length >= ids.length, patienceMs);
    expect(adopted().toSorted()).toEqual(ids.toSorted());

    const back = hosts.host("gold-1", disk);
    const isDone = (id: string): boolean => others.some((host) => stateAt(host, id) === "done");
    await until("all done", () => ids.every(isDone), patienceMs);
    await until(
      "the host that is back has lost them",
      () => ids.every((id) => stateAt(back, id) === "no row"),
      patienceMs,
    );
    for (const id of ids) {
      expect(others.filter((host) => stateAt(host, id) === "done")).toHaveLength(1);
      const sought = await back.desk.seek?.(id, "lobby", new AbortController().signal);
      expect(sought).toMatchObject({ kind: "found", job: { id, state: "done" }, result: expect.anything() });
    }
  },
  trials,
);

const adoptedBy = (host: JobHost): readonly string[] =>
  host.told.flatMap((event) => (event.kind === "adopted" ? [event.id] : []));

function stateAt(host: JobHost, id: string): string {
  const found = host.store.get(id);
  return found.kind === "found" ? (found.value?.state ?? "no row") : found.kind;
}
