// The evening as data: what happens when, for how long, and how many come to play meanwhile.

export type Act =
  | { readonly do: "kill-engine" | "start-engine"; readonly host: number }
  | { readonly do: "crash-host" | "start-host"; readonly host: number }
  | { readonly do: "cut-off" | "heal"; readonly host: number }
  | { readonly do: "restart-all" };

interface Row {
  readonly id: string;
  readonly title: string;
  /** In a sentence, for the page. */
  readonly what: string;
  readonly seconds: number;
  /** In the short form, which shows that everything works and measures little. */
  readonly shortSeconds: number;
  /** Players at a time, in multiples of the cast's. */
  readonly crowd?: number;
  /** Players think this many times faster. */
  readonly haste?: number;
  /** Each at a share of the phase. */
  readonly acts?: readonly (readonly [at: number, act: Act])[];
}

const rows: readonly Row[] = [
  { id: "calm", title: "calm", what: "Nothing happens.", seconds: 20, shortSeconds: 2 },
  {
    id: "burst",
    title: "dialogue burst",
    what: "Everybody talks: the players think a third as long as before between two lines.",
    seconds: 20,
    shortSeconds: 2,
    haste: 3,
  },
  {
    id: "engine-crash",
    title: "engine crash",
    what: "The gold engine of host 1 is killed (SIGKILL). It is back after four fifths of the phase.",
    seconds: 25,
    shortSeconds: 2,
    acts: [
      [0, { do: "kill-engine", host: 0 }],
      [0.8, { do: "start-engine", host: 0 }],
    ],
  },
  {
    id: "overload",
    title: "overload",
    what: "Five times as many players.",
    seconds: 20,
    shortSeconds: 3,
    crowd: 5,
  },
  { id: "after", title: "afterwards", what: "The crowd has left.", seconds: 10, shortSeconds: 1 },
  {
    id: "host-crash",
    title: "host crash",
    what: "Host 2 ends at once: its router or proxy and both engines are killed. It is back after two thirds of the phase.",
    seconds: 30,
    shortSeconds: 3,
    acts: [
      [0, { do: "crash-host", host: 1 }],
      [0.67, { do: "start-host", host: 1 }],
    ],
  },
  {
    id: "partition",
    title: "partition",
    what: "No packet passes between host 3 and the others; players reach all three. It heals after three quarters of the phase.",
    seconds: 20,
    shortSeconds: 2,
    acts: [
      [0, { do: "cut-off", host: 2 }],
      [0.75, { do: "heal", host: 2 }],
    ],
  },
  {
    id: "rolling",
    title: "rolling restart",
    what: "The router or proxy of each host is restarted, one after the other, as its manual says: tierline with `drain --wait` and SIGTERM, HAProxy with a soft stop.",
    seconds: 25,
    shortSeconds: 4,
    acts: [[0, { do: "restart-all" }]],
  },
  { id: "late", title: "late", what: "Nothing happens any more.", seconds: 10, shortSeconds: 1 },
];

export interface Phase {
  readonly id: string;
  readonly title: string;
  readonly what: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly crowd: number;
  readonly haste: number;
}

export interface Evening {
  readonly phases: readonly Phase[];
  readonly acts: readonly { readonly atMs: number; readonly act: Act }[];
  readonly endMs: number;
  /** Before the first phase: everybody plays already, and nobody counts. */
  readonly warmUpMs: number;
}

export function planEvening(short: boolean): Evening {
  const phases: Phase[] = [];
  const acts: { atMs: number; act: Act }[] = [];
  let fromMs = 0;
  for (const { id, title, what, seconds, shortSeconds, crowd = 1, haste = 1, acts: own = [] } of rows) {
    const lengthMs = (short ? shortSeconds : seconds) * 1_000;
    phases.push({ id, title, what, fromMs, toMs: fromMs + lengthMs, crowd, haste });
    for (const [share, act] of own) acts.push({ atMs: fromMs + share * lengthMs, act });
    fromMs += lengthMs;
  }
  return { phases, acts, endMs: fromMs, warmUpMs: short ? 2_500 : 6_000 };
}

/** Undefined before the first and after the last. */
export const phaseAt = (phases: readonly Phase[], atMs: number): Phase | undefined =>
  phases.find(({ fromMs, toMs }) => atMs >= fromMs && atMs < toMs);
