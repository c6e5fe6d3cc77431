// Where sessions meet, over many of them.

import { describe, expect, test } from "bun:test";
import type { EndpointView } from "../../src/fleet/endpoint-view.ts";
import { byAffinity } from "../../src/routing/affinity.ts";
import { view } from "../support/views.ts";

const now = 1_000_000;
const sessions = Array.from({ length: 2000 }, (_, index) => `player-${index}`);
const some = (names: readonly string[], pressure: (name: string) => number = () => 0): EndpointView[] =>
  names.map((name) => view(name, { pressure: pressure(name) }));

function placesOf(endpoints: readonly EndpointView[]): Map<string, string> {
  const [first, ...others] = endpoints;
  if (first === undefined) throw new Error("nobody to choose from");
  return new Map(
    sessions.map((session) => [session, byAffinity([first, ...others], session, now).spec.name]),
  );
}
const held = (places: Map<string, string>, name: string): number =>
  [...places.values()].filter((each) => each === name).length / sessions.length;

describe("by affinity", () => {
  const five = ["a", "b", "c", "d", "e"];

  test("a session has one endpoint, whatever the order they are named in, and sessions are spread evenly", () => {
    const places = placesOf(some(five));
    expect(placesOf(some(five.toReversed()))).toEqual(places);
    for (const name of five) {
      expect(held(places, name)).toBeGreaterThan(0.15);
      expect(held(places, name)).toBeLessThan(0.25);
    }
  });

  test("an endpoint that goes moves its own sessions and nobody else's", () => {
    const before = placesOf(some(five));
    const after = placesOf(some(five.filter((name) => name !== "c")));
    for (const session of sessions)
      if (before.get(session) !== "c") expect(after.get(session)).toBe(before.get(session) ?? "");
  });

  test("an endpoint pressed by more than a quarter above the mean gets no session, until it is eased", () => {
    const pressed = (c: number) => placesOf(some(five, (name) => (name === "c" ? c : 0.5)));
    expect(held(pressed(0.7), "c")).toBe(0);
    expect(held(pressed(0.6), "c")).toBeGreaterThan(0.15);
  });

  test("an endpoint that is less than a quarter full is not crowded, though the others are idle", () => {
    const places = placesOf(some(five, (name) => (name === "c" ? 0.25 : 0)));
    expect(held(places, "c")).toBeGreaterThan(0.15);
  });
});
