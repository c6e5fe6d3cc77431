// What a `model` name and an SLA header together ask for, row by row.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Tier } from "../../src/fleet/endpoint.ts";
import { balancers } from "../../src/routing/balancers/balancers.ts";
import type { RoutingPolicy, SlaClass, SlaRule } from "../../src/routing/sla.ts";
import { resolveAsked, slaClasses, slaOfTier } from "../../src/routing/sla.ts";
import { rungsOf } from "../support/rungs.ts";

const rule = (...ladder: Tier[]): SlaRule => ({
  ladder: ladder.map((tier) => ({ tier, balance: balancers.p2c })),
  firstByteMs: 250,
  totalMs: 2000,
});
const policy: RoutingPolicy = {
  sla: {
    realtime: rule("gold", "silver", "bronze"),
    interactive: rule("silver", "gold", "bronze"),
    async: rule("bronze"),
  },
  aliases: new Map([
    ["npc-fast", { tier: "gold" }],
    ["storyteller", { tier: "silver", model: "Qwen/Qwen2.5-7B" }],
    ["chronicle", { tier: "bronze", sla: "interactive" }],
    // Names that could be taken for something else.
    ["gold-mine", { tier: "bronze" }],
  ]),
  rungs: rungsOf({ balance: balancers.p2c }),
};

/** Header, name → class, ladder, model. */
const rows: readonly (readonly [SlaClass | undefined, string | undefined, SlaClass, string, string?])[] = [
  [undefined, undefined, "interactive", "silver gold bronze"],
  ["realtime", undefined, "realtime", "gold silver bronze"],
  ["async", undefined, "async", "bronze"],
  // An SLA class as the model.
  [undefined, "realtime", "realtime", "gold silver bronze"],
  [undefined, "async", "async", "bronze"],
  ["interactive", "realtime", "interactive", "silver gold bronze"],
  // A tier as the model.
  [undefined, "gold", "realtime", "gold silver bronze"],
  [undefined, "silver", "interactive", "silver gold bronze"],
  [undefined, "bronze", "async", "bronze"],
  ["realtime", "silver", "realtime", "silver gold bronze"],
  ["realtime", "bronze", "realtime", "bronze gold silver"],
  ["async", "gold", "async", "gold bronze"],
  // An alias.
  [undefined, "npc-fast", "realtime", "gold silver bronze"],
  [undefined, "storyteller", "interactive", "silver gold bronze", "Qwen/Qwen2.5-7B"],
  ["realtime", "storyteller", "realtime", "silver gold bronze", "Qwen/Qwen2.5-7B"],
  [undefined, "chronicle", "interactive", "bronze silver gold"],
  ["async", "chronicle", "async", "bronze"],
  [undefined, "gold-mine", "async", "bronze"],
  // A model.
  [undefined, "Qwen/Qwen2.5-3B", "interactive", "silver gold bronze", "Qwen/Qwen2.5-3B"],
  ["realtime", "Qwen/Qwen2.5-3B", "realtime", "gold silver bronze", "Qwen/Qwen2.5-3B"],
  [undefined, "Gold", "interactive", "silver gold bronze", "Gold"],
  // Names that every JavaScript object answers to.
  [undefined, "constructor", "interactive", "silver gold bronze", "constructor"],
  [undefined, "toString", "interactive", "silver gold bronze", "toString"],
  [undefined, "__proto__", "interactive", "silver gold bronze", "__proto__"],
];

describe("resolveAsked", () => {
  for (const [header, name, sla, ladder, model] of rows) {
    test(`header ${header ?? "none"}, model ${name ?? "none"}: ${sla}, ${ladder}, ${model ?? "any model"}`, () => {
      const asked = resolveAsked(policy, header, name);
      expect(asked.sla).toBe(sla);
      expect(asked.ladder.map(({ tier }) => tier).join(" ")).toBe(ladder);
      expect(asked.model).toBe(model);
    });
  }

  test("the first rung that an alias names is balanced as its tier says", () => {
    const special: RoutingPolicy = {
      ...policy,
      rungs: { ...policy.rungs, gold: { tier: "gold", balance: balancers["round-robin"] } },
    };
    expect(resolveAsked(special, undefined, "npc-fast").ladder[0]?.balance).toBe(balancers["round-robin"]);
  });

  test("answers any text with a class of the list and no tier twice on the ladder", () => {
    fc.assert(
      fc.property(
        fc.option(fc.constantFrom(...slaClasses), { nil: undefined }),
        fc.string(),
        (header, name) => {
          const { sla, ladder } = resolveAsked(policy, header, name);
          expect(slaClasses).toContain(sla);
          expect(new Set(ladder.map(({ tier }) => tier)).size).toBe(ladder.length);
        },
      ),
    );
  });

  test("each tier stands for a class of its own", () => {
    expect(Object.values(slaOfTier).toSorted()).toEqual([...slaClasses].sort());
  });
});
