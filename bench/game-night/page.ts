// Writes docs/game-night.md.

import { cast, engines, sla } from "./cast.ts";
import type { GameNight } from "./results.ts";
import { byPhase, headroom, ledger, missed, overall, runsOf, runTitles } from "./tables.ts";

export function page(night: GameNight): string {
  const { machine, phases, date, command, whole } = night;
  const { gold, silver } = engines;
  return [
    "# A game night",
    "",
    `Written by \`${command}\`. Do not edit.`,
    "",
    `${cast.npcs.toLocaleString("en-US")} NPCs and ${cast.players} players on three hosts, for ${(phases.at(-1)?.toMs ?? 0) / 1_000} seconds in which happens what can happen in an evening; once with tierline on each host, and once with HAProxy in its place. Engines, hosts, load, and what the clients do are the same.`,
    "",
    "![Share of calls answered as promised, over time](game-night.svg)",
    "",
    ...overall(night),
    "",
    "p50 and p99 are of all that was answered, late or not: of an intent until the action, of a one-liner until its end, of dialogue until the first word, of a quest until it was done.",
    "",
    "## Phase by phase",
    "",
    ...byPhase(night),
    "",
    ...phases.map(({ title, what }) => `- *${title}*: ${what}`),
    "",
    `The rolling restart of all three took ${restartTimes(night)}.`,
    ...(whole === undefined ? [] : ["", whole]),
    "",
    "## Quests",
    "",
    ...ledger(night),
    "",
    "With tierline a quest is a job: accepted means that it is on the disk of a host, and the game asks how it stands. With HAProxy it is a request that waits up to a minute, which the game makes up to three times; what has failed three times is lost.",
    "",
    "## Where something was missed",
    "",
    "Every class and phase in which more than one call in a hundred was not answered as promised. After the comma is what tierline said in `x-tierline-because`, and whether the request waited in its room.",
    "",
    ...missed(night),
    "",
    "## Who plays",
    "",
    `- **Engines**: on each host a simulated vLLM of Gold (${gold.msPerToken} ms a token, ${gold.slots} sequences at a time) and one of Silver (${silver.msPerToken} ms, ${silver.slots}). A full batch is half as slow again, and who finds no place waits, as with vLLM.`,
    `- **NPCs**: ${cast.npcs.toLocaleString("en-US")}, of three kinds, ${cast.intentsPerSecond} decisions a second each, in the ticks (${cast.ticksPerSecond} a second) of ${cast.gameServers} game servers. What they see changes a little each time. With tierline a tick is one binary frame over WebSocket. With HAProxy it is a chat of one token for each NPC, and the game takes its default action where no answer is there within the frame of ${sla.intentMs} ms.`,
    `- **Players**: ${cast.players}, who think ${cast.thinkMs.map((ms) => ms / 1_000).join(" to ")} s, say a line, and read the answer of up to ${cast.dialogueTokens} tokens as it is streamed. Beside them ${cast.oneLinersPerSecond} one-liners a second of ${cast.oneLinerTokens} tokens of Gold, and ${cast.questsPerSecond} quest a second of ${cast.questTokens} tokens.`,
    "- **Clients**, in both runs: know the three hosts, have one that they go to first, and go to the next for two seconds where one cannot be reached or does not say on `/readyz`, which they ask every second, that it is ready; and for one call where it says 503. They try twice again as the OpenAI SDKs do: after broken connections, 408, 409, 429 and 5xx, unless `x-should-retry` says otherwise, after `retry-after-ms` or else half a second and more. Nobody repeats what had begun to answer.",
    "",
    "## What HAProxy was given, and what it cannot do",
    "",
    "HAProxy has a frontend for each tier, all engines of the tier of all three hosts in turn, a health check every 2 s that fails three times, `retries 3` with `option redispatch 1`, which goes to another engine at once, `option abortonclose`, `http-no-delay`, and a `/readyz` of its own. It is restarted by a soft stop. It costs a fraction of the router's CPU. Within that:",
    "",
    "- It sends one request in three to an engine that is dead or cut off until three checks have failed, about six seconds, and makes up for it only where the connection is refused at once.",
    "- What had been sent to an engine that dies is answered 502; the client's own retry is what helps.",
    "- It does not read requests, so it cannot send one to another tier, whose engines know another model. A tier that is full stays full while the other has room.",
    "- It does not know what a class was promised: beyond what the engines can do everybody waits equally long, quests and players alike, though vLLM itself prefers by the priority that the game sends.",
    "- It keeps no answers: each NPC's each decision is a call of the engine, where a table answers most.",
    "- It keeps no work: a quest is as durable as the connection of whoever waits for it.",
    "",
    ...k6Section(night),
    "## How much this machine had left",
    "",
    ...headroom(night),
    "",
    "Lag is how late a timer of the driver came: what is measured in milliseconds can be wrong by so much.",
    ...troubles(night),
    "",
    "## How to reproduce",
    "",
    "```sh",
    `${command}          # both runs, about eight minutes; root for the network namespaces, haproxy, and k6 on PATH`,
    `${command} --short  # half a minute each, prints the tables and leaves this page alone`,
    "```",
    "",
    `${date.slice(0, 10)}, commit ${machine.commit}, Bun ${machine.bun}. ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}; load average before the run ${machine.loadBefore}. Everything, engines and callers too, shares these cores. Figures second by second and all reasons: \`bench/results/${date.slice(0, 10)}-game-night.json\`.`,
    "",
  ].join("\n");
}

const restartTimes = (night: GameNight): string =>
  runsOf(night)
    .map(([name, { restartMs }]) => `${(restartMs / 1_000).toFixed(1)} s with ${runTitles[name]}`)
    .join(" and ");

function troubles(night: GameNight): string[] {
  const all = runsOf(night).flatMap(([name, { trouble }]) =>
    trouble.map((each) => `${runTitles[name]}: ${each}`),
  );
  return all.length === 0
    ? []
    : ["", "Not everything went as planned:", "", ...all.map((each) => `- ${each}`)];
}

function k6Section(night: GameNight): string[] {
  const found = runsOf(night).flatMap(([name, { k6 }]) => (k6 === undefined ? [] : [[name, k6] as const]));
  if (found.length === 0)
    return ["## k6", "", "k6 was not on `PATH`; the players said its lines as well.", ""];
  return [
    "## k6's own summary",
    "",
    `Half of the one-liners were k6's (\`bench/k6/game-night.ts\`, ${found[0]?.[1].version ?? "k6"}), beside those of the tables above. Its thresholds always hold: they are how k6 is told to sum up each phase.`,
    ...found.flatMap(([name, { text }]) => ["", `With ${runTitles[name]}:`, "", "```", text, "```"]),
    "",
  ];
}
