// Dispatch with a memory: gives an answer again while it is fresh, and asks once for what many ask at the same time.

import type { CacheControl, CacheSettings } from "../base/cache-control.ts";
import type { CacheRestore, RestoreRefusal } from "../base/cache-restore.ts";
import type { Clock } from "../base/clock.ts";
import type { Leaving } from "../base/departure.ts";
import type { Random } from "../base/random.ts";
import type { Flown } from "../base/single-flight.ts";
import { createSingleFlight } from "../base/single-flight.ts";
import type { Found } from "../base/ttl-lru.ts";
import { createTtlLru } from "../base/ttl-lru.ts";
import type { FleetView } from "../fleet/fleet.ts";
import { beginsInLane } from "../routing/route.ts";
import { answerKey } from "./answer-key.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Answer, Dispatched, Journey } from "./dispatched.ts";
import type { InferenceRequest } from "./inference-request.ts";
import type { KeptAnswer } from "./kept-answer.ts";
import { keptAnswer, weightOf } from "./kept-answer.ts";
import { refusalOf } from "./refusal.ts";
import { openResults, writeResults } from "./result-snapshot.ts";
import { stillServed } from "./still-served.ts";

export interface ResultCache {
  readonly dispatch: Dispatch;
  readonly control: CacheControl;
  /** The entries as bytes, most recently used first, as many as fit. */
  snapshot(maxBytes: number): Uint8Array;
  /** Takes a snapshot back that was written `elapsedMs` ago. */
  restore(bytes: Uint8Array, elapsedMs: number): CacheRestore | RestoreRefusal;
}

export interface ResultCacheParts {
  readonly dispatch: Dispatch;
  readonly fleet: FleetView;
  readonly settings: CacheSettings;
  readonly clock: Clock;
  readonly random: Random;
}

export function createResultCache({
  dispatch,
  fleet,
  settings,
  clock,
  random,
}: ResultCacheParts): ResultCache {
  const cache = createTtlLru<KeptAnswer>(settings, clock.now);
  const flights = createSingleFlight<Shared>(clock);

  const keep = (key: string, { path }: InferenceRequest, done: Dispatched): void => {
    const answer = keptAnswer(path, done);
    if (answer !== undefined) cache.keep(key, answer, weightOf(key, answer));
  };

  /** Its own question, whatever others ask; the answer is kept. */
  const askAlone = async (key: string, request: InferenceRequest, callerLeft: Leaving) => {
    cache.missed();
    const done = await dispatch(request, callerLeft);
    keep(key, request, done);
    return asMiss(done);
  };

  /** One question for all who wait. */
  const askForAll = async (key: string, request: InferenceRequest, abandoned: Leaving): Promise<Shared> => {
    const { deadline, session } = request;
    const done = await dispatch(request, abandoned);
    // All have left while it began: nobody will read it.
    if (abandoned.aborted && isRelayed(done)) {
      done.body.cancel("caller");
      return { done: { kind: "gone", journey: done.journey }, deadline, session, isTaken: false };
    }
    keep(key, request, done);
    return { done, deadline, session, isTaken: false };
  };

  const askTogether = async (
    key: string,
    request: InferenceRequest,
    callerLeft: Leaving,
  ): Promise<Dispatched> => {
    const since = clock.now();
    // A realtime request must not wait in an async one's place in the engine's queue, nor end where its ladder ends;
    // and who may end in the lane must not be refused with one who may not.
    const lane = request.laneMs === undefined ? "" : "lane ";
    const flightKey = `${lane}${request.sla} ${request.ladder.map(({ tier }) => tier).join(" ")} ${key}`;
    for (;;) {
      const asker = { left: callerLeft, deadline: request.deadline };
      const flown: Flown<Shared> = await flights.ask(flightKey, asker, (abandoned) =>
        askForAll(key, request, abandoned),
      );
      if (flown.end === "value" && flown.began) {
        cache.missed();
        flown.value.isTaken = true;
        return asMiss(flown.value.done);
      }
      const journey: Journey = {
        tried: [],
        queuedMs: 0,
        engineMs: clock.now() - since,
        because: "joined",
      };
      if (flown.end !== "value") {
        if (flown.end === "left" && flown.began) cache.missed();
        else cache.joined();
        if (flown.end === "left") return { kind: "gone", journey };
        return { kind: "refusal", ...refusalOf([], true, undefined, random), journey };
      }
      const { value } = flown;
      const { done } = value;
      // It ended for want of the first caller's time, and there is more.
      if (endedByTime(done) && request.deadline > value.deadline && !callerLeft.aborted) continue;
      // It was one too many of its session's, and this is another's.
      if (isOverShare(done) && request.session !== value.session && !callerLeft.aborted) continue;
      if (isRelayed(done)) {
        // One can read it, and who asked for it has left or comes first.
        if (value.isTaken) return askAlone(key, request, callerLeft);
        value.isTaken = true;
        cache.missed();
        return asMiss(done);
      }
      // Each is for the lane by its own time left, and there it is a job of its own.
      if (done.kind === "defer") return askAlone(key, request, callerLeft);
      cache.joined();
      return joined(done, journey);
    }
  };

  const joined = (done: Exclude<Dispatched, { kind: "defer" }>, journey: Journey): Dispatched => {
    switch (done.kind) {
      case "answer":
        return { ...done, attempts: 0, answeredAt: clock.now(), journey, cache: "join" };
      case "refusal":
        // What was shed before any attempt is shed for all who waited, for the same reason.
        return done.journey.tried.length === 0
          ? { ...done, journey: { ...journey, because: done.journey.because } }
          : { ...done, journey };
      case "gone":
        return { kind: "gone", journey };
    }
  };

  const again = ({ value, ageMs }: Found<KeptAnswer>): Answer => ({
    kind: "answer",
    status: 200,
    headers: value.headers,
    body: value.body,
    answeredBy: value.answeredBy,
    attempts: 0,
    answeredAt: clock.now(),
    journey: { tried: [], queuedMs: 0, engineMs: 0, because: "cached" },
    cache: "hit",
    ageMs,
  });

  return {
    control: cache,
    snapshot: (maxBytes) => writeResults(cache.kept(), maxBytes),
    restore: (bytes, elapsedMs) =>
      openResults(bytes, (key, { answer, ageMs, ttlMs }) =>
        cache.restore(key, {
          value: answer,
          bytes: weightOf(key, answer),
          ageMs: ageMs + elapsedMs,
          ttlMs,
        }),
      ),
    dispatch(request, callerLeft) {
      const { reuse } = request;
      if (reuse === undefined || !cache.settings().enabled) return dispatch(request, callerLeft);
      // Whose answer is a job is given an earlier one as a job, too.
      if (beginsInLane(request)) return dispatch(request, callerLeft);
      const key = answerKey(request, reuse.parsed);
      if (key === undefined) return dispatch(request, callerLeft);
      if (!reuse.takesKept) return askAlone(key, request, callerLeft);
      const found = cache.find(key, (kept) => stillServed(request, kept, fleet));
      return found === undefined ? askTogether(key, request, callerLeft) : Promise.resolve(again(found));
    },
  };
}

/** What became of a question that several asked. */
interface Shared {
  readonly done: Dispatched;
  /** Of the request that was sent, as is the session. */
  readonly deadline: number;
  readonly session: string | undefined;
  /** An answer that is relayed has one reader. */
  isTaken: boolean;
}

const asMiss = (done: Dispatched): Dispatched => (done.kind === "answer" ? { ...done, cache: "miss" } : done);

const isRelayed = (
  done: Dispatched,
): done is Answer & { readonly body: Exclude<Answer["body"], Uint8Array> } =>
  done.kind === "answer" && !(done.body instanceof Uint8Array);

const isOverShare = (done: Dispatched): boolean =>
  done.kind === "refusal" && done.journey.because === "over-share";

/** `too-late` is said of the time that one request has. */
const endedByTime = (done: Dispatched): boolean =>
  done.kind === "refusal" && (done.code === "deadline_exceeded" || done.journey.because === "too-late");
