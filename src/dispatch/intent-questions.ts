// Asks engines about situations: once for each at a time, within the share, the urgent first. What becomes of the odds,
// and who waits for them, is not its business.

import type { Instant } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { readIntentOdds } from "../engines/intent-question.ts";
import type { Locality } from "../fleet/endpoint.ts";
import type { FleetView } from "../fleet/fleet.ts";
import type { Archetype, Archetypes } from "../intents/archetype.ts";
import type { RoutingRequest } from "../routing/request.ts";
import { route } from "../routing/route.ts";
import type { RoutingPolicy } from "../routing/sla.ts";
import { resolveAsked } from "../routing/sla.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Dispatched } from "./dispatched.ts";
import type { IntentQueue } from "./intent-queue.ts";
import { createIntentQueue, unhurried } from "./intent-queue.ts";
import { createIntentRequests } from "./intent-request.ts";

export const questionRule = {
  /** At least so long, whatever the NPC's deadline: an answer that is late for one is in time for the next. */
  limitMs: 2000,
  /** Questions in the queue, all ladders together: some 5 MB, and more than any engine answers while one is useful. */
  queuedMost: 16_384,
  /** What nobody waits for is not asked later than this: the NPCs have moved on. */
  unwaitedMostMs: 2000,
  /** So many failures in a row, and an archetype's questions pause. A broken prompt opens no breaker. */
  failuresMost: 3,
  pauseMs: 100,
} as const;

/** `failed`: no engine gave an answer; `unreadable`: one did, but no odds; `dropped`: it was never sent. */
export type QuestionOutcome = "answered" | "failed" | "unreadable" | "dropped";

export interface Question {
  readonly archetype: Archetype;
  readonly situation: number;
}

export interface Said {
  readonly odds: readonly number[];
  /** Where the engine is that said so. */
  readonly locality: Locality;
}

export interface IntentQuestionsParts {
  readonly dispatch: Dispatch;
  readonly fleet: FleetView;
  readonly policy: () => RoutingPolicy;
  readonly now: () => Instant;
  readonly random: Random;
  /** Called exactly once for each question; while `ask` runs, for the one that it then does not give out. `said` where answered. */
  readonly ended: (question: Question, outcome: QuestionOutcome, said: Said | undefined) => void;
  /** An engine of this host has answered, and not the question: it refuses what it once took, or says something else. */
  readonly misanswered: (endpoint: string) => void;
}

export interface IntentQuestions {
  readonly load: { readonly queued: number; readonly asked: number };
  /** The one about this situation that is queued or asked. */
  underWay(archetype: Archetype, situation: number): Question | undefined;
  /**
   * `urgency`: until when somebody waits for it. Undefined: there is nobody to ask now, or no place, or the archetype is none of this set.
   */
  ask(archetype: Archetype, situation: number, urgency: Instant): Question | undefined;
  /** Somebody more waits for it, or, `unhurried`, nobody any more. */
  want(question: Question, urgency: Instant): void;
  /** Takes over another set. What is queued ends now, what is asked ends when its answer comes. */
  reconfigure(archetypes: Archetypes, share: number): void;
  /** Ends everything. */
  stop(): void;
}

interface OpenQuestion extends Question {
  readonly key: number;
  readonly asking: Asking;
  readonly since: Instant;
  urgency: Instant;
  state: "queued" | "asked" | "over";
}

/** How one archetype's questions are asked. */
interface Asking {
  readonly archetype: Archetype;
  readonly lane: Lane;
  failuresInARow: number;
  pausedUntil: Instant;
}

/** All questions that climb the same ladder to the same model. A hung one must not hold up its neighbours. */
interface Lane {
  /** As the archetypes name it. */
  readonly model: string | undefined;
  readonly queue: IntentQueue<OpenQuestion>;
}

export function createIntentQuestions(parts: IntentQuestionsParts): IntentQuestions {
  const { dispatch, fleet, policy, now, random } = parts;
  const write = createIntentRequests(random);
  const stopping = new AbortController();
  let share = 1;
  /** By the archetype's id. */
  let askings: readonly Asking[] = [];
  let lanes: readonly Lane[] = [];
  /** By the key of the table. */
  let underWay = new Map<number, OpenQuestion>();
  /** At dispatch, of whichever set. */
  let outstanding = 0;

  const askingOf = (archetype: Archetype): Asking | undefined => {
    const asking = askings[archetype.id];
    return asking?.archetype === archetype ? asking : undefined;
  };

  const routingOf = (lane: Lane, at: Instant, until: Instant = at): RoutingRequest => {
    const asked = resolveAsked(policy(), "realtime", lane.model);
    return {
      ...asked,
      stream: false,
      oneToken: true,
      deadline: Math.max(until, at + questionRule.limitMs),
      share,
    };
  };

  /** `held`: the share is taken, and the end of one of ours will make room. */
  const gateOf = (lane: Lane, at: Instant): "open" | "held" | "shut" => {
    const decision = route(routingOf(lane, at), fleet, [], at, random);
    if (decision.do !== "shed") return "open";
    return decision.because === "no-endpoint" || outstanding === 0 ? "shut" : "held";
  };

  const pauseIfFailing = (asking: Asking): void => {
    if (asking.failuresInARow >= questionRule.failuresMost) asking.pausedUntil = now() + questionRule.pauseMs;
  };

  const end = (question: OpenQuestion, outcome: QuestionOutcome, said?: Said): void => {
    question.state = "over";
    if (underWay.get(question.key) === question) underWay.delete(question.key);
    const { asking } = question;
    if (outcome === "answered") {
      asking.failuresInARow = 0;
      asking.pausedUntil = 0;
    }
    if (outcome === "failed" || outcome === "unreadable") {
      asking.failuresInARow += 1;
      pauseIfFailing(asking);
    }
    parts.ended(question, outcome, said);
  };

  const send = async (question: OpenQuestion): Promise<void> => {
    const { archetype, situation, asking } = question;
    const at = now();
    let outcome: QuestionOutcome = "failed";
    let said: Said | undefined;
    question.state = "asked";
    outstanding += 1;
    // After a pause one question goes out and shows whether the others may.
    pauseIfFailing(asking);
    try {
      const until = question.urgency === unhurried ? at : question.urgency;
      const request = write(archetype, situation, routingOf(asking.lane, at, until), at);
      const dispatched = await dispatch(request, stopping.signal);
      const body = bodyOf(dispatched);
      const odds = body && readIntentOdds(body, archetype.actions.length);
      if (body !== undefined) outcome = odds === undefined ? "unreadable" : "answered";
      if (dispatched.kind === "answer") {
        const { name, locality } = dispatched.answeredBy;
        if (odds !== undefined) said = { odds, locality };
        // How an engine behind a peer is asked, and whether it obeys, is that peer's to find out.
        else if (locality === "local") parts.misanswered(name);
      }
    } finally {
      outstanding -= 1;
      end(question, outcome, said);
      pumpAll();
    }
  };

  const pump = (lane: Lane): void => {
    for (let question = lane.queue.next(); question !== undefined; question = lane.queue.next()) {
      const at = now();
      const tooOld = question.urgency === unhurried && at - question.since > questionRule.unwaitedMostMs;
      const gate = tooOld || at < question.asking.pausedUntil ? "shut" : gateOf(lane, at);
      if (gate === "held") return;
      lane.queue.remove(question, question.urgency);
      if (gate === "open") void send(question);
      else end(question, "dropped");
    }
  };

  const pumpAll = (): void => {
    for (const lane of lanes.toSorted((a, b) => byUrgency(a.queue, b.queue))) pump(lane);
  };

  const setUp = (all: readonly Archetype[]): void => {
    const models = [...new Set(all.map(({ model }) => model))];
    const queuedMost = Math.max(1, Math.floor(questionRule.queuedMost / models.length));
    const before = lanes;
    lanes = models.map((model) => ({ model, queue: createIntentQueue(queuedMost) }));
    askings = all.flatMap((archetype) => {
      const lane = lanes.find(({ model }) => model === archetype.model);
      return lane === undefined ? [] : [{ archetype, lane, failuresInARow: 0, pausedUntil: 0 }];
    });
    underWay = new Map();
    for (const { queue } of before) {
      for (let question = queue.next(); question !== undefined; question = queue.next()) {
        queue.remove(question, question.urgency);
        end(question, "dropped");
      }
    }
  };

  return {
    get load() {
      return { queued: lanes.reduce((sum, { queue }) => sum + queue.size, 0), asked: outstanding };
    },
    underWay: (archetype, situation) => askingOf(archetype) && underWay.get(archetype.offset + situation),
    ask(archetype, situation, urgency) {
      const asking = askingOf(archetype);
      const at = now();
      if (asking === undefined || at < asking.pausedUntil) return undefined;
      const { lane } = asking;
      const gate = gateOf(lane, at);
      if (gate === "shut") return undefined;
      const key = archetype.offset + situation;
      const question: OpenQuestion = {
        archetype,
        situation,
        key,
        asking,
        since: at,
        urgency,
        state: "queued",
      };
      underWay.set(key, question);
      if (gate === "open" && lane.queue.size === 0) {
        void send(question);
      } else {
        const crowdedOut = lane.queue.put(question, urgency);
        if (crowdedOut !== undefined) end(crowdedOut, "dropped");
        if (gate === "open") pump(lane);
      }
      return question.state === "over" ? undefined : question;
    },
    want(wanted, urgency) {
      const question = underWay.get(wanted.archetype.offset + wanted.situation);
      if (question !== wanted || question.state !== "queued") return;
      const { queue } = question.asking.lane;
      const before = question.urgency;
      // The most urgent of those who wait counts.
      if (urgency !== unhurried && before <= urgency) return;
      queue.remove(question, before);
      question.urgency = urgency;
      queue.put(question, urgency);
    },
    reconfigure(archetypes, nextShare) {
      share = nextShare;
      setUp(archetypes.all);
    },
    stop() {
      stopping.abort();
      setUp([]);
    },
  };
}

/** The bytes of a good answer that came whole. */
function bodyOf(dispatched: Dispatched): Uint8Array | undefined {
  if (dispatched.kind !== "answer") return undefined;
  const { body, status } = dispatched;
  if (body instanceof Uint8Array) return status === 200 ? body : undefined;
  // A megabyte, or a stream that nobody asked for: no answer to a question for one token.
  body.cancel("caller");
  return undefined;
}

function byUrgency(a: IntentQueue<unknown>, b: IntentQueue<unknown>): number {
  if (a.urgency === b.urgency) return 0;
  return a.urgency < b.urgency ? -1 : 1;
}
