// What each caller, and each session of a caller, holds of one endpoint, and whether others want some of it. It counts and
// compares; whoever asks decides what follows. Bounded by what is held: an entry goes with its last request.

import type { Instant } from "../base/clock.ts";

export const flowRule = {
  /** Of an endpoint's slots, for one session and for one caller's key, where others have asked there of late. At least one. */
  sessionShare: 0.5,
  callerShare: 0.75,
  /** For all requests together that would rather be in another tier, whoever else asks. At least one. */
  spilledShare: 0.75,
  /** So long after others have asked it is still their endpoint, too. */
  othersMs: 10_000,
  /** So long a flow keeps away from a peer that has told it that it is over its share there. */
  turnedAwayMs: 250,
} as const;

/** Whose a request is. Without a session it is one of the caller's many; without a caller there are no keys. */
export interface Flow {
  readonly caller?: string | undefined;
  readonly session?: string | undefined;
}

/** On which terms a request holds a place at an endpoint. */
export interface Holds {
  /** Whose place it is; undefined: that of work which is bounded by other means. */
  readonly flow?: Flow | undefined;
  /** It would rather be in another tier. */
  readonly spilled?: boolean | undefined;
  /** It holds a part of the endpoint's share; see `EndpointView.sharing`. */
  readonly shares?: boolean | undefined;
}

interface Held {
  inflight: number;
  waiting: number;
}

interface CallerHeld extends Held {
  readonly sessions: Map<string, Held>;
  /** Of the requests without a session. */
  readonly loose: Held;
}

export function createFlows() {
  const callers = new Map<string | undefined, CallerHeld>();
  const bySession = createOthers(isSame);
  const byCaller = createOthers((a, b) => a.caller === b.caller);
  let spilledInflight = 0;
  let spilledWaiting = 0;
  let turnedAway: Flow | undefined;
  let turnedAwayUntil: Instant = 0;

  const callerOf = ({ caller }: Flow): CallerHeld => {
    const known = callers.get(caller);
    if (known !== undefined) return known;
    const fresh = { inflight: 0, waiting: 0, sessions: new Map(), loose: { inflight: 0, waiting: 0 } };
    callers.set(caller, fresh);
    return fresh;
  };

  const sessionIn = ({ sessions, loose }: CallerHeld, session: string | undefined): Held => {
    if (session === undefined) return loose;
    const known = sessions.get(session);
    if (known !== undefined) return known;
    const fresh = { inflight: 0, waiting: 0 };
    sessions.set(session, fresh);
    return fresh;
  };

  const add = ({ flow, spilled }: Holds, place: keyof Held, count: 1 | -1): void => {
    if (spilled === true) {
      if (place === "inflight") spilledInflight += count;
      else spilledWaiting += count;
    }
    // Where nobody says who he is there is nothing to tell apart.
    if (flow === undefined || (flow.caller === undefined && flow.session === undefined)) return;
    const caller = callerOf(flow);
    const held = sessionIn(caller, flow.session);
    caller[place] += count;
    held[place] += count;
    if (held.inflight + held.waiting > 0) return;
    if (flow.session !== undefined) caller.sessions.delete(flow.session);
    if (caller.inflight + caller.waiting === 0) callers.delete(flow.caller);
  };

  const sessionHeld = ({ caller, session }: Flow): Held | undefined =>
    session === undefined ? undefined : callers.get(caller)?.sessions.get(session);
  const callerHeld = ({ caller }: Flow): Held | undefined =>
    caller === undefined ? undefined : callers.get(caller);

  const flowsActive = (): number => {
    let active = 0;
    for (const { sessions, loose } of callers.values())
      active += sessions.size + (loose.inflight + loose.waiting > 0 ? 1 : 0);
    return active;
  };

  const asked = (flow: Flow | undefined, now: Instant): void => {
    if (flow === undefined) return;
    bySession.asked(flow, now);
    byCaller.asked(flow, now);
  };

  /** How much more than `flow` somebody holds who waits here; 0 where nobody does. */
  const mostOver = (flow: Flow): number => {
    let most = 0;
    const ownSession = sum(sessionHeld(flow));
    const ownCaller = sum(callerHeld(flow));
    for (const [caller, held] of callers) {
      if (flow.caller !== undefined && caller !== undefined && caller !== flow.caller && held.waiting > 0)
        most = Math.max(most, sum(held) - ownCaller);
      if (flow.session === undefined) continue;
      for (const [session, inSession] of held.sessions) {
        if (inSession.waiting === 0 || (caller === flow.caller && session === flow.session)) continue;
        most = Math.max(most, sum(inSession) - ownSession);
      }
    }
    return most;
  };

  /** How many of those who wait are likely to go before one more request of that flow: its own, and who holds less. */
  const ahead = (flow: Flow, waiting: number): number => {
    let bySessions = waiting;
    let byCallers = waiting;
    if (flow.session !== undefined) {
      const turn = sum(sessionHeld(flow)) + 1;
      for (const { sessions } of callers.values())
        for (const held of sessions.values()) bySessions -= goAfter(held, turn);
    }
    if (flow.caller !== undefined && callers.size > 1) {
      const turn = sum(callerHeld(flow)) + 1;
      for (const held of callers.values()) byCallers -= goAfter(held, turn);
    }
    return Math.max(0, Math.min(bySessions, byCallers));
  };

  return {
    ahead,
    /** Somebody wants a place here, whether he gets one or not. */
    asked,
    begun(holds: Holds, now: Instant): void {
      add(holds, "inflight", 1);
      asked(holds.flow, now);
    },
    ended: (holds: Holds): void => add(holds, "inflight", -1),
    entered(holds: Holds, now: Instant): void {
      add(holds, "waiting", 1);
      asked(holds.flow, now);
    },
    left: (holds: Holds): void => add(holds, "waiting", -1),
    /** A peer has said that this flow holds its share there. */
    turnedAway(flow: Flow | undefined, now: Instant): void {
      turnedAway = flow;
      turnedAwayUntil = now + flowRule.turnedAwayMs;
    },

    /** Whether such a request must stand back, though there may be free slots. */
    overShare(flow: Flow, spilled: boolean, slots: number, now: Instant): boolean {
      if (spilled && spilledInflight >= shareOf(slots, flowRule.spilledShare)) return true;
      // Nearly always so at most endpoints: nobody who can be told apart has anything there.
      if (callers.size === 0 && now >= turnedAwayUntil) return false;
      if (flow.session !== undefined && bySession.othersSince(flow, now - flowRule.othersMs)) {
        const held = sessionHeld(flow);
        if (held !== undefined && held.inflight >= shareOf(slots, flowRule.sessionShare)) return true;
      }
      if (flow.caller !== undefined && byCaller.othersSince(flow, now - flowRule.othersMs)) {
        const held = callerHeld(flow);
        if (held !== undefined && held.inflight >= shareOf(slots, flowRule.callerShare)) return true;
      }
      return turnedAway !== undefined && now < turnedAwayUntil && isSame(turnedAway, flow);
    },
    /** 0 while it holds less than its even part of the slots among those who hold or want some; else by how much it has more. */
    excess(flow: Flow, slots: number): number {
      const session = sessionHeld(flow);
      const ofSession = session === undefined ? 0 : session.inflight / Math.max(1, slots / flowsActive());
      const caller = callers.size > 1 ? callerHeld(flow) : undefined;
      const ofCaller = caller === undefined ? 0 : caller.inflight / Math.max(1, slots / callers.size);
      const most = Math.max(ofSession, ofCaller);
      return most < 1 ? 0 : most;
    },
    /** Whether somebody waits here who should make room for such a newcomer; see `rank` for whom. */
    displaces(holds: Holds): boolean {
      if (holds.spilled !== true && spilledWaiting > 0) return true;
      return holds.flow !== undefined && mostOver(holds.flow) > 1;
    },
    /** How good a reason it is that a waiter makes room for a newcomer; at most 0 where there is none. */
    yieldsTo(waiter: Holds, newcomer: Holds): number {
      if (waiter.spilled === true && newcomer.spilled !== true) return Number.POSITIVE_INFINITY;
      const { flow: his } = waiter;
      const { flow: own } = newcomer;
      if (his === undefined || own === undefined) return 0;
      let over = 0;
      if (his.session !== undefined && own.session !== undefined && !isSame(his, own))
        over = sum(sessionHeld(his)) - sum(sessionHeld(own));
      if (his.caller !== undefined && own.caller !== undefined && his.caller !== own.caller)
        over = Math.max(over, sum(callerHeld(his)) - sum(callerHeld(own)));
      return over > 1 ? over : 0;
    },
    /** How often every slot must fall free until one more request of that flow has its turn, where so many go before it. */
    turnsUntil(flow: Flow, before: number, slots: number, now: Instant): number {
      const ofAll = (before + 1) / slots;
      if (!bySession.othersSince(flow, now - flowRule.othersMs)) return ofAll;
      // Its own go one after the other, through its share alone.
      const own = sessionHeld(flow)?.waiting ?? 0;
      return Math.max(ofAll, (own + 1) / shareOf(slots, flowRule.sessionShare));
    },
    /** Entries kept; for tests of the bound. */
    get size() {
      let size = callers.size;
      for (const { sessions } of callers.values()) size += sessions.size;
      return size;
    },
  };
}

/** However small the share, one slot is in it. */
export const shareOf = (slots: number, share: number): number => Math.max(1, Math.floor(share * slots));

const isSame = (a: Flow, b: Flow): boolean => a.caller === b.caller && a.session === b.session;

/** Of those who wait for it, how many go after one whose flow will hold so many. */
const goAfter = ({ inflight, waiting }: Held, turn: number): number =>
  Math.max(0, waiting - Math.max(0, turn - inflight));

const sum = (held: Held | undefined): number => (held === undefined ? 0 : held.inflight + held.waiting);

/** Who asked last, and when somebody else did: enough to know of anybody whether there are others. */
function createOthers(isSame: (a: Flow, b: Flow) => boolean) {
  /** Of others nothing is known until there was somebody. */
  const last: { caller: string | undefined; session: string | undefined } = {
    caller: undefined,
    session: undefined,
  };
  let lastAt: Instant = Number.NEGATIVE_INFINITY;
  let otherAt: Instant = Number.NEGATIVE_INFINITY;

  return {
    asked(flow: Flow, now: Instant): void {
      if (!isSame(last, flow)) {
        otherAt = lastAt;
        last.caller = flow.caller;
        last.session = flow.session;
      }
      lastAt = now;
    },
    othersSince: (flow: Flow, since: Instant): boolean => (isSame(last, flow) ? otherAt : lastAt) >= since,
  };
}
