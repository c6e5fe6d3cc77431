// How one attempt ended, as a row of facts. Who reacts to which fact is written beside the reaction.

import type { Holds } from "./flows.ts";

export interface OutcomeRow {
  /** The endpoint did its work, whatever the caller thinks of the answer. */
  readonly answered?: true;
  /** `local`: the endpoint never gave a usable answer. `remote`: it answered, and the answer was a failure. */
  readonly failure?: "local" | "remote";
  /** The endpoint is full, not broken: it costs weight, never the breaker. */
  readonly load?: true;
  /** Nobody listens there, or the connection was cut: stop using it at once, before the breaker has counted. */
  readonly bars?: true;
  /** It was ended before the endpoint was done: had it gone on, it would have lasted longer. */
  readonly cut?: true;
  /** Leaving such an endpoint costs no retry token, once a request. */
  readonly evacuation?: true;
  /** The endpoint may have died of the request. */
  readonly broke?: true;
  /** Nobody is there. */
  readonly absent?: true;
}

export const outcomes = {
  ok: { answered: true },
  /** Any 4xx but 429: the caller's own mistake. */
  "client-error": { answered: true },
  busy: { load: true },
  "server-error": { failure: "remote", broke: true },
  garbage: { failure: "remote" },
  truncated: { failure: "remote", broke: true },
  /** Another router does not let this one request through: its limits are others than ours. */
  declined: {},
  /** Another router has room, but not for more of this caller, this session, or of what would rather be elsewhere. */
  "over-share": {},
  refused: { failure: "local", bars: true, evacuation: true, absent: true },
  unreachable: { failure: "local", bars: true, evacuation: true, absent: true },
  reset: { failure: "local", bars: true, evacuation: true, broke: true },
  timeout: { failure: "local", cut: true },
  /** Evacuated because the endpoint fell silent; silence has its own memory and needs no breaker. */
  silent: { evacuation: true, cut: true },
  /** The caller's time ran out; short deadlines must not open breakers. */
  deadline: { cut: true },
  /** The caller left. */
  cancelled: { cut: true },
} as const satisfies Record<string, OutcomeRow>;

export type OutcomeKind = keyof typeof outcomes;

export const outcomeRow = (kind: OutcomeKind): OutcomeRow => outcomes[kind];

/** It held its place on the terms that `begin` was told. */
export interface Outcome extends Holds {
  readonly kind: OutcomeKind;
  /** The model that was asked for at the engine; breakers are kept per endpoint and model. */
  readonly model: string;
  readonly stream: boolean;
  /** Its class: how long its likes take is known apart. Undefined: it says nothing of others. */
  readonly like?: string | undefined;
  /** It asked for one token. */
  readonly oneToken?: boolean | undefined;
  /** Another call of the same request has answered first: this was the request's first call, or the hedge beside it. */
  readonly beaten?: "first" | "hedge" | undefined;
  /** It was work that makes room for all others, who may find some where there is none for it. */
  readonly yields?: boolean | undefined;
  /** Until the first byte of the answer's body, where one came. */
  readonly firstByteMs?: number | undefined;
  /** Until the end, whatever it was. */
  readonly totalMs: number;
  /** How long a busy endpoint asked to be left alone. */
  readonly retryAfterMs?: number | undefined;
}
