// `tierline explain`: the decision that a running router would take now, and why not another.

import { z } from "zod";
import type { CandidateReason } from "../routing/explain.ts";
import { slaClasses } from "../routing/sla.ts";
import type { Ask, RouterAnswer } from "./ask-router.ts";
import { withRouter } from "./ask-router.ts";
import type { Command } from "./command.ts";
import { exit, jsonOption, printJson } from "./command.ts";
import type { FleetAnswer } from "./fleet-answers.ts";
import { fleetAnswer } from "./fleet-answers.ts";
import { routerOptions } from "./router.ts";
import { cutText, plainText, wordTable, wrappedText } from "./table.ts";

const decision = z.discriminatedUnion("do", [
  z.looseObject({ do: z.literal("try"), endpoint: z.string(), because: z.string() }),
  z.looseObject({
    do: z.literal("wait"),
    endpoint: z.string(),
    because: z.string(),
    max_wait_ms: z.number(),
  }),
  z.looseObject({ do: z.literal("shed"), because: z.string(), retry_after_ms: z.number() }),
  z.looseObject({ do: z.literal("defer"), because: z.string() }),
]);

const explanation = z.looseObject({
  decision,
  candidates: z.array(z.looseObject({ endpoint: z.string(), because: z.string() })),
});

export const explain: Command = {
  name: "explain",
  about: "Ask a running router what it would do with a request now, and why not otherwise",
  options: {
    sla: { value: "CLASS", about: `${slaClasses.join(", ")}; else what the model implies` },
    model: { value: "NAME", about: "a model, an alias or a tier" },
    session: { value: "ID", about: "the session that the request would name: a player, a conversation" },
    whole: { about: "the request would not be streamed" },
    "respond-async": { about: "its caller would take a job where no tier can answer now" },
    ...routerOptions,
    json: jsonOption,
  },
  example: "explain --sla realtime --model npc-fast",
  async run(given, io) {
    const sla = given.text("sla");
    if (sla === undefined && given.text("model") === undefined) {
      io.err(
        `tierline explain: say what for: --sla CLASS, one of ${slaClasses.join(", ")}, or --model NAME.\nSee tierline explain --help.\n`,
      );
      return exit.usage;
    }
    if (sla !== undefined && !slaClasses.some((name) => name === sla)) {
      io.err(`${JSON.stringify(sla)} is no SLA class; there are ${slaClasses.join(", ")}.\n`);
      return exit.meaning;
    }
    const query = new URLSearchParams();
    for (const name of ["sla", "model", "session"]) {
      const value = given.text(name);
      if (value !== undefined) query.set(name, value);
    }
    if (given.has("whole")) query.set("stream", "false");
    if (given.has("respond-async")) query.set("prefer", "respond-async");
    return withRouter(given, io, async (ask) => {
      const seen = await look(ask, query);
      if (!seen.ok) {
        io.err(`${seen.why}.\n`);
        return seen.meaningless ? exit.meaning : exit.failed;
      }
      if (given.has("json")) printJson(io, seen.raw);
      else io.out(explanationText(seen.value, io.columns()));
      return exit.ok;
    });
  },
};

interface Look extends z.output<typeof explanation> {
  readonly fleet: FleetAnswer;
}

/** The explanation names endpoints only; the fleet says where they stand. */
async function look(ask: Ask, query: URLSearchParams): Promise<RouterAnswer<Look>> {
  const [told, fleet] = await Promise.all([
    ask({ method: "GET", path: `/api/explain?${query}`, answer: explanation }),
    ask({ method: "GET", path: "/api/fleet", answer: fleetAnswer }),
  ]);
  if (!told.ok) return told;
  if (!fleet.ok) return fleet;
  return { ok: true, value: { ...told.value, fleet: fleet.value }, raw: told.raw };
}

/** For people. What is not here says enough itself. */
const glosses: Partial<Record<CandidateReason, string>> = {
  "less-preferred": "would do, not first",
  "lower-rung": "of a later tier",
  "not-on-ladder": "tier not for this class",
  "other-model": "serves other models",
  "models-unknown": "models not known yet",
  unhealthy: "its health check fails",
  silent: "owes answers, sends nothing",
  barred: "refused or reset just now",
  "breaker-open": "calls to it failed",
  "pushed-back": "has just said full",
  "too-slow": "too slow for the deadline",
  "over-share": "others come first there",
  full: "no slot is free",
  draining: "its host is leaving",
  stale: "no news of it",
  "troubled-there": "unwell, says its router",
  suspect: "its host may be gone",
  "spoken-for": "its slots are others' share",
  joining: "new: others come first",
};
const glossOf = (because: string): string => new Map(Object.entries(glosses)).get(because) ?? "";

function explanationText({ decision, candidates, fleet }: Look, width: number | undefined): string {
  const places = new Map(
    fleet.members.flatMap(({ state, endpoints }) =>
      endpoints.map(({ name, tier }) => [name, { state, tier }]),
    ),
  );
  const chosenFirst = [
    ...candidates.filter(({ because }) => because === "chosen"),
    ...candidates.filter(({ because }) => because !== "chosen"),
  ];
  const rows = chosenFirst.map(({ endpoint, because }) => {
    const place = places.get(endpoint);
    // The router names the endpoint's own trouble first, and looks at its host last.
    const alsoSuspect = place?.state === "suspect" && because !== "suspect";
    const gloss = [alsoSuspect ? "host suspect" : "", glossOf(because)].filter((part) => part !== "");
    return [plainText(endpoint), place?.tier ?? "-", because, gloss.join("; ")];
  });
  const lines = wordTable(rows).map((line) => cutText(`  ${line}`, width));
  return `${[wrappedText(decisionText(decision), width), ...lines].join("\n")}\n`;
}

function decisionText(taken: z.output<typeof decision>): string {
  switch (taken.do) {
    case "try":
      return `It would go to ${plainText(taken.endpoint)}: ${taken.because}.`;
    case "wait":
      return `It would wait up to ${Math.round(taken.max_wait_ms)} ms for ${plainText(taken.endpoint)}: ${taken.because}.`;
    case "shed":
      return `It would be refused: ${taken.because}; try again after ${Math.round(taken.retry_after_ms)} ms.`;
    case "defer":
      return `The async lane would take it: ${taken.because}.`;
  }
}
