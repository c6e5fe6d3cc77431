// The prompt of a situation: what it says, and that its beginning never changes.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { actionsMost } from "../../src/intents/archetype.ts";
import { letters, promptOf } from "../../src/intents/prompt.ts";
import { packSituation } from "../../src/intents/situation.ts";
import { guard, only, someRule, statue } from "../support/archetypes.ts";

test("there is a letter for every action that an archetype may have", () => {
  expect(letters.join("")).toBe("ABCDEFGHIJKLMNOPQRST");
  expect(letters.length).toBe(actionsMost);
});

describe("a prompt", () => {
  test("says who, what can be done, and how things are", () => {
    const archetype = only(guard);
    expect(promptOf(archetype, packSituation([2, 1, 1, 2], archetype))).toBe(
      `A castle guard. He is loyal, and no hero.

What you can do:
A: patrol
B: investigate
C: attack
D: take_cover
E: flee
F: call_help

Choose the one action that suits the situation. Answer with its letter and nothing else.

The situation:
threat: 0.5 to 0.8
player_distance: 2 to 5 m
alerted: yes
weather: fog

Your action:`,
    );
  });

  test("of an archetype without features does not speak of a situation", () => {
    expect(promptOf(only(statue), 0)).toEndWith("and nothing else.\n\nYour action:");
  });

  test("begins with the same bytes in every situation of the archetype, and the situation is all that differs", () => {
    const archetype = only(guard);
    const prompts = Array.from({ length: archetype.situations }, (_, code) => promptOf(archetype, code));
    const parts = prompts.map((prompt) => prompt.split("The situation:\n"));
    expect(parts.every((part) => part.length === 2)).toBe(true);
    expect(new Set(parts.map(([stable]) => stable)).size).toBe(1);
    expect(new Set(prompts).size).toBe(archetype.situations);
  });

  test("of any archetype has its features after everything else, so that only the last lines differ", () => {
    const two = fc.tuple(someRule, fc.nat(), fc.nat());
    fc.assert(
      fc.property(two, ([rule, one, other]) => {
        const archetype = only(rule);
        const prompts = [one, other].map((code) => promptOf(archetype, code % archetype.situations));
        const stable = promptOf({ ...archetype, features: [] }, 0).slice(0, -"Your action:".length);
        for (const prompt of prompts) expect(prompt.startsWith(stable)).toBe(true);
      }),
    );
  });
});
