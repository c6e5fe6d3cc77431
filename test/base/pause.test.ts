import { expect, test } from "bun:test";
import { Departure } from "../../src/base/departure.ts";
import { pause } from "../../src/base/pause.ts";
import { virtualClock } from "../support/virtual-clock.ts";

function pausing(...leaving: readonly Departure[]) {
  const clock = virtualClock();
  const seen = { over: false };
  void pause(clock, 1000, ...leaving).then(() => {
    seen.over = true;
  });
  return { clock, seen };
}

test("pause is over when its time is, and not before", async () => {
  const { clock, seen } = pausing(new Departure());
  await clock.advance(999);
  expect(seen.over).toBe(false);
  await clock.advance(1);
  expect(seen.over).toBe(true);
});

test.each([0, 1])(
  "pause is over when any of those who wait leaves, and leaves no timer behind: %p",
  async (who) => {
    const leaving = [new Departure(), new Departure()];
    const { clock, seen } = pausing(...leaving);
    leaving[who]?.abort();
    await clock.settle();
    expect([seen.over, clock.pending()]).toEqual([true, 0]);
  },
);

test("pause of who has left before is none", async () => {
  const gone = new Departure();
  gone.abort();
  const { clock, seen } = pausing(new Departure(), gone);
  await clock.settle();
  expect([seen.over, clock.pending()]).toEqual([true, 0]);
});
