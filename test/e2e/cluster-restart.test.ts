// The rolling restart of a whole fleet, as an operator does it, under the eyes of its callers.

import { expect, setDefaultTimeout, test } from "bun:test";
import { cleanup } from "../support/cleanup.ts";
import { failuresOf, showFigures } from "../support/failures.ts";
import { patient, startFleet } from "../support/fleet.ts";

setDefaultTimeout(90_000);

const ends = cleanup();

test("`drain --wait`, restart, next: of 200 requests/s, spread by /readyz and never asked twice, none fails", async () => {
  const fleet = ends(
    await startFleet({
      config: patient,
      hosts: [
        { name: "gold-1", tiers: ["gold"] },
        { name: "gold-2", tiers: ["gold"] },
        { name: "silver-1", tiers: ["silver"] },
      ],
    }),
  );
  await fleet.told(async () => {
    const load = await fleet.load({ perSecond: 200, readyEveryMs: 500 });
    await Bun.sleep(2000);
    const tookMs: Record<string, number> = {};
    for (const host of fleet.hosts) {
      const began = performance.now();
      const { code, out } = await host.cli("drain", "--wait");
      expect({ code, out }).toMatchObject({ code: 0 });
      expect(await host.end()).toBe(0);
      await host.start();
      tookMs[host.name] = Math.round(performance.now() - began);
      // As whoever restarts a fleet would: the next one when this one takes traffic again.
      while ((await host.get("/readyz")).status !== 200) await Bun.sleep(50);
      await fleet.together(5000);
    }
    await Bun.sleep(2000);
    const answers = await load.stop();
    showFigures("rolling restart", { asked: answers.length, tookMs });
    expect(failuresOf(answers)).toEqual([]);
    expect(answers.length).toBeGreaterThan(1000);
    const served = new Set(answers.map(({ door }) => door));
    expect(served.size).toBe(3);
    // It was drained with callers at the door, and what they asked went to peers.
    expect(answers.some(({ because }) => because === "draining")).toBe(true);
  })();
});

test("peers that came back a moment ago have slots enough: of 30 requests at once at a drained host none is refused", async () => {
  const fleet = ends(
    await startFleet({
      msPerToken: 20,
      hosts: ["gold-1", "gold-2", "gold-3"].map((name) => ({ name, tiers: ["gold"] as const })),
    }),
  );
  await fleet.told(async () => {
    const host = fleet.host("gold-1");
    expect((await host.cli("drain")).code).toBe(0);
    const answers = await Promise.all(Array.from({ length: 30 }, () => host.chat()));
    expect(answers.map(({ status }) => status).filter((status) => status !== 200)).toEqual([]);
  })();
});
