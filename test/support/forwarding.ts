// A router of a fleet as a peer sees it: its public listener, its seals, and one scripted engine behind it.

import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createDispatch } from "../../src/dispatch/dispatch.ts";
import type { LinkToEngine } from "../../src/dispatch/engine-link.ts";
import { createEvacuation } from "../../src/dispatch/evacuation.ts";
import { createRetryBudget } from "../../src/dispatch/retry-budget.ts";
import { createWaitingRooms } from "../../src/dispatch/waiting-room.ts";
import { dialects } from "../../src/engines/engine.ts";
import type { EndpointState } from "../../src/fleet/endpoint-state.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import { createQuarantine } from "../../src/fleet/quarantine.ts";
import type { Forwarded, ForwardSeals } from "../../src/host/forwarded.ts";
import { createForwardSeals } from "../../src/host/forwarded.ts";
import type { Refused } from "../../src/host/sealed-message.ts";
import type { Door, DoorSettings } from "../../src/http/door.ts";
import { listen } from "../../src/http/listen.ts";
import { createPublicApp } from "../../src/http/public.ts";
import { createPeerLinks } from "../../src/peer-links.ts";
import { advertWith, engineThere } from "./adverts.ts";
import type { FakeWire, Reply } from "./fake-wire.ts";
import { fakeWire } from "./fake-wire.ts";
import type { NpcDoor } from "./npc-door.ts";
import { npcDoor } from "./npc-door.ts";
import { rungsOf } from "./rungs.ts";
import { sealing } from "./seals.ts";

export const chat = "/v1/chat/completions";
export const ours = "gold-1/vllm";
const nowhere = "http://127.0.0.1:9";

const rungs = rungsOf();
const rule = { ladder: [rungs.gold, rungs.silver], firstByteMs: 1000, totalMs: 5000 };
const policy: DoorSettings["policy"] = {
  sla: { realtime: rule, interactive: rule, async: rule },
  aliases: new Map(),
  rungs,
};

export interface Forwarding {
  readonly door: NpcDoor;
  readonly url: string;
  /** The engine of this host; `wireOf` is also that of the peers. */
  readonly engine: FakeWire;
  readonly peerWire: FakeWire;
  readonly endpoint: EndpointState;
  /** Seals that were refused. */
  readonly refused: Refused[];
  /** Another router of the fleet, which has no listener. */
  readonly sender: ForwardSeals;
  claim(more?: Partial<Forwarded>): Forwarded;
  /** POST of a chat, under the sender's seal where there is a claim; `headers` come last. */
  post(body: unknown, claim?: Forwarded, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** A peer with one engine comes into the fleet; without a URL it is as scripted as the engine here. */
  addPeer(tier?: "gold" | "silver", name?: string, url?: string): void;
  stop(): Promise<void>;
}

export interface ForwardingOptions extends Partial<DoorSettings> {
  readonly name?: string;
  readonly tier?: "gold" | "silver";
  readonly secret?: string;
  readonly slots?: number;
  readonly reply?: Reply;
  /** A router that is in no fleet. */
  readonly isAlone?: boolean;
  /** By how much this host's clock is ahead of the sender's. */
  readonly aheadMs?: number;
  readonly dispatch?: Door["dispatch"];
}

export function openForwarding(options: ForwardingOptions = {}): Forwarding {
  const { name = "gold-1", tier: ownTier = "gold", secret = "secret", ...rest } = options;
  const { slots = 2, reply = whole('{"id":"a"}'), isAlone = false, aheadMs = 0, ...settings } = rest;
  const own = `${name}/vllm`;
  const clock = systemClock;
  const random = seededRandom(1);
  const base = npcDoor(() => undefined, { policy, ...settings });
  const fleet = createFleet(
    [
      {
        spec: { name: own, tier: ownTier, locality: "local", slots, queueLimit: 4 },
        identity: own,
        models: ["m", "n"],
      },
    ],
    { name, zone: undefined },
  );
  const endpoint = fleet.named(own);
  if (endpoint === undefined) throw new Error("the engine is not in the fleet");
  const engine = fakeWire(clock, () => reply);
  const peerWire = fakeWire(clock, () => whole('{"id":"peer"}'));
  const rooms = createWaitingRooms(clock);
  const dispatch = createDispatch({
    fleet,
    rooms,
    evacuation: createEvacuation(rooms, clock),
    clock,
    random,
    budget: createRetryBudget(() => 4, clock.now()),
    quarantine: createQuarantine(),
    linkOf: (to) => peerLinks.of(to)?.link ?? scripted(to === endpoint ? engine : peerWire),
    events: { attemptEnded: () => undefined, breakerMoved: () => undefined, hedged: () => undefined },
  });

  const sealsOf = (name: string, ms: number): ForwardSeals =>
    createForwardSeals(
      sealing({ ...clock, wallMs: () => clock.wallMs() + ms }, { name, fleet: "test", keys: [secret] }),
    );
  const seals = sealsOf(name, aheadMs);
  const sender = sealsOf("nobody", 0);
  const peerLinks = createPeerLinks({ seals, clock, random, log: base.log, onBack: () => undefined });
  const refused: Refused[] = [];
  const forwarded = { open: seals.open, refused: (why: Refused) => void refused.push(why) };
  const cluster = { ...base.cluster, forwarded: isAlone ? undefined : forwarded };
  const door = { ...base, fleet, cluster, dispatch: options.dispatch ?? dispatch };
  const { url, stop } = listen(createPublicApp(door), { hostname: "127.0.0.1", port: 0 }, door.log);

  return {
    door,
    url,
    engine,
    peerWire,
    endpoint,
    refused,
    sender,
    claim: (more = {}) => ({
      caller: "lobby",
      tier: "gold",
      endpoint: ours,
      model: "exact",
      body: "request",
      ...more,
    }),
    post(body, claim, headers = {}) {
      const sealed = claim && { "x-tierline-peer": sender.seal(`POST ${chat}`, claim, 0).header };
      return fetch(`${url}${chat}`, {
        method: "POST",
        headers: { ...sealed, ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
      });
    },
    addPeer(tier = "gold", peerName = "silver-1", url?: string) {
      const now = clock.now();
      fleet.setPeer(
        {
          name: peerName,
          boot: "1",
          state: "alive",
          advertAt: now,
          advert: advertWith([engineThere({ tier })], { public: url ?? nowhere }),
        },
        now,
      );
      if (url !== undefined) peerLinks.sync(fleet.peers, false);
    },
    async stop() {
      peerLinks.stop();
      await stop(true);
    },
  };
}

const scripted = ({ client }: FakeWire): LinkToEngine => ({
  client,
  dialect: dialects.openai,
  authorization: undefined,
  intentConstraint: () => dialects.openai.intentConstraints[0],
});

export const whole = (text: string, status = 200, headers: Record<string, string> = {}): Reply => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  chunks: [[0, text]],
});
