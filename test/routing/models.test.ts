// Who serves a model, over a fleet whose hosts come and go.

import { expect, test } from "bun:test";
import { createFleet } from "../../src/fleet/fleet.ts";
import { isAbsent, isJustGone } from "../../src/routing/models.ts";
import { advertWith, engineThere } from "../support/adverts.ts";

const now = 1_000_000;
const advert = advertWith([engineThere({ tier: "silver", models: ["far"] })]);
const peer = { name: "p", boot: "1", advert, advertAt: now } as const;

test("a model that only a peer serves is not absent, and is only just gone for a minute after the peer is", () => {
  const spec = { name: "h/e", tier: "gold", locality: "local", slots: 1, queueLimit: 0 } as const;
  const fleet = createFleet([{ spec, identity: "1", models: ["here"] }], { name: "h", zone: undefined });
  expect([isAbsent(fleet, "far"), isJustGone(fleet, "far", now)]).toEqual([true, false]);
  fleet.setPeer({ ...peer, state: "alive" }, now);
  expect([isAbsent(fleet, "far"), isAbsent(fleet, "here"), isAbsent(fleet, "else")]).toEqual([
    false,
    false,
    true,
  ]);
  fleet.setPeer({ ...peer, state: "suspect" }, now);
  expect(isAbsent(fleet, "far")).toBe(false);
  fleet.setPeer({ ...peer, state: "dead" }, now);
  expect([isAbsent(fleet, "far"), isJustGone(fleet, "far", now + 59_999)]).toEqual([true, true]);
  expect([isJustGone(fleet, "far", now + 60_000), isJustGone(fleet, "else", now)]).toEqual([false, false]);
});
