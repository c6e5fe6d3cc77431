// How long a router says that it is short of a tier.

import { expect, test } from "bun:test";
import { createShortage, shortageRule } from "../../src/fleet/shortage.ts";

test("a router is short of a tier for two seconds after a request of its own found no room there", () => {
  const now = 1_000_000;
  const shortage = createShortage();
  expect(shortage.of(now)).toEqual([]);
  shortage.missed("silver", now);
  shortage.missed("gold", now + 500);
  expect(shortage.of(now + shortageRule.keptMs)).toEqual(["gold", "silver"]);
  expect(shortage.of(now + shortageRule.keptMs + 1)).toEqual(["gold"]);
  shortage.missed("silver", now + 3000);
  expect(shortage.of(now + 3000)).toEqual(["silver"]);
});
