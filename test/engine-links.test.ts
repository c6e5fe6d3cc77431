// An engine and how it is kept to the letters: proven over the wire when its models become known, and only where
// somebody asks for intents.

import { expect, test } from "bun:test";
import type { Fault } from "../playground/simulated/faults.ts";
import { startSimulatedEngine } from "../playground/simulated-engine.ts";
import { systemClock } from "../src/base/clock.ts";
import { seededRandom } from "../src/base/random.ts";
import { linkEngine } from "../src/engine-links.ts";
import { createEndpointState } from "../src/fleet/endpoint-state.ts";
import { createLog } from "../src/telemetry/log.ts";
import { cleanup } from "./support/cleanup.ts";

const ends = cleanup();

/** A vLLM with those faults, linked; `options` of the archetypes may change as on a reload. */
async function linked(options: number, ...faults: readonly Fault[]) {
  const engine = ends(await startSimulatedEngine({ model: "npc", msPerToken: 0 }));
  engine.fault(...faults);
  const endpoint = createEndpointState(
    { name: "gold-1/vllm", tier: "gold", locality: "local", slots: 4, queueLimit: 4 },
    undefined,
  );
  const settings = { options };
  const { log } = createLog("silent");
  const lines: object[] = [];
  const told = Object.assign(Object.create(log), {
    info: (line: object, what: string) => {
      if (what === "engine intents") lines.push(line);
    },
    warn: () => undefined,
  });
  const link = linkEngine(
    { name: "vllm", tier: "gold", kind: "vllm", url: engine.url, maxConcurrent: 4, maxQueue: 4 },
    endpoint,
    {
      clock: systemClock,
      random: seededRandom(1),
      log: told,
      intentOptions: () => settings.options,
      onBack: () => undefined,
      onAway: () => undefined,
    },
  );
  ends(link);
  const questions = (): string[] =>
    engine.requests().flatMap(({ path, body }) => (path === "/v1/chat/completions" ? [body] : []));
  return { engine, endpoint, link, settings, lines, questions };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(1);
}

test("an engine that obeys is asked once, and the log says by what it is held", async () => {
  const { link, lines, questions } = await linked(6);
  expect(link.link.intentConstraint().name).toBe("structured_outputs.choice");
  await until(() => lines.length > 0);
  expect(lines).toEqual([{ endpoint: "gold-1/vllm", constraint: "structured_outputs.choice", held: true }]);
  expect(questions()).toHaveLength(1);
  expect(JSON.parse(questions()[0] ?? "")).toMatchObject({
    model: "npc",
    max_tokens: 1,
    structured_outputs: { choice: ["A", "B", "C", "D", "E", "F"] },
  });
});

test("an engine that ignores every constraint is asked without one from then on", async () => {
  const { link, lines } = await linked(6, { kind: "ignore-constraints" });
  await until(() => lines.length > 0);
  expect(lines).toEqual([{ endpoint: "gold-1/vllm", constraint: "none", held: false }]);
  expect(link.link.intentConstraint().name).toBe("none");
});

test("an engine that is full at first is asked again", async () => {
  const { lines, questions } = await linked(6, { kind: "status", status: 503, times: 1 });
  await until(() => lines.length > 0);
  expect(lines).toMatchObject([{ held: true }]);
  expect(questions()).toHaveLength(2);
});

test("without archetypes no engine is asked anything, until a reload brings some", async () => {
  const { endpoint, link, settings, lines, questions } = await linked(0);
  await until(() => endpoint.models !== undefined && endpoint.health === "ok");
  link.verifyConstraint();
  expect(questions()).toEqual([]);
  settings.options = 3;
  link.verifyConstraint();
  await until(() => lines.length > 0);
  expect(questions()).toHaveLength(1);
});

test("an engine that has been away is asked again when it is back: its settings may be others", async () => {
  const { engine, link, lines } = await linked(6);
  await until(() => lines.length > 0);
  engine.fault({ kind: "status", status: 500, path: "/health" }, { kind: "ignore-constraints" });
  await until(() => engine.stats().faultsStruck >= 2);
  engine.fault({ kind: "ignore-constraints" });
  await until(() => lines.length > 1);
  expect(lines[1]).toMatchObject({ held: false });
  expect(link.link.intentConstraint().name).toBe("none");
}, 10_000);

test("an engine that is said to answer otherwise is asked again, and not for every such answer", async () => {
  const { link, lines, engine, questions } = await linked(6);
  await until(() => lines.length === 1);
  engine.fault({ kind: "ignore-constraints" });
  for (let turn = 0; turn < 10; turn += 1) link.doubtConstraint();
  await until(() => lines.length === 2);
  expect(lines[1]).toEqual({ endpoint: "gold-1/vllm", constraint: "none", held: false });
  const asked = questions().length;
  link.doubtConstraint();
  await Bun.sleep(50);
  expect(questions()).toHaveLength(asked);
});
