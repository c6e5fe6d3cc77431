// Hosts come and go under a stream of orders, and S3 goes away under all of them: each order that was accepted ends, once.
// `TIERLINE_LONG=1 bun test test/e2e/jobs-host-churn` kills hosts for five minutes, and prints the figures.

import { expect, test } from "bun:test";
import type { AwsFault } from "../../playground/aws/faults.ts";
import { seededRandom } from "../../src/base/random.ts";
import { tale } from "../support/bronze.ts";
import type { BronzeFleet } from "../support/bronze-fleet.ts";
import { stopwatch, withBronzeFleet } from "../support/bronze-fleet.ts";
import { until } from "../support/chat.ts";
import { longRun } from "../support/failures.ts";
import { readOpenAiError } from "../support/openai-error.ts";

const s3Down: readonly AwsFault[] = (["put", "get", "list"] as const).map((on) => ({
  kind: "status",
  status: 503,
  on,
}));

test.concurrent(
  "without S3 nothing is accepted and nothing cancelled; what was accepted before ends when S3 is back",
  withBronzeFleet(async ({ aws, hosts, jobs }) => {
    const [host, other] = hosts;
    const watch = stopwatch("S3 away");
    aws.fault({ kind: "late-output", delayMs: 5000, times: 10 });
    await jobs.place(host, 10);
    await until("they are running", () => aws.invocations.length === 10, 15_000);
    aws.fault(...s3Down);
    for (const each of [host, other]) {
      const { status, text } = await jobs.ask(each, { key: crypto.randomUUID(), request: tale() });
      expect([status, readOpenAiError(text).code]).toEqual([503, "job_store_unavailable"]);
    }
    for (const each of [host, other]) {
      const cancelled = await each.get(`/v1/jobs/${jobs.ids[0]}/cancel`, { method: "POST" });
      expect([cancelled.status, readOpenAiError(await cancelled.text()).code]).toEqual([
        503,
        "job_store_unavailable",
      ]);
    }
    const listed = JSON.parse(await (await other.get("/v1/jobs")).text());
    expect(listed.data.map(({ id }: { id: string }) => id).sort()).toEqual([...jobs.ids].sort());
    // In a long run the leases of all lapse.
    await Bun.sleep(longRun ? 60_000 : 8000);
    watch.lap("away");
    aws.fault();
    await jobs.allDoneAt(hosts, 90_000);
    watch.lap("done_after");
    watch.show();
    expect(aws.invocations.length).toBe(10);
  }),
  150_000,
);

test.concurrent(
  "hosts die between naming a job by its key and accepting it, then after: who repeats the order elsewhere gets it done",
  withBronzeFleet(async ({ aws, hosts, jobs, kill, knownDead }) => {
    const [lost, peer, other] = hosts;
    const order = { key: crypto.randomUUID(), request: tale() };
    aws.fault({ kind: "reset", on: "put", naming: "manifests/jobs/" });
    const unheard = jobs.ask(lost, order);
    await until(
      "the key is claimed",
      () => aws.calls.some((call) => call.startsWith("put manifests/jobs/")),
      15_000,
    );
    await kill(lost, "lost");
    expect((await unheard).status).toBe(0);
    aws.fault();
    expect((await jobs.ask(peer, order)).status).toBe(503);
    await knownDead(lost);
    aws.fault({ kind: "throttle" });
    const { status, id } = await jobs.ask(peer, order);
    expect(status).toBe(202);
    await kill(peer, "lost");
    await knownDead(lost, peer);
    expect(await jobs.ask(other, order)).toMatchObject({ status: 202, id });
    aws.fault();
    await jobs.allDoneAt([other], 60_000);
    expect(jobs.ids).toEqual([id]);
  }),
  150_000,
);

test.concurrent(
  "all three are restarted, one after the other, under a stream of orders: every order that was accepted ends, once",
  withBronzeFleet(async (fleet) => {
    const { hosts, jobs, end, start } = fleet;
    const watch = stopwatch("rolling restart with jobs");
    const stream = orderOn(fleet);
    await Bun.sleep(1000);
    for (const host of hosts) {
      await end(host);
      await start(host);
      while ((await host.get("/readyz")).status !== 200) await Bun.sleep(50);
      await Bun.sleep(500);
    }
    watch.lap("restarted");
    await stream.stop();
    await jobs.allDoneAt(hosts, 60_000);
    watch.lap("all_done");
    watch.note("orders", stream.figures());
    watch.show();
    expect(jobs.ids.length).toBe(stream.figures().orders);
    expect(await fleet.sum("tierline_jobs_adopted_total")).toBe(0);
  }),
  150_000,
);

test.concurrent(
  `hosts are killed at random, with their disks or without, under a stream of orders: every order ends, once`,
  withBronzeFleet(async (fleet) => {
    const { aws, hosts, jobs, kill, start, knownDead, sum } = fleet;
    const watch = stopwatch("hosts killed at random");
    aws.fault(
      { kind: "late-output", delayMs: 3000, times: 100 },
      { kind: "accept-then-reset", times: 10 },
      { kind: "accept-then-500", on: "put", times: 40 },
    );
    // With this seed the first has lost its disk when it comes back, and the second has not.
    const seed = longRun ? Date.now() : 4;
    const random = seededRandom(seed);
    watch.note("seed", seed);
    const stream = orderOn(fleet);
    const killUntil = performance.now() + (longRun ? 300_000 : 0);
    let kills = 0;
    let adopted = 0;
    while (kills < 2 || performance.now() < killUntil) {
      const host = hosts[Math.floor(random() * hosts.length)] ?? hosts[0];
      const disk = random() < 0.5 ? "lost" : "kept";
      await Bun.sleep(1000 + random() * 2000);
      await kill(host, disk);
      kills += 1;
      // Sometimes it is back before anybody has noticed.
      if (random() < 0.5) await knownDead(host);
      if (longRun && random() < 0.4) await Bun.sleep(30_000);
      adopted += await sum("tierline_jobs_adopted_total");
      await start(host);
    }
    watch.lap("killing");
    await stream.stop();
    await jobs.allDoneAt(hosts, 90_000);
    watch.lap("all_done");
    watch.note("kills", kills);
    watch.note("orders", stream.figures());
    watch.note("adopted", adopted + (await sum("tierline_jobs_adopted_total")));
    watch.note("handed_over", aws.invocations.length);
    watch.note("not_answerable", jobs.unanswered());
    watch.show();
    expect(jobs.ids.length).toBe(stream.figures().orders);
  }),
  longRun ? 700_000 : 200_000,
);

/** About 20 orders a second to whoever is up, each repeated with its key, here or there, until it is accepted. */
function orderOn({ jobs, here }: BronzeFleet) {
  const open = new Set<Promise<void>>();
  let orders = 0;
  let repeats = 0;
  let isOver = false;

  const order = async (): Promise<void> => {
    const what = { key: crypto.randomUUID(), request: tale() };
    for (let tries = 0; tries < 400; tries += 1) {
      const up = here();
      const host = up[Math.floor(Math.random() * up.length)];
      const { status, text } = host === undefined ? { status: 0, text: "" } : await jobs.ask(host, what);
      if (status === 202 || status === 200) return;
      if (status !== 0 && status !== 503) throw new Error(`${host?.name}: ${status} ${text}`);
      repeats += 1;
      await Bun.sleep(250);
    }
    throw new Error("an order was not accepted in 400 tries");
  };
  const ordering = (async () => {
    while (!isOver) {
      orders += 1;
      const placed = order().finally(() => open.delete(placed));
      open.add(placed);
      await Bun.sleep(50);
    }
    await Promise.all(open);
  })();
  ordering.catch(() => {});

  return {
    figures: () => ({ orders, repeats }),
    stop() {
      isOver = true;
      return ordering;
    },
  };
}
