// Faults of hosts and links that the table of faults names and scenarios.test.ts does not play: short and long pauses, a
// link that is deaf one way, one that flaps, another name at a known address, two versions of the program at work together.

import { describe, expect, test } from "bun:test";
import { healthRule } from "../../src/cluster/health-score.ts";
import { measured } from "../support/measured.ts";
import { createFigures, report, seedsOf } from "./figures.ts";
import { changesSince, falseDead, longMs, minuteMs, pick, scene, stateOf, told } from "./scene.ts";
import type { Run } from "./world.ts";
import { allSee, createWorld, fleetOf } from "./world.ts";

const first = (runs: readonly Run[], at = 0): Run => {
  const run = runs[at];
  if (run === undefined) throw new Error(`no host ${at}`);
  return run;
};

describe("a host that stands still", () => {
  for (const [forMs, mayDie] of [
    [1000, false],
    [2000, false],
    [4000, false],
    [10_000, true],
  ] as const) {
    test(
      `for ${forMs / 1000} s is ${mayDie ? "back in one step" : "not taken for dead"} by any of 2, 3 or 10 (fault 14)`,
      () => {
        const back = createFigures(`N=2 to 10, one paused for ${forMs / 1000} s: alive everywhere after, ms`);
        for (const size of [2, 3, 10]) {
          for (const seed of seedsOf(10, 500)) {
            const [world, runs] = scene(seed, size);
            const [sleeper] = pick(world, runs, 1);
            if (sleeper === undefined) throw new Error("no host");
            const others = runs.filter((run) => run !== sleeper);
            world.pause(sleeper);
            world.advance(forMs);
            world.resume(sleeper);
            const wokeAt = world.now;
            back.add(
              seed,
              world.until(() => allSee(runs, "alive"), minuteMs),
            );
            world.advance(minuteMs / 2);
            expect([seed, falseDead(others) > 0]).toEqual([seed, mayDie]);
            // Nobody sees it come, go and come again.
            const after = changesSince(others, wokeAt);
            for (const other of others) {
              const steps = after.filter(({ by }) => by === other).map(({ kind }) => kind);
              expect([
                seed,
                other.name,
                steps.length <= 1 && steps.every((kind) => kind === "refuted"),
              ]).toEqual([seed, other.name, true]);
            }
          }
        }
        report(back);
        expect(back.worst, String(back)).toBeLessThanOrEqual(2000);
        measured(
          14,
          `simulated, ${forMs / 1000} s: ${mayDie ? "dead, then" : "never dead,"} alive everywhere ${Math.round(back.worst)} ms after it goes on, in one step`,
        );
      },
      longMs,
    );
  }

  test(
    "for 3 s, and again for every second second, accuses nobody of what it missed, and trusts itself less for it (fault 15)",
    () => {
      let leastScore = Number.POSITIVE_INFINITY;
      for (const size of [2, 3, 10]) {
        for (const seed of seedsOf(10, 500)) {
          const [world, runs] = scene(seed, size);
          const [sleeper] = pick(world, runs, 1);
          if (sleeper === undefined) throw new Error("no host");
          for (const forMs of [3000, 1000, 1000, 1000]) {
            world.pause(sleeper);
            world.advance(forMs);
            world.resume(sleeper);
            leastScore = Math.min(leastScore, sleeper.gossip.healthScore);
            world.advance(1000);
          }
          world.advance(10_000);
          expect([seed, size, told([sleeper], "suspected").length, falseDead([sleeper])]).toEqual([
            seed,
            size,
            0,
            0,
          ]);
          // With nothing amiss it comes to trust itself again.
          expect([seed, size, sleeper.gossip.healthScore]).toEqual([seed, size, 0]);
        }
      }
      expect(leastScore).toBeGreaterThan(0);
      expect(leastScore).toBeLessThanOrEqual(healthRule.most);
      measured(
        15,
        `simulated, stalls of 3, 1, 1 and 1 s: 0 accusations by it, score at least ${leastScore} after each`,
      );
    },
    longMs,
  );
});

test(
  "of three, five or ten, one that cannot be heard by one other is held for alive by all, that one included (fault 16)",
  () => {
    for (const size of [3, 5, 10]) {
      for (const seed of seedsOf(10, 500)) {
        const [world, runs] = scene(seed, size);
        const [mute, deaf] = pick(world, runs, 2);
        world.block((from, to) => from === mute?.address && to === deaf?.address);
        world.advance(minuteMs);
        expect([seed, size, told(runs, "suspected").length, falseDead(runs)]).toEqual([seed, size, 0, 0]);
        expect([seed, size, allSee(runs, "alive")]).toEqual([seed, size, true]);
      }
    }
    measured(16, "simulated, 3 to 10 hosts, one way of one link cut for a minute: 0 suspicions, 0 deaths");
  },
  longMs,
);

describe("every 2 s for two minutes", () => {
  const flapped = 2000;
  const lastsMs = 2 * minuteMs;

  test(
    "a link between two of three, five or ten flaps: nothing that is held of anybody changes (fault 18)",
    () => {
      for (const size of [3, 5, 10]) {
        for (const seed of seedsOf(4, 200)) {
          const [world, runs] = scene(seed, size);
          const [a, b] = pick(world, runs, 2);
          const ends = new Set([a?.address, b?.address]);
          world.block((from, to) => isDown(world.now) && ends.has(from) && ends.has(to));
          world.advance(lastsMs);
          expect([seed, size, changesSince(runs, 0).length]).toEqual([seed, size, 0]);
        }
      }
      measured(18, "simulated, a link between two flaps every 2 s for two minutes: 0 state changes");
    },
    longMs,
  );

  test(
    "the whole network of one of two, three or ten flaps: it changes at most once in 10 s on average, and is never dead (fault 18)",
    () => {
      const most = createFigures(
        "N=2 to 10, a host's network flaps every 2 s: changes of a member in two minutes",
        {
          of: "worst",
          most: lastsMs / 10_000,
        },
      );
      for (const size of [2, 3, 10]) {
        for (const seed of seedsOf(4, 200)) {
          const [world, runs] = scene(seed, size);
          const [flapping] = pick(world, runs, 1);
          const heal = world.block(
            (from, to) => isDown(world.now) && (from === flapping?.address) !== (to === flapping?.address),
          );
          world.advance(lastsMs);
          const changes = changesSince(runs, 0);
          expect([seed, size, falseDead(runs)]).toEqual([seed, size, 0]);
          for (const by of runs) {
            for (const { name } of runs) {
              const seen = changes.filter((change) => change.by === by && change.who === name);
              most.add(seed, seen.length);
            }
          }
          heal();
          // Whoever has come and gone so often is believed a minute later, and no later.
          world.advance(1.5 * minuteMs);
          expect([seed, size, allSee(runs, "alive")]).toEqual([seed, size, true]);
          expect(runs.every((run) => runs.every(({ name }) => stateOf(run, name) === "alive"))).toBe(true);
        }
      }
      report(most);
      expect(most.worst, String(most)).toBeLessThanOrEqual(lastsMs / 10_000);
      measured(
        18,
        `simulated, a host's whole network flaps every 2 s for two minutes: ${most.worst} changes at most, most of them before the damping begins`,
      );
    },
    longMs,
  );

  const isDown = (nowMs: number): boolean => nowMs % (2 * flapped) >= flapped;
});

test(
  "a host that comes back under another name is alive for all of ten within 3 s, and its old name dead within 8 s (fault 20)",
  () => {
    const known = createFigures("N=10, back under another name: seen alive everywhere, ms");
    for (const seed of seedsOf(6, 500)) {
      const [world, runs] = scene(seed, 10);
      const was = first(runs, 5);
      world.crash(was);
      const now = world.start("renamed", { address: was.address, seeds: () => ["h0:8012", "h1:8012"] });
      const rest = [...runs.filter((run) => run !== was), now];
      known.add(
        seed,
        world.until(() => allSee(rest, "alive"), minuteMs),
      );
      const buried = world.until(() => allSee(rest, "dead", [was]), minuteMs) ?? Number.POSITIVE_INFINITY;
      expect([seed, buried <= 8000]).toEqual([seed, true]);
    }
    report(known);
    expect(known.worst, String(known)).toBeLessThanOrEqual(3000);
    measured(
      20,
      `simulated, 10 hosts, same address and another name: alive everywhere after ${(known.worst / 1000).toFixed(1)} s at worst`,
    );
  },
  longMs,
);

test(
  "a fleet is brought to the next version host by host: both versions hold one another for alive throughout, and its new words cross hosts that do not know them (fault 47)",
  () => {
    for (const seed of seedsOf(3, 200)) {
      const world = createWorld(seed);
      const newer = { dialect: nextVersion, meta: { v: 2, words: ["of", "its", "own"] } };
      const runs = fleetOf(world, 6);
      for (let index = 0; index < 6; index += 1) {
        const was = first(runs, index);
        world.act(was, (gossip) => void gossip.leave());
        world.advance(200);
        world.crash(was);
        runs[index] = world.start(was.name, {
          ...newer,
          address: was.address,
          seeds: () => ["h0:8012", "h5:8012"],
        });
        expect([
          seed,
          index,
          (world.until(() => allSee(runs, "alive"), minuteMs) ?? Infinity) <= 5000,
        ]).toEqual([seed, index, true]);
        world.advance(5000);
        const refused = runs.map(({ gossip }) => gossip.counters.rejected);
        expect([seed, refused.every(({ version, malformed }) => version + malformed === 0)]).toEqual([
          seed,
          true,
        ]);
        expect([seed, told(runs, "suspected").length]).toEqual([seed, 0]);
        // The last of the old version tells the others what the new ones say.
        for (const run of runs) {
          const claim = run.gossip.members().find((member) => member.claim.name === "h0")?.claim;
          expect(claim).toMatchObject({ meta: newer.meta });
          if (run.name !== "h0") expect(claim).toHaveProperty("mood", "bright");
        }
      }
    }
    measured(
      47,
      "simulated, 6 hosts brought to the next version one by one: 0 suspicions, 0 refused messages",
    );
  },
  longMs,
);

/** One version on: it also speaks ours, adds fields everywhere, and says a claim's state in a word that we do not know. */
function nextVersion(message: unknown): unknown {
  if (typeof message !== "object" || message === null || !("claims" in message)) return message;
  const { claims } = message;
  const told: readonly unknown[] = Array.isArray(claims) ? claims : [];
  return {
    ...message,
    v: [1, 2],
    tone: "kind",
    claims: [
      ...told.map((claim) => (typeof claim === "object" ? { ...claim, mood: "bright" } : claim)),
      { name: "of-a-later-kind", state: "resting", incarnation: 1 },
    ],
  };
}
