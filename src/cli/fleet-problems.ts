// What is wrong in a fleet, the gravest first, each in a sentence. A row for each thing that can be.

import type { Endpoint, FleetAnswer, Member } from "./fleet-answers.ts";
import { durationText, plainText } from "./table.ts";

interface Problem {
  /** In one word or two, for counting. */
  readonly kind: string;
  /** How many have it. */
  readonly count: number;
  readonly who: string;
  readonly what: string;
}

interface MemberRow {
  readonly kind: string;
  applies(member: Member, self: string): boolean;
  /** `panic`: suspicion is not believed. */
  what(member: Member, panic: boolean): string;
}

const isPresent = ({ state }: Member): boolean => state === "alive" || state === "suspect";

const accusation = ({ accused }: Member): string =>
  accused === null ? "" : `; first missed by ${plainText(accused.by)}: ${plainText(accused.why)}`;

const since = ({ state_age_ms: ms }: Member): string => (ms === null ? "" : ` for ${durationText(ms)}`);

const memberRows: readonly MemberRow[] = [
  {
    kind: "suspect",
    applies: ({ state }) => state === "suspect",
    what: (member, panic) =>
      `suspect${since(member)}${panic ? "" : ", so nothing new is sent there"}${accusation(member)}`,
  },
  {
    kind: "dead",
    applies: ({ state }) => state === "dead",
    what: (member) => `dead${since(member)}${lost(member)}${accusation(member)}`,
  },
  {
    kind: "draining",
    applies: (member) => isPresent(member) && member.draining,
    what: () => "draining: nothing new goes to its engines",
  },
];

const lost = ({ tiers }: Member): string =>
  tiers.length === 0 ? "" : `, and its ${tiers.join(" and ")} engines`;

/** By the endpoint's state; what is not here is no trouble. `there`: its own router's word for what ails it. */
const endpointRows: Readonly<Record<string, (endpoint: Endpoint) => string>> = {
  unhealthy: () => "unhealthy: its health check fails",
  "troubled-there": ({ there }) =>
    `its own router calls it ${there === "open" ? "failing: breaker open" : there}`,
  stale: () => "stale: its host has said nothing new of it for 10 s",
  silent: () => "silent: it owes answers and sends no byte",
  barred: () => "connections to it are refused or reset",
  "breaker-open": () => "breaker open: calls to it fail",
  "models-unknown": () => "it has not said which models it serves",
};

const laterRows: readonly MemberRow[] = [
  {
    kind: "with other intents",
    applies: (member) => isPresent(member) && member.intents?.same_epoch === false,
    what: () =>
      "its archetypes are not this host's, so their intent tables cannot help each other: compare [intents]",
  },
  {
    kind: "not understood",
    applies: (member, self) => member.state === "alive" && member.public === null && member.name !== self,
    what: () => "has said nothing of itself that this version understands",
  },
];

/** More than so many with one trouble are named in one line, so that they do not hide another trouble. */
const eachMost = 2;
const namedMost = 4;

function problemsOf({ self, phase, panic, members }: FleetAnswer): readonly Problem[] {
  const found = (rows: readonly MemberRow[]): Problem[] =>
    rows.flatMap(({ kind, applies, what }) => {
      const those = members.filter((member) => applies(member, self));
      return gathered(
        "hosts",
        those.map((member) => ({ kind, who: plainText(member.name), what: what(member, panic) })),
      );
    });
  const said = new Set(members.filter((member) => member.state !== "alive" || member.draining));
  const endpoints = members.filter((member) => !said.has(member)).flatMap(askedByNow);
  const troubles = Map.groupBy(endpoints.flatMap(troubleOf), ({ kind }) => kind);
  const general = [
    ...(phase === "starting"
      ? [{ kind: "starting", who: self, what: "starting: takes no requests yet" }]
      : []),
    ...(panic
      ? [
          {
            kind: "panic",
            who: "panic",
            what: "most peers are suspect or draining, so suspicion is not believed",
          },
        ]
      : []),
  ];
  return [
    ...gathered("", general),
    ...found(memberRows),
    ...[...troubles.values()].flatMap((those) => gathered("endpoints", those)),
    ...found(laterRows),
  ];
}

/** A router that has only just started has not asked its engines yet, and nobody is to blame. */
const firstAskedMs = 5000;

const askedByNow = ({ state_age_ms: ms, endpoints }: Member): readonly Endpoint[] =>
  ms === null || ms >= firstAskedMs ? endpoints : endpoints.filter(({ state }) => state !== "models-unknown");

type Single = Omit<Problem, "count">;

/** All of one kind. */
function gathered(noun: string, those: readonly Single[]): readonly Problem[] {
  const [first] = those;
  if (first === undefined || those.length <= eachMost) return those.map((each) => ({ ...each, count: 1 }));
  const names = those.slice(0, namedMost).map(({ who }) => who);
  const more = those.length - names.length;
  const what = `${names.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  return [{ kind: first.kind, who: `${those.length} ${noun} ${first.kind}`, what, count: those.length }];
}

function troubleOf(endpoint: Endpoint): readonly Single[] {
  const { state, breaker } = endpoint;
  const who = plainText(endpoint.name);
  const what = endpointRows[state]?.(endpoint);
  if (what !== undefined) return [{ kind: state, who, what }];
  if (breaker !== "open") return [];
  return [{ kind: "breaker-open", who, what: "breaker open for some of its models" }];
}

/** A line for each of the first, the worst, and one for all others. */
export function problemLines(fleet: FleetAnswer, most: number): string[] {
  const problems = problemsOf(fleet);
  const rest = problems.slice(most);
  const lines = problems.slice(0, most).map(({ who, what }) => `! ${who}: ${what}`);
  return rest.length === 0 ? lines : [...lines, `! ${restText(rest)}`];
}

/** `and 44 more: 40 dead, 4 draining`. */
function restText(rest: readonly Problem[]): string {
  const sum = (all: readonly Problem[]): number => all.reduce((count, each) => count + each.count, 0);
  const kinds = Map.groupBy(rest, ({ kind }) => kind)
    .entries()
    .map(([kind, all]) => `${sum(all)} ${kind}`);
  return `and ${sum(rest)} more: ${[...kinds].join(", ")}`;
}
