// The local runner on scripted engines: the same dispatch as in the product, with players beside the jobs.

import type { Clock } from "../../src/base/clock.ts";
import { Departure } from "../../src/base/departure.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Dispatch } from "../../src/dispatch/dispatch.ts";
import { createDispatch } from "../../src/dispatch/dispatch.ts";
import type { Dispatched } from "../../src/dispatch/dispatched.ts";
import { createEvacuation } from "../../src/dispatch/evacuation.ts";
import { createRetryBudget } from "../../src/dispatch/retry-budget.ts";
import { createWaitingRooms } from "../../src/dispatch/waiting-room.ts";
import { dialects } from "../../src/engines/engine.ts";
import type { EndpointState } from "../../src/fleet/endpoint-state.ts";
import type { Fleet } from "../../src/fleet/fleet.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import { createQuarantine } from "../../src/fleet/quarantine.ts";
import type { LocalRunner } from "../../src/jobs/local.ts";
import { createLocalRunner } from "../../src/jobs/local.ts";
import { createPlayersFirst } from "../../src/jobs/players-first.ts";
import type { RoutingPolicy } from "../../src/routing/sla.ts";
import type { FakeWire, Reply } from "./fake-wire.ts";
import { fakeWire } from "./fake-wire.ts";
import { inference } from "./inference.ts";
import { rungsOf } from "./rungs.ts";

export interface LocalScene {
  readonly runner: LocalRunner;
  readonly dispatch: Dispatch;
  readonly fleet: Fleet;
  readonly wire: FakeWire;
  readonly endpoint: EndpointState;
  /** What the engine answers from now on. */
  reply: (text: string) => Reply;
  /** A player's request, after the jobs; `done` once it has an answer. */
  play(more?: Parameters<typeof inference>[1]): { done?: Dispatched; leave(): void };
}

const rungs = rungsOf();
const { gold, silver, bronze } = rungs;
const rule = { firstByteMs: 1000, totalMs: 5000 };
export const localPolicy: RoutingPolicy = {
  sla: {
    realtime: { ...rule, ladder: [gold, silver, bronze] },
    interactive: { ...rule, ladder: [silver, gold, bronze] },
    async: { ...rule, ladder: [bronze] },
  },
  aliases: new Map([["storyteller", { tier: "silver", model: "story-70b" }]]),
  rungs,
};

/** Repeats what the last message says, as `textOf` reads it. */
export function echo(text: string): Reply {
  const { messages } = JSON.parse(text);
  const content = messages.at(-1)?.content ?? "";
  const choices = [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }];
  return { chunks: [[10, JSON.stringify({ object: "chat.completion", choices })]] };
}

export function localScene(
  clock: Clock,
  {
    slots = 4,
    queueLimit = 4,
    silver = false,
  }: { slots?: number; queueLimit?: number; silver?: boolean } = {},
): LocalScene {
  const random = seededRandom(1);
  const spec = { name: "gold-1/vllm", tier: "gold", locality: "local", slots, queueLimit } as const;
  const other = { ...spec, name: "gold-1/silver", tier: "silver", slots: 1 } as const;
  const fleet = createFleet(
    (silver ? [spec, other] : [spec]).map((each) => ({
      spec: each,
      identity: each.name,
      models: ["story-70b"],
    })),
  );
  const endpoint = fleet.named(spec.name);
  if (endpoint === undefined) throw new Error("the engine is not in the fleet");
  const wire = fakeWire(clock, ({ body = [] }) => scene.reply(Buffer.concat(body).toString()));
  const rooms = createWaitingRooms(clock);
  const dispatch: Dispatch = createDispatch({
    fleet,
    rooms,
    evacuation: createEvacuation(rooms, clock),
    clock,
    random,
    budget: createRetryBudget(() => 4, clock.now()),
    quarantine: createQuarantine(),
    linkOf: () => ({
      client: wire.client,
      dialect: dialects.vllm,
      authorization: undefined,
      intentConstraint: () => dialects.vllm.intentConstraints[0],
    }),
    events: { attemptEnded: () => undefined, breakerMoved: () => undefined, hedged: () => undefined },
  });
  const playersFirst = createPlayersFirst({ fleet, clock, random });
  const runner = createLocalRunner({ dispatch, playersFirst, fleet, policy: () => localPolicy, clock });
  const forPlayers = playersFirst.around(dispatch);

  const scene: LocalScene = {
    runner,
    dispatch,
    fleet,
    wire,
    endpoint,
    reply: echo,
    play(more = {}) {
      const departure = new Departure();
      const played: ReturnType<LocalScene["play"]> = { leave: () => departure.abort() };
      void forPlayers(inference(clock.now(), more), departure).then((done) => {
        played.done = done;
      });
      return played;
    },
  };
  return scene;
}
