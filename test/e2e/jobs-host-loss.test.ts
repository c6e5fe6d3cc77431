// Hosts with accepted jobs are lost, for good or for a while, with their disks or without: what was promised is kept.
// TIERLINE_LONG=1 prints the figures.

import { expect, test } from "bun:test";
import { tale } from "../support/bronze.ts";
import { stopwatch, withBronzeFleet } from "../support/bronze-fleet.ts";
import { until } from "../support/chat.ts";
import { measured } from "../support/measured.ts";

test.concurrent(
  "a host is lost with its disk: its peers finish all its jobs, begun within 30 s, and what was done is not done again",
  withBronzeFleet(async ({ aws, hosts, jobs, kill, knownDead, sum, handedOver }) => {
    const [lost, ...peers] = hosts;
    const watch = stopwatch("host and disk lost");
    const unseen = { kind: "slow", delayMs: 60_000, on: "get", naming: "results" } as const;
    aws.fault(unseen);
    const done = await jobs.place(lost, 20);
    await until(
      "these are done",
      () => aws.objects.keys("bucket").filter((key) => key.startsWith("results/")).length === 20,
      15_000,
    );
    aws.fault(unseen, { kind: "late-output", delayMs: 45_000, times: 20 });
    const running = await jobs.place(lost, 20);
    await until("those are running", () => running.every((id) => handedOver(id) === 1), 15_000);
    aws.fault(unseen, { kind: "throttle" });
    const queued = await jobs.place(lost, 20);
    await kill(lost, "lost");
    aws.fault();
    watch.lap("placed");
    await knownDead(lost);
    watch.lap("known_dead");
    await until(
      "all are taken over",
      async () => {
        await Bun.sleep(100);
        return (await sum("tierline_jobs_adopted_total")) === 60;
      },
      45_000,
    );
    expect(watch.lap("taken_over")).toBeLessThan(30);
    await jobs.allDoneAt(peers, 40_000);
    watch.lap("all_done");
    expect(done.map(handedOver)).toEqual(done.map(() => 1));
    expect(queued.map(handedOver)).toEqual(queued.map(() => 1));
    watch.note(
      "running_handed_over",
      running.map(handedOver).reduce((a, b) => a + b),
    );
    watch.show();
    expect(await sum("tierline_jobs_adopted_total")).toBe(60);
  }),
  150_000,
);

test.concurrent(
  "a host comes back with its old disk amid the adoption: it forgets what others took and finishes the rest; keys hold",
  withBronzeFleet(async ({ aws, hosts, jobs, here, kill, start, knownDead, sum, manifest }) => {
    const [lost, ...others] = hosts;
    const [peer] = others;
    const isAlive = (state: string | undefined): boolean => state === "alive";
    const watch = stopwatch("host back with its old disk");
    const keyed = { key: crypto.randomUUID(), request: tale() };
    const ended = { key: crypto.randomUUID(), request: tale() };
    const { id: endedId } = await jobs.order(lost, ended);
    await jobs.allDoneAt(hosts, 30_000);
    aws.fault({ kind: "throttle" });
    const { id: keyedId } = await jobs.order(lost, keyed);
    const [cancelled = ""] = await jobs.place(lost, 80);
    expect(await jobs.cancel(lost, cancelled)).toBe(200);
    // However slow the host or quick the peers, some are left for it: S3 lets no more than 32 be taken, 12 of them late.
    const adopting = { on: "put", naming: "manifests/jobs/" } as const;
    aws.fault(
      { kind: "throttle" },
      { kind: "slow", delayMs: 500, ...adopting, times: 20 },
      { kind: "slow", delayMs: 8_000, ...adopting, times: 12 },
      { kind: "throttle", ...adopting },
    );
    await kill(lost, "kept");
    // As long as it may be alive nobody else can have it, and S3 knows of it.
    expect(await jobs.order(peer, keyed)).toMatchObject({ status: 202, id: keyedId });
    expect(await jobs.order(peer, ended)).toMatchObject({ status: 200, id: endedId });
    await knownDead(lost);
    expect(await jobs.order(peer, keyed)).toMatchObject({ status: 202, id: keyedId });
    await until(
      "the first are taken over",
      async () => {
        await Bun.sleep(20);
        return (await sum("tierline_jobs_adopted_total")) > 0;
      },
      60_000,
    );
    await start(lost);
    await until(
      "its peers know that it is back",
      () => Promise.all(others.map((each) => each.sees(lost.name))).then((seen) => seen.every(isAlive)),
      30_000,
    );
    aws.fault({ kind: "throttle" });
    watch.lap("came_back");
    // It still has it in its own file, where it has not ended.
    const taken = jobs.ids.find((id) => manifest(id)["member"] !== lost.name) ?? "";
    await until("it is cancelled there", async () => (await jobs.cancel(lost, taken)) === 200, 30_000);
    aws.fault();
    await jobs.allDoneAt(hosts, 60_000);
    watch.lap("all_done");
    const holders = jobs.ids.map((id) => manifest(id)["member"]);
    const adopted = holders.filter((holder) => holder !== lost.name).length;
    watch.note("adopted", adopted);
    watch.show();
    expect(adopted).toBeGreaterThan(0);
    expect(adopted).toBeLessThan(80);
    expect(await sum("tierline_jobs_adopted_total")).toBe(adopted);
    expect(await lost.router.metric("tierline_jobs_lost_total")).toBe(adopted);
    for (const host of here()) {
      expect(await jobs.order(host, keyed)).toMatchObject({ status: 200, id: keyedId });
      expect(await jobs.order(host, ended)).toMatchObject({ status: 200, id: endedId });
    }
  }),
  150_000,
);

test.concurrent(
  "a host comes back with an empty disk, then with a damaged job file: it reads its own jobs back from their manifests (fault 38)",
  withBronzeFleet(async ({ aws, hosts, jobs, kill, start, handedOver }) => {
    const [lost] = hosts;
    const watch = stopwatch("host back without its disk");
    for (const disk of ["lost", "damaged"] as const) {
      aws.fault({ kind: "throttle" });
      const before = jobs.ids.length;
      const queued = await jobs.place(lost, 20);
      await kill(lost, disk);
      aws.fault();
      await start(lost);
      await jobs.allDoneAt(hosts, 30_000);
      watch.lap(disk);
      expect(await lost.router.metric("tierline_jobs_adopted_total")).toBe(20);
      expect(queued.map(handedOver)).toEqual(queued.map(() => 1));
      expect(jobs.ids.length).toBe(before + 20);
    }
    watch.show();
    expect(lost.router.log.some(({ msg }) => String(msg).includes("was damaged"))).toBe(true);
    measured(38, "with manifests: 20 of 20 jobs read back after a damaged file, each handed over once");
  }),
  150_000,
);

test.concurrent(
  "a whole fleet is lost with its disks, and one with other names takes its place: it finishes what the first had promised",
  withBronzeFleet(async ({ aws, hosts, jobs, kill, start, here }) => {
    const watch = stopwatch("fleet replaced");
    aws.fault({ kind: "throttle" });
    for (const host of hosts) await jobs.place(host, 10);
    await Promise.all(hosts.map((host) => kill(host, "lost")));
    aws.fault();
    await Promise.all(hosts.map((host, index) => start(host, `tale-${index}`)));
    watch.lap("replaced");
    await jobs.allDoneAt(here(), 60_000);
    watch.lap("all_done");
    watch.show();
  }),
  150_000,
);

test.concurrent(
  "a host stands still for 40 s and goes on: others have finished its jobs, and it neither shows nor ends one anew",
  withBronzeFleet(async ({ aws, hosts, jobs, freeze, thaw, knownDead, sum, here }) => {
    const [still, ...others] = hosts;
    const watch = stopwatch("host stood still");
    aws.fault({ kind: "late-output", delayMs: 55_000, times: 20 });
    await jobs.place(still, 20);
    await until("they are running", () => aws.invocations.length === 20, 15_000);
    aws.fault({ kind: "throttle" });
    await jobs.place(still, 20);
    const frozenAt = performance.now();
    freeze(still);
    aws.fault();
    await knownDead(still);
    watch.lap("known_dead");
    await jobs.allDoneAt(others, 60_000);
    watch.lap("done_by_others");
    await Bun.sleep(Math.max(0, 40_000 - (performance.now() - frozenAt)));
    thaw(still);
    const cancels = jobs.ids.map(async (id) => {
      const response = await still.get(`/v1/jobs/${id}/cancel`, { method: "POST" });
      return response.status;
    });
    expect(new Set(await Promise.all(cancels)).isSubsetOf(new Set([409, 503]))).toBe(true);
    await jobs.allDoneAt(here(), 30_000);
    watch.lap("shown_by_it");
    await until("it has forgotten them", async () => (await sum("tierline_jobs_lost_total")) === 40, 15_000);
    watch.show();
    for (const host of here()) {
      const listed = JSON.parse(await (await host.get("/v1/jobs?limit=100")).text());
      expect(listed.data.map(({ id }: { id: string }) => id).sort()).toEqual([...jobs.ids].sort());
    }
  }),
  150_000,
);

test.concurrent(
  "two hosts of three are lost at once, one with its disk: the third finishes the jobs of both, and who waited there waits on",
  withBronzeFleet(async ({ aws, hosts, jobs, kill, knownDead, sum }) => {
    const [first, second, third] = hosts;
    const watch = stopwatch("two hosts lost");
    aws.fault({ kind: "throttle" });
    for (const host of [first, second]) await jobs.place(host, 20);
    const waiting = jobs.ids.map(async (id) => {
      const response = await third.get(`/v1/jobs/${id}?wait=100`);
      return `${response.status} ${JSON.parse(await response.text()).status}`;
    });
    await Promise.all([kill(first, "lost"), kill(second, "kept")]);
    aws.fault();
    await knownDead(first, second);
    watch.lap("known_dead");
    await until(
      "all are taken over",
      async () => {
        await Bun.sleep(100);
        return (await sum("tierline_jobs_adopted_total")) === 40;
      },
      45_000,
    );
    expect(watch.lap("taken_over")).toBeLessThan(30);
    await jobs.allDoneAt([third], 30_000);
    watch.lap("all_done");
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(["200 succeeded"]));
    watch.show();
  }),
  150_000,
);

test.concurrent(
  "what was computed twice is shown as it was shown first, whatever is written into S3 afterwards, and whoever is lost",
  withBronzeFleet(async ({ aws, hosts, jobs, kill, start, here, handedOver }) => {
    const [lost, ...peers] = hosts;
    aws.fault({ kind: "late-output", delayMs: 10_000, times: 1 });
    const [id = ""] = await jobs.place(lost, 1);
    await until("it is running", () => handedOver(id) === 1, 15_000);
    await kill(lost, "lost");
    await start(lost);
    await jobs.allDoneAt(here(), 9_000);
    expect(handedOver(id)).toBe(2);
    const output = aws.objects.keys("bucket").find((key) => key.startsWith("results/")) ?? "";
    const second = aws.objects.get("bucket", output)?.etag;
    await until(
      "the first computation writes over the second",
      () => aws.objects.get("bucket", output)?.etag !== second,
      20_000,
    );
    await kill(lost, "lost");
    for (const peer of peers) jobs.returned(peer);
    await jobs.allDoneAt(peers, 15_000);
  }),
  150_000,
);
