// How long a host is left alone that refused a call.

import { describe, expect, test } from "bun:test";
import { createHostBar } from "../../src/fleet/host-bar.ts";

const now = 1_000_000;
/** Its clock started at another time than ours. */
const there = 5000 - now;

/** News takes 2 ms at best, and has come for a while. */
function barred() {
  const bar = createHostBar();
  bar.heard(now + there - 300, now - 200);
  bar.heard(now + there - 102, now - 100);
  bar.bar(300, now);
  return bar;
}

describe("a host that refused", () => {
  test("is left alone until it has spoken since, and for as long as any endpoint at least", () => {
    const bar = barred();
    bar.heard(now + there + 100, now + 150);
    expect([bar.barred(now + 299), bar.barred(now + 300)]).toEqual([true, false]);
  });

  test("is left alone for good where it says nothing more", () => {
    expect(barred().barred(now + 60_000)).toBe(true);
  });

  test("is left alone although what it said before comes in yet, however late", () => {
    const bar = barred();
    bar.heard(now + there - 10, now + 900);
    expect(bar.barred(now + 1000)).toBe(true);
    bar.heard(now + there + 1, now + 1900);
    expect(bar.barred(now + 1900)).toBe(false);
  });

  test("and never spoke before is believed with the first word", () => {
    const bar = createHostBar();
    bar.bar(300, now);
    bar.heard(now + there + 400, now + 400);
    expect(bar.barred(now + 400)).toBe(false);
  });

  test("is believed soon although its clock was further ahead long ago: it was paused, or drifts", () => {
    const bar = createHostBar();
    bar.heard(now + there, now - 600_000);
    for (let ago = 150_000; ago >= 0; ago -= 1000) bar.heard(now + there - 8000 - ago, now - ago);
    bar.bar(300, now);
    bar.heard(now + there - 8000 + 500, now + 502);
    expect(bar.barred(now + 502)).toBe(false);
  });
});
