import { expect, test } from "bun:test";
import { createGate } from "../../src/jobs/gate.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const rule = { baseMs: 1000, capMs: 60_000, jitter: 0 };

function gate() {
  const clock = virtualClock();
  return { clock, gate: createGate(8, rule, clock, () => 0.5) };
}

test("a gate is open to all, shut after a refusal, then open to one until that one is taken", async () => {
  const { clock, gate: it } = gate();
  expect(it.width()).toBe(8);
  it.refused(0);
  expect([it.width(), it.shutForMs()]).toEqual([0, 1000]);
  await clock.advance(1000);
  expect(it.width()).toBe(1);
  it.taken();
  expect(it.width()).toBe(8);
});

test("refusals that follow one another shut it for 1, 2, 4 … s, at most a minute; one that is taken begins anew", async () => {
  const { clock, gate: it } = gate();
  const shut: number[] = [];
  for (let times = 0; times < 8; times += 1) {
    it.refused(0);
    shut.push(it.shutForMs());
    await clock.advance(it.shutForMs());
  }
  expect(shut).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  it.taken();
  it.refused(0);
  expect(it.shutForMs()).toBe(1000);
});

test("calls that were under way together and are refused together count as one refusal", async () => {
  const { clock, gate: it } = gate();
  for (let call = 0; call < 8; call += 1) it.refused(0);
  expect(it.shutForMs()).toBe(1000);
  await clock.advance(1000);
  it.refused(0);
  expect(it.shutForMs()).toBe(2000);
});

test("it stays shut as long as the longest refusal asks, at most five minutes, whatever is taken meanwhile", () => {
  const { gate: it } = gate();
  it.refused(30_000);
  it.refused(500);
  it.taken();
  expect([it.width(), it.shutForMs()]).toEqual([0, 30_000]);
  it.refused(86_400_000);
  expect(it.shutForMs()).toBe(300_000);
});
