// `tierline explain`: the decision that a running router would take now, and why not another.

import { z } from "zod";
import { slaClasses } from "../routing/sla.ts";
import { askAndPrint } from "./ask-router.ts";
import type { Command } from "./command.ts";
import { exit, jsonOption } from "./command.ts";
import { columns } from "./help.ts";
import { routerOptions } from "./router.ts";

const decision = z.discriminatedUnion("do", [
  z.looseObject({ do: z.literal("try"), endpoint: z.string(), because: z.string() }),
  z.looseObject({
    do: z.literal("wait"),
    endpoint: z.string(),
    because: z.string(),
    max_wait_ms: z.number(),
  }),
  z.looseObject({ do: z.literal("shed"), because: z.string(), retry_after_ms: z.number() }),
]);

const explanation = z.looseObject({
  decision,
  candidates: z.array(z.looseObject({ endpoint: z.string(), because: z.string() })),
});

export const explain: Command = {
  name: "explain",
  about: "Ask a running router what it would do with a request now, and why not otherwise",
  options: {
    sla: { value: "CLASS", about: slaClasses.join(", "), required: true },
    model: { value: "NAME", about: "a model, an alias or a tier" },
    session: {
      value: "ID",
      about:
        "the session that the request would name; without affinity, which comes later, it changes nothing",
    },
    ...routerOptions,
    json: jsonOption,
  },
  example: "explain --sla realtime --model npc-fast",
  async run(given, io) {
    const sla = given.text("sla") ?? "";
    if (!slaClasses.some((name) => name === sla)) {
      io.err(`${JSON.stringify(sla)} is no SLA class; there are ${slaClasses.join(", ")}.\n`);
      return exit.meaning;
    }
    const query = new URLSearchParams({ sla });
    for (const name of ["model", "session"]) {
      const value = given.text(name);
      if (value !== undefined) query.set(name, value);
    }
    const question = { method: "GET" as const, path: `/api/explain?${query}`, answer: explanation };
    return askAndPrint(given, io, question, explanationText);
  },
};

function explanationText({ decision, candidates }: z.output<typeof explanation>): string {
  const rows = columns(candidates.map(({ endpoint, because }): [string, string] => [endpoint, because]));
  return `${[decisionText(decision), ...rows].join("\n")}\n`;
}

function decisionText(taken: z.output<typeof decision>): string {
  switch (taken.do) {
    case "try":
      return `It would go to ${taken.endpoint}: ${taken.because}.`;
    case "wait":
      return `It would wait up to ${Math.round(taken.max_wait_ms)} ms for ${taken.endpoint}: ${taken.because}.`;
    case "shed":
      return `It would be refused: ${taken.because}; try again after ${Math.round(taken.retry_after_ms)} ms.`;
  }
}
