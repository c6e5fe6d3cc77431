import { expect, test } from "bun:test";
import { createRounds } from "../../src/jobs/rounds.ts";
import { virtualClock } from "../support/virtual-clock.ts";

test("rounds follow one another as far apart as each says, also after one that threw", async () => {
  const clock = virtualClock();
  const at: number[] = [];
  const broken: unknown[] = [];
  const start = clock.now();
  const rounds = createRounds(
    clock,
    async () => {
      at.push(clock.now() - start);
      if (at.length === 2) throw new Error("a bug");
      return 100;
    },
    (error) => {
      broken.push(error);
      return 1000;
    },
  );
  rounds.start();
  await clock.advance(1250);
  expect(at).toEqual([0, 100, 1100, 1200]);
  expect(broken).toHaveLength(1);
  rounds.stop();
  await clock.advance(10_000);
  expect(at).toHaveLength(4);
  expect(clock.pending()).toBe(0);
});

test("a round that is under way is cut by a stop, and followed by none", async () => {
  const clock = virtualClock();
  let signals = 0;
  const rounds = createRounds(
    clock,
    (signal) =>
      new Promise((resolve) => {
        signal.addEventListener("abort", () => {
          signals += 1;
          resolve(1);
        });
      }),
    () => 1,
  );
  rounds.start();
  await clock.advance(1);
  rounds.stop();
  await clock.advance(1000);
  expect([signals, clock.pending()]).toEqual([1, 0]);
});
