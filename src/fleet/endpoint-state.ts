// One endpoint as we know it: load, health, breakers, silence. It changes by what it is told, never by looking.

import type { Instant } from "../base/clock.ts";
import { earlier } from "../base/earlier.ts";
import { hash32 } from "../base/hash32.ts";
import type { Random } from "../base/random.ts";
import type { EndpointSpec } from "./endpoint.ts";
import type { EngineGauges, Health } from "./endpoint-view.ts";
import type { Flow, Holds } from "./flows.ts";
import { createFlows } from "./flows.ts";
import type { HedgeDelay } from "./hedge-delay.ts";
import { createHedgeDelay } from "./hedge-delay.ts";
import { createHoldTimes } from "./hold-times.ts";
import { createLatency } from "./latency.ts";
import type { EngineState, Load } from "./load.ts";
import { asCount } from "./load.ts";
import { createModelBreakers } from "./model-breakers.ts";
import type { Outcome } from "./outcome.ts";
import { outcomeRow } from "./outcome.ts";
import type { PeerEndpoint, PeerView } from "./peer.ts";
import { refusalOf, slotsBehind } from "./peer.ts";
import { createPushBack } from "./push-back.ts";
import { createRoomOrder } from "./room-order.ts";
import { createSilence, quietLimitMs } from "./silence.ts";
import { createSlotLimit } from "./slot-limit.ts";
import { slowStartWeight } from "./slow-start.ts";

const endpointRule = {
  barMs: 300,
  /** Engine gauges older than this are unknown. */
  gaugesStaleMs: 3000,
  /** Share of the newest outcome in the running share of failures, and how fast that is forgotten. */
  troubleShare: 0.1,
  troubleForgetMs: 5000,
  /** Who has less time than all but this part of the answers took has too little. */
  leastShare: 0.05,
} as const;

export type EndpointState = ReturnType<typeof createEndpointState>;

export function createEndpointState(
  initial: EndpointSpec,
  initialModels: readonly string[] | undefined,
  behind?: PeerEndpoint,
) {
  /** Its slots are those that it has now, by its own word. */
  let spec = initial;
  const limit = createSlotLimit(initial.slots);
  const nameHash = hash32(initial.name);
  let pinnedModels = initialModels;
  const breakers = createModelBreakers();
  const latency = createLatency();
  const holdTimes = createHoldTimes();
  /** Made with the first call of their sort: most peers never get one. */
  let streamDelay: HedgeDelay | undefined;
  let questionDelay: HedgeDelay | undefined;
  const silence = createSilence();
  const flows = createFlows();
  const roomOrder = createRoomOrder();
  /** Kept beside a pin, for the prober tells a list only once. */
  let listedModels: readonly string[] | undefined;
  let health: Health = "unknown";
  let inflight = 0;
  let calls = 0;
  let inflightStreams = 0;
  let waiting = 0;
  let sharing = 0;
  let lastPick = 0;
  let barredUntil = 0;
  const pushBack = createPushBack();
  /** Of requests that may hold only a share. */
  const sharePushBack = createPushBack();
  let backSince: Instant | undefined;
  let gauges: EngineGauges = {};
  let gaugesAt = Number.NEGATIVE_INFINITY;
  let trouble = 0;
  let troubleAt = 0;

  const troubleNow = (now: Instant): number =>
    trouble === 0 ? 0 : trouble * Math.exp((troubleAt - now) / endpointRule.troubleForgetMs);

  const noteTrouble = (failed: boolean, now: Instant): void => {
    if (!failed && trouble === 0) return;
    const share = endpointRule.troubleShare;
    trouble = troubleNow(now) * (1 - share) + (failed ? share : 0);
    if (trouble < 0.001) trouble = 0;
    troubleAt = now;
  };

  const noteDelay = (outcome: Outcome, now: Instant): void => {
    let delay: HedgeDelay;
    if (outcome.stream) delay = streamDelay ??= createHedgeDelay();
    else if (outcome.oneToken === true) delay = questionDelay ??= createHedgeDelay();
    else return;
    const { kind, firstByteMs, totalMs } = outcome;
    const cut = outcomeRow(kind).cut === true;
    if (firstByteMs === undefined) {
      if (cut) delay.cutOff(totalMs, now);
    } else if (cut || kind === "ok") delay.answered(firstByteMs, now);
  };

  /** A peer's router knows better. */
  const setSlots = (): void => {
    if (behind === undefined && limit.slots !== spec.slots) spec = { ...spec, slots: limit.slots };
  };

  const usedByOthers = (now: Instant): number => behind?.load.usedByOthers(spec.slots, now) ?? 0;

  const peer: PeerView | undefined = behind && {
    host: behind.host,
    refusal: (now) => refusalOf(behind, now),
    freeSlots: (now) => Math.floor(spec.slots - usedByOthers(now) - inflight),
    permits: () => behind.load.permits(spec.slots, inflight),
    joining(now) {
      const slots = slotsBehind(spec.slots, behind.host, now);
      if (slots >= spec.slots) return false;
      return slots - usedByOthers(now) - inflight < 1 || !behind.load.permits(slots, inflight);
    },
  };

  /** The engine's own word, while it is fresh. */
  const saidByEngine = (now: Instant): EngineGauges =>
    now - gaugesAt <= endpointRule.gaugesStaleMs ? gauges : {};

  return {
    get spec() {
      return spec;
    },
    nameHash,
    peer,
    get models() {
      return pinnedModels ?? listedModels;
    },
    get inflight() {
      return inflight;
    },
    /** All that were ever begun from here. */
    get calls() {
      return calls;
    },
    get waiting() {
      return waiting;
    },
    get sharing() {
      return sharing;
    },
    get health() {
      return health;
    },
    get silent() {
      return silence.silent;
    },
    get lastPick() {
      return lastPick;
    },
    barred: (now: Instant) => now < barredUntil || behind?.bar.barred(now) === true,
    pushedBack: (now: Instant, shares = false) =>
      pushBack.active(now) || (shares && sharePushBack.active(now)),
    breakerAdmits: breakers.admits,
    /** When the first of what keeps it from taking more is over by itself; undefined: nothing of that sort does. */
    admitsAt(now: Instant): Instant | undefined {
      const bar = now < barredUntil ? barredUntil : undefined;
      const pushed = earlier(pushBack.activeUntil(now), sharePushBack.activeUntil(now));
      return earlier(earlier(bar, pushed), breakers.admitsAt(now));
    },
    breakerState: breakers.state,
    pressure(now: Instant): number {
      let full = (inflight + waiting) / spec.slots;
      if (behind !== undefined) {
        full = (inflight + usedByOthers(now)) / slotsBehind(spec.slots, behind.host, now);
        full = Math.max(full, (behind.load.known(now)?.kvPercent ?? 0) / 100);
      } else if (now - gaugesAt <= endpointRule.gaugesStaleMs) {
        // The engine may serve others too; its own figures lag by seconds, so they only ever add.
        const engineLoad = ((gauges.running ?? 0) + (gauges.waiting ?? 0)) / spec.slots;
        full = Math.max(full, engineLoad, gauges.kvUsage ?? 0);
      }
      return full / slowStartWeight(backSince, now) + troubleNow(now);
    },
    recentFirstByteMs(now: Instant): number | undefined {
      return latency.recentFirstByteMs(now) ?? behind?.load.known(now)?.firstByteMs;
    },
    /** What its host tells others of it. */
    load(now: Instant): Load {
      const { running = 0, waiting: queued = 0, kvUsage } = saidByEngine(now);
      const firstByteMs = latency.recentFirstByteMs(now);
      return {
        at: Math.round(now),
        inflight: asCount(Math.max(inflight, running)),
        waiting: asCount(Math.max(waiting, queued)),
        kvPercent: kvUsage === undefined ? undefined : Math.round(Math.min(1, Math.max(0, kvUsage)) * 100),
        firstByteMs: firstByteMs === undefined ? undefined : Math.round(firstByteMs),
      };
    },
    /** What a peer's router said last of it; undefined where that is stale, or it is an engine of this host. */
    said: (now: Instant): Load | undefined => behind?.load.known(now),
    firstByteMs: latency.firstByteMs,
    hedgeAfterMs: (stream: boolean) => (stream ? streamDelay : questionDelay)?.afterMs,
    expectedWaitMs(
      waiter?: Holds,
      deadline?: Instant,
      now: Instant = Number.POSITIVE_INFINITY,
    ): number | undefined {
      const holdMs = latency.holdMs();
      if (holdMs === undefined) return undefined;
      if (waiter === undefined) return (holdMs * (waiting + 1)) / spec.slots;
      const { flow, spilled = false } = waiter;
      if (flow === undefined) return (holdMs * (roomOrder.before(spilled, deadline) + 1)) / spec.slots;
      // Who holds more than an even part of the slots goes behind those who do not, however urgent.
      const isEven = flows.excess(flow, spec.slots) === 0;
      let before = roomOrder.before(spilled, isEven ? deadline : undefined);
      // Behind those who are at home it waits whoever they are.
      if (!spilled) before = Math.min(before, flows.ahead(flow, waiting));
      return holdMs * flows.turnsUntil(flow, before, spec.slots, now);
    },
    leastMs: (stream: boolean) => latency.firstByteMs(stream, endpointRule.leastShare),
    enoughMs: holdTimes.enoughMs,
    overShare: (flow: Flow, spilled: boolean, now: Instant) =>
      flows.overShare(flow, spilled, spec.slots, now),
    displaces: flows.displaces,
    /** Of waiters: who holds more than an even part lets the others go first. */
    excess: (flow: Flow): number => flows.excess(flow, spec.slots),
    yieldsTo: flows.yieldsTo,

    // What the floors above tell.

    /** Somebody found no place here. */
    missedBy(flow: Flow, now: Instant): void {
      flows.asked(flow, now);
    },
    begin(model: string, stream: boolean, pick: number, now: Instant, holds: Holds = {}): void {
      inflight += 1;
      calls += 1;
      if (inflight >= spec.slots) {
        limit.reached(now);
        setSlots();
      }
      flows.begun(holds, now);
      if (holds.shares === true) sharing += 1;
      if (stream) inflightStreams += 1;
      lastPick = pick;
      breakers.begin(model, now);
      // Of a peer's slots its router tells everybody.
      if (behind === undefined) pushBack.tried(now);
      silence.owed(now);
    },
    heard(now: Instant): void {
      if (silence.heard(now)) backSince = now;
    },
    end(outcome: Outcome, now: Instant, random: Random): "opened" | "closed" | undefined {
      inflight -= 1;
      flows.ended(outcome);
      if (outcome.kind === "over-share") flows.turnedAway(outcome.flow, now);
      if (outcome.shares === true) sharing -= 1;
      if (outcome.stream) inflightStreams -= 1;
      const { answered, failure, load, bars } = outcomeRow(outcome.kind);
      const left = outcome.kind === "cancelled" || outcome.kind === "deadline";
      // A hedge that is not needed any more had hardly begun.
      if (left && outcome.firstByteMs === undefined && outcome.beaten !== "hedge") silence.abandoned();
      if (inflight === 0) silence.settled();
      behind?.load.ended(inflight);
      if (outcome.firstByteMs !== undefined && outcome.kind === "ok") {
        const { like, stream, totalMs } = outcome;
        latency.add(stream, outcome.firstByteMs, totalMs, now);
        if (like !== undefined) holdTimes.add(like, stream, totalMs, now);
      }
      const outrun = outcome.beaten === "first";
      // Or whoever loses to hedges would be known by the answers that were quick.
      if (outrun) latency.atLeast(outcome.stream, outcome.totalMs, now);
      noteDelay(outcome, now);
      if (bars) barredUntil = now + endpointRule.barMs;
      // A router that refuses or resets does so for all its engines.
      if (bars) behind?.bar.bar(endpointRule.barMs, now);
      // Another router may have room for everybody but those who hold no more than a share.
      const ofShare = behind !== undefined && outcome.shares === true;
      // And it sends jobs away for the sake of others.
      const ofJob = behind !== undefined && outcome.yields === true;
      if (load && !ofJob) (ofShare ? sharePushBack : pushBack).pushed(outcome.retryAfterMs, now);
      else if (outcome.kind === "ok") {
        pushBack.answered();
        if (ofShare) sharePushBack.answered();
      }
      // Who was stopped before an answer says nothing about answers.
      // And who was outrun gives up its slot early, so that it must not look the less loaded for it.
      const troubled = failure !== undefined || outrun || (load === true && !ofShare && !ofJob);
      if (troubled || answered === true) noteTrouble(troubled, now);
      const change = breakers.record(outcome.model, outcome.kind, now, random);
      if (change === "closed") backSince = now;
      return change;
    },
    enterRoom(holds: Holds, deadline: Instant, now: Instant): void {
      waiting += 1;
      roomOrder.entered(deadline, holds.spilled === true);
      flows.entered(holds, now);
      if (holds.shares === true) sharing += 1;
    },
    leaveRoom(holds: Holds, deadline: Instant): void {
      waiting -= 1;
      roomOrder.left(deadline, holds.spilled === true);
      flows.left(holds);
      if (holds.shares === true) sharing -= 1;
    },
    setHealth(next: Health, now: Instant): void {
      if (health === "unhealthy" && next === "ok") {
        backSince = now;
        barredUntil = 0;
        breakers.restarted(now);
      }
      health = next;
    },
    reconfigure(next: EndpointSpec, nextModels: readonly string[] | undefined): void {
      limit.reconfigure(next.slots);
      spec = { ...next, slots: behind === undefined ? limit.slots : next.slots };
      pinnedModels = nextModels;
    },
    /** What a peer's router said with an answer. */
    told(load: Load, now: Instant): void {
      behind?.bar.heard(load.at, now);
      behind?.load.hinted(load, inflight, now);
    },
    /** What a peer's router told everybody. */
    announced(state: EngineState, load: Load, now: Instant): void {
      if (behind === undefined) return;
      if (behind.state !== "ok" && state === "ok") backSince = now;
      behind.state = state;
      behind.bar.heard(load.at, now);
      behind.load.announced(load, inflight, now);
    },
    setModels(next: readonly string[]): void {
      listedModels = next;
    },
    /** Answers whether it has more slots than before. */
    setGauges(next: EngineGauges, now: Instant): boolean {
      gauges = next;
      gaugesAt = now;
      const before = spec.slots;
      limit.said(next.running, next.waiting, inflight, now);
      setSlots();
      return limit.slots > before;
    },
    /** The recovery question was answered: the next call to each model may be the test call. */
    answeredAgain(now: Instant): void {
      breakers.invite(now);
      if (silence.heard(now)) backSince = now;
    },
    /** By the streams in flight where there are any, since they owe their first byte sooner. */
    quietLimitMs(): number {
      const stream = inflightStreams > 0;
      return quietLimitMs(stream, latency.firstByteMs(stream, 0.99));
    },
    silence: {
      due: silence.due,
      looking: silence.looking,
      looked: silence.looked,
    },
  };
}
