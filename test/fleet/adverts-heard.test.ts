// What is made of what the others say: read once for each version, however often gossip repeats it.

import { expect, test } from "bun:test";
import { advertOf } from "../../src/fleet/advert.ts";
import type { Speaker } from "../../src/fleet/adverts-heard.ts";
import { createAdvertsHeard } from "../../src/fleet/adverts-heard.ts";

const meta = (zone: string): unknown =>
  advertOf([], { name: "p", public: "http://p:1", zone, draining: false, upMs: 1, intents: undefined }, 1000);
const speaker = (seq: number, said?: unknown, boot = "1"): Speaker => ({
  claim: { name: "p", boot, seq, meta: said },
  state: "alive",
  metaAt: 2000,
});

test("an advert is read once for each version of each run, and told as fresh once", () => {
  const fresh: string[] = [];
  const adverts = createAdvertsHeard((name, boot, { zone }) => fresh.push(`${name} ${boot} ${zone}`));
  expect(adverts.factsOf(speaker(1, meta("a")))).toMatchObject({
    name: "p",
    boot: "1",
    state: "alive",
    advert: { zone: "a" },
    advertAt: 2000,
  });
  const again = adverts.advertOf(speaker(1, meta("b")));
  expect([again?.zone, adverts.advertOf(speaker(1))]).toEqual(["a", again]);
  adverts.advertOf(speaker(2, meta("b")));
  adverts.advertOf(speaker(2, meta("c"), "2"));
  expect(fresh).toEqual(["p 1 a", "p 1 b", "p 2 c"]);
});

test("a claim without its advert keeps the one that we have of the same run, and only that", () => {
  const adverts = createAdvertsHeard();
  adverts.advertOf(speaker(1, meta("a")));
  expect(adverts.advertOf(speaker(2))?.zone).toBe("a");
  expect(adverts.advertOf(speaker(2, undefined, "2"))).toBeUndefined();
  adverts.forget("p");
  expect(adverts.advertOf(speaker(1))).toBeUndefined();
});

test("what cannot be understood is told to nobody, and hides what was said before", () => {
  const fresh: string[] = [];
  const adverts = createAdvertsHeard((name) => fresh.push(name));
  adverts.advertOf(speaker(1, meta("a")));
  expect(adverts.advertOf(speaker(2, { v: 99 }))).toBeUndefined();
  expect(fresh).toEqual(["p"]);
});
