// Who goes first in a waiting room where some hold much and some little, who must leave a full one, and that nobody is
// forgotten; in virtual time.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Wake } from "../../src/dispatch/waiting-room.ts";
import { createWaitingRooms } from "../../src/dispatch/waiting-room.ts";
import { createEndpointState } from "../../src/fleet/endpoint-state.ts";
import type { Holds } from "../../src/fleet/flows.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const outcome = { kind: "ok", model: "m", stream: false, totalMs: 1 } as const;

function scene(slots = 4, queueLimit = 4) {
  const clock = virtualClock();
  const rooms = createWaitingRooms(clock);
  const endpoint = createEndpointState({ name: "a", tier: "gold", locality: "local", slots, queueLimit }, [
    "m",
  ]);
  const ended: string[] = [];
  const enter = (who: string, holds: Holds, leftMs = 1000): Promise<Wake> => {
    const caller = new AbortController();
    const wait = rooms.wait(endpoint, clock.now() + leftMs, leftMs, caller.signal, holds, (free) =>
      free === endpoint ? holds : undefined,
    );
    void wait.then((wake) => ended.push(`${who} ${typeof wake === "string" ? wake : "woken"}`));
    return wait;
  };
  const begin = (holds: Holds, count = 1): void => {
    for (let turn = 0; turn < count; turn += 1) endpoint.begin("m", false, 1, clock.now(), holds);
  };
  const end = (holds: Holds): void => {
    endpoint.end({ ...outcome, ...holds }, clock.now(), () => 0.5);
    rooms.slotFreed(endpoint);
  };
  return { clock, rooms, endpoint, ended, enter, begin, end };
}

const of = (session: string): Holds => ({ flow: { session } });
const [many, few, other] = [of("many"), of("few"), of("other")];

describe("a free slot", () => {
  test("goes to who holds less than an even part, before a more urgent one of who holds more", async () => {
    const { clock, ended, enter, begin, end } = scene();
    begin(many, 2);
    begin(few, 2);
    void enter("many", many, 100);
    void enter("other", other, 5000);
    end(few);
    await clock.settle();
    expect(ended).toEqual(["other woken"]);
  });

  test("goes to nobody whose session is over its share, and to him again when it is not", async () => {
    const { clock, ended, enter, begin, end } = scene();
    begin(many, 2);
    begin(few, 2);
    void enter("many", many);
    end(few);
    await clock.settle();
    expect(ended).toEqual([]);
    end(many);
    await clock.settle();
    expect(ended).toEqual(["many woken"]);
  });

  test("goes to what has spilled from elsewhere when nobody waits who is at home", async () => {
    const { clock, ended, enter, begin, end } = scene();
    begin(many, 4);
    void enter("spilled", { flow: {}, spilled: true }, 100);
    void enter("home", { flow: {} }, 5000);
    end(many);
    await clock.settle();
    expect(ended).toEqual(["home woken"]);
    end(many);
    await clock.settle();
    expect(ended).toEqual(["home woken", "spilled woken"]);
  });
});

describe("a full room", () => {
  test("makes a place for a newcomer who holds less: the least urgent of who holds most is told", async () => {
    const { clock, endpoint, ended, enter, begin } = scene();
    begin(many, 4);
    void enter("many soon", many, 100);
    void enter("many late", many, 900);
    void enter("many", many, 500);
    void enter("few", few, 2000);
    expect(endpoint.displaces(other)).toBe(true);
    void enter("other", other);
    await clock.settle();
    expect(ended).toEqual(["many late displaced"]);
    expect(endpoint.waiting).toBe(4);
  });

  test("makes a place for who is at home before all that has spilled", async () => {
    const { clock, ended, enter, begin } = scene(4, 2);
    begin(many, 4);
    void enter("home", { flow: {} });
    void enter("spilled", { flow: {}, spilled: true });
    void enter("home too", { flow: {} });
    await clock.settle();
    expect(ended).toEqual(["spilled displaced"]);
  });

  test("whatever comes, holds no more than it may, tells everybody how it ended once, and starves no flow", async () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ enter: fc.constantFrom("a", "b", "c", "flood", "flood") }) },
      { weight: 1, arbitrary: fc.constant("end" as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 120 }), async (steps) => {
        const slots = 4;
        const queueLimit = 5;
        const { clock, rooms, endpoint, enter } = scene(slots, queueLimit);
        let asked = 0;
        let told = 0;
        const running: Holds[] = [];
        const served = new Set<string>();
        const waitedFor = new Map<string, number>();
        const run = (holds: Holds): void => {
          endpoint.begin("m", false, 1, clock.now(), holds);
          running.push(holds);
          served.add(holds.flow?.session ?? "");
        };
        const free = (): void => {
          const holds = running.shift();
          if (holds === undefined) return;
          endpoint.end({ ...outcome, ...holds }, clock.now(), () => 0.5);
          rooms.slotFreed(endpoint);
        };
        for (const each of steps) {
          if (each === "end") free();
          else {
            const name = each.enter;
            const holds = of(name);
            const isOver = endpoint.overShare({ session: name }, false, clock.now());
            if (endpoint.inflight < slots && !isOver) run(holds);
            else if (endpoint.waiting < queueLimit || endpoint.displaces(holds)) {
              asked += 1;
              waitedFor.set(name, (waitedFor.get(name) ?? 0) + 1);
              void enter(name, holds).then((wake) => {
                told += 1;
                if (typeof wake !== "string") run(holds);
              });
            }
          }
          expect(endpoint.waiting).toBeLessThanOrEqual(queueLimit);
          await clock.settle();
          expect(endpoint.inflight).toBeLessThanOrEqual(slots);
        }
        // Nobody new comes: whoever waits is served as slots fall free.
        for (let turn = 0; turn < 200 && running.length > 0; turn += 1) {
          free();
          await clock.settle();
        }
        await clock.advance(2000);
        expect([told, endpoint.waiting, endpoint.inflight]).toEqual([asked, 0, 0]);
        for (const name of waitedFor.keys()) expect(served.has(name)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});
