// Which of many peers is chosen, by how the dice fall.

import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import type { EndpointView } from "../../src/fleet/endpoint-view.ts";
import { choosePeer } from "../../src/routing/choose-peer.ts";
import type { RoutingRequest } from "../../src/routing/request.ts";
import type { Seen } from "../support/views.ts";
import { view } from "../support/views.ts";

const now = 1_000_000;
const request: RoutingRequest = {
  sla: "realtime",
  ladder: [],
  model: undefined,
  stream: false,
  deadline: now + 1000,
};
const peersLike = (count: number, seen: (index: number) => Seen = () => ({})): EndpointView[] =>
  Array.from({ length: count }, (_, index) => view(`p${index}`, { peer: {}, ...seen(index) }));

function chosen(near: readonly EndpointView[], far: readonly EndpointView[] = [], turns = 5000) {
  const random = seededRandom(11);
  const counts = new Map<string, number>();
  for (let turn = 0; turn < turns; turn += 1) {
    const name = choosePeer({ local: [], near, far }, request, [], now, random)?.spec.name ?? "nobody";
    counts.set(name, (counts.get(name) ?? 0) + 1 / turns);
  }
  return counts;
}

describe("of many peers", () => {
  for (const count of [3, 8, 9, 30]) {
    test(`${count} that are alike get equal parts, within a quarter`, () => {
      const counts = chosen(peersLike(count));
      for (let index = 0; index < count; index += 1) {
        expect((counts.get(`p${index}`) ?? 0) * count).toBeGreaterThan(0.75);
        expect((counts.get(`p${index}`) ?? 0) * count).toBeLessThan(1.25);
      }
    });
  }

  for (const [count, withRoom] of [
    [30, [3, 4, 29]],
    [100, [50]],
    [6, [0, 5]],
  ] as const) {
    test(`only the ${withRoom.length} of ${count} with room are chosen, in equal parts, within a quarter`, () => {
      const room: readonly number[] = withRoom;
      const counts = chosen(peersLike(count, (index) => ({ peer: { free: room.includes(index) ? 1 : 0 } })));
      expect([...counts.keys()].toSorted()).toEqual(room.map((index) => `p${index}`).toSorted());
      for (const part of counts.values()) {
        expect(part * room.length).toBeGreaterThan(0.75);
        expect(part * room.length).toBeLessThan(1.25);
      }
    });
  }

  test("the most pressed is never chosen, and the least is not chosen always", () => {
    const counts = chosen(peersLike(20, (index) => ({ pressure: index / 20 })));
    expect(counts.has("p19")).toBe(false);
    expect(counts.get("p0")).toBeLessThan(0.15);
  });

  test("nobody is chosen where nobody has room", () => {
    const counts = chosen(
      peersLike(20, () => ({ peer: { free: 0 } })),
      [],
      10,
    );
    expect([...counts.keys()]).toEqual(["nobody"]);
  });

  test("a far one is chosen only where the near one is more pressed by over a quarter", () => {
    const far = [view("far", { peer: { far: true }, pressure: 0.3 })];
    expect([
      ...chosen(
        peersLike(2, () => ({ pressure: 0.55 })),
        far,
        50,
      ).keys(),
    ]).not.toContain("far");
    expect([
      ...chosen(
        peersLike(2, () => ({ pressure: 0.56 })),
        far,
        50,
      ).keys(),
    ]).toEqual(["far"]);
  });
});

describe("a session", () => {
  const sessions = Array.from({ length: 200 }, (_, index) => `player-${index}`);
  const placesAmong = (near: readonly EndpointView[]): string[] =>
    sessions.map(
      (session) =>
        choosePeer({ local: [], near, far: [] }, { ...request, session }, [], now, seededRandom(1))?.spec
          .name ?? "nobody",
    );
  const homes = placesAmong(peersLike(5));
  const among = (seen: Seen): string[] => placesAmong(peersLike(5, (index) => (index === 2 ? seen : {})));

  test("goes home from a door although the free slots there are others' share: names are no herd", () => {
    expect(among({ peer: { spokenFor: true } })).toEqual(homes);
  });

  test("that finds its host here full has no more than everybody's share", () => {
    const near = peersLike(5, (index) => (index === 2 ? { peer: { spokenFor: true } } : {}));
    const local = [view("here", { inflight: 2 })];
    for (const session of sessions)
      expect(
        choosePeer({ local, near, far: [] }, { ...request, session }, [], now, seededRandom(1))?.spec.name,
      ).not.toBe("p2");
  });

  test("is a guest while its home is full, and only where there is a share for it", () => {
    const full = { peer: { free: 0 } };
    const places = placesAmong(
      peersLike(5, (index) => (index === 2 ? full : index === 3 ? { peer: { spokenFor: true } } : {})),
    );
    for (const [index, home] of homes.entries()) {
      if (home === "p2") expect(["p0", "p1", "p4"]).toContain(places[index] ?? "");
      else expect(places[index]).toBe(home);
    }
  });

  test("has another home while gossip doubts its own, whoever's the slots there are", () => {
    expect(among({ peer: { spokenFor: true, suspect: true } })).not.toContain("p2");
  });
});
