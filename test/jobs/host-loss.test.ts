// Hosts that die and come back at random moments, with their disks or without, while S3 fails now and then: no job that was
// acknowledged is lost, none has two ends, and none is ever shown with two results, though each computation says another.

import { expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import { cleanup } from "../support/cleanup.ts";
import type { JobHost } from "../support/job-fleet.ts";
import { jobFleet } from "../support/job-fleet.ts";
import type { JobPlace } from "../support/job-place.ts";

const ends = cleanup();
const seeds = Number(process.env["TIERLINE_SEEDS"] ?? 20);
const names = ["gold-1", "gold-2", "gold-3", "gold-4"] as const;
const troubles = ["network", "server", "throttled", "timeout"] as const;
const { signal } = new AbortController();

test.each(Array.from({ length: seeds }, (_, index) => index + 1))(
  "with seed %p every job that was acknowledged comes to one end, known to all",
  async (seed) => {
    const random = seededRandom(seed);
    const pick = <Item>(items: readonly Item[]): Item | undefined =>
      items[Math.floor(random() * items.length)];
    const fleet = ends(jobFleet());
    const up = new Map<string, JobHost>();
    const disks = new Map<string, JobPlace>();
    const acknowledged = new Set<string>();
    const begin = (name: string): void => {
      up.set(name, fleet.host(name, disks.get(name)));
      disks.delete(name);
    };
    // Slow enough for others to come between a look and a write.
    fleet.objects.beforePut = () =>
      new Promise((resolve) => {
        fleet.clock.after(random() * random() * 2000, resolve);
      });
    for (const name of names) begin(name);
    await fleet.clock.advance(1000);

    const acts: readonly (() => void)[] = [
      ...Array<() => void>(6).fill(() => {
        const host = pick([...up.values()]);
        // Refused where S3 was away; then nobody was promised anything.
        void host?.order().then(
          (id) => acknowledged.add(id),
          () => {},
        );
      }),
      () => {
        const host = up.size > 1 ? pick([...up.values()]) : undefined;
        if (host === undefined) return;
        const disk = fleet.kill(host);
        up.delete(host.name);
        if (random() < 0.5) disks.set(host.name, disk);
        fleet.clock.after(2000 + random() * 6000, () => {
          if (!up.has(host.name)) fleet.heard.set(host.name, random() < 0.8 ? "dead" : "left");
        });
      },
      () => {
        const name = pick(names.filter((each) => !up.has(each)));
        if (name !== undefined) begin(name);
      },
      () =>
        fleet.objects.fail(
          pick(troubles) ?? "network",
          Math.ceil(random() * 20),
          random() < 0.5 ? "done" : undefined,
        ),
      () => {
        fleet.works = random() < 0.5;
      },
    ];
    const shown = new Map<string, string>();
    const wrongs: string[] = [];
    const see = (id: string, result: Uint8Array | undefined): void => {
      if (result === undefined) return;
      const text = Buffer.from(result).toString();
      const before = shown.get(id) ?? text;
      if (before !== text) wrongs.push(`${id}: ${text}, and was ${before}`);
      shown.set(id, before);
    };
    const seeAll = (): void => {
      for (const id of acknowledged)
        for (const { store } of up.values()) {
          const found = store.result(id);
          if (found.kind === "found") see(id, found.value);
        }
    };
    for (let step = 0; step < 60; step += 1) {
      pick(acts)?.();
      await fleet.clock.advance(random() * 8000);
      seeAll();
    }
    fleet.works = true;
    fleet.objects.fail("network", 0);
    for (const name of names) if (!up.has(name)) fleet.heard.set(name, "dead");
    await fleet.clock.advance(600_000);

    expect(acknowledged.size).toBeGreaterThan(10);
    seeAll();
    for (const id of acknowledged) {
      const rows = [...up.values()].flatMap(({ store }) => {
        const found = store.get(id);
        return found.kind === "found" && found.value !== undefined ? [found.value.state] : [];
      });
      expect({ id, rows: rows.length <= 1 && rows.every((state) => state === "done") }).toEqual({
        id,
        rows: true,
      });
      for (const { desk, keeping } of up.values()) {
        const here = desk.get(id, "lobby");
        const seen = here.kind === "elsewhere" ? await keeping.seek(id, "lobby", signal) : here;
        if (seen.kind === "found") see(id, seen.result);
        expect(seen).toMatchObject({ kind: "found", job: { id, state: "done" }, result: expect.anything() });
      }
    }
    expect(wrongs).toEqual([]);
  },
  60_000,
);
