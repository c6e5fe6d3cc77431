// A crowd is not a choir: NPCs in one situation, over the compiled binary, where an archetype draws from the odds.

import { expect, test } from "bun:test";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import type { Intent } from "../support/intent-client.ts";
import { archetypesOf, askBatch, askFrame, guardToml } from "../support/intent-client.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

const sampling = guardToml.replace('default = "patrol"', 'default = "patrol"\npick = "sample"');

async function house(intents: string, archetypes = sampling) {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  const config = `${engineToml("gold", gold.url)}[intents]\ndeadline_ms = 5000\n${intents}${archetypes}`;
  const router = ends(await startTierline({ config }));
  return { router, url: router.url, epoch: (await archetypesOf(router.url)).epoch };
}

const npcs = Array.from({ length: 1000 }, (_, npc) => npc);
const crowd = (more = {}): object[] =>
  npcs.map((npc) => ({ archetype: "guard", npc, features: { threat: 0.3 }, ...more }));
const actionsOf = (answers: readonly Intent[]): number[] => answers.map(({ action }) => action);

/** What each action's share is said to be, and how many took it. */
function sharesOf(answers: readonly Intent[]) {
  const shares = new Map<number, { confidence: number; count: number }>();
  for (const { action, confidence } of answers) {
    const share = shares.get(action) ?? { confidence, count: 0 };
    expect(share.confidence).toBe(confidence);
    share.count += 1;
    shares.set(action, share);
  }
  return shares;
}

test("a thousand NPCs in one situation differ as the odds say, and each says its own odds", async () => {
  const { url } = await house("ttl_ms = 60000\n");
  const answers = await askBatch(url, crowd());
  const shares = sharesOf(answers);
  expect(shares.size).toBeGreaterThan(1);
  for (const { confidence, count } of shares.values()) {
    // Five times the standard deviation of a thousand fair draws.
    const spread = 5 * Math.sqrt(1000 * confidence * (1 - confidence)) + 1;
    expect(Math.abs(count - 1000 * confidence)).toBeLessThan(spread);
  }
  const said = [...shares.values()].reduce((sum, { confidence }) => sum + confidence, 0);
  expect(said).toBeGreaterThan(0.98);
  expect(said).toBeLessThan(1.001);
});

test("a hundred already differ, and each keeps its action as long as the entry lives, over JSON and frames alike", async () => {
  const { url, epoch } = await house("ttl_ms = 60000\n");
  const actions = actionsOf(await askBatch(url, crowd()));
  expect(new Set(actions.slice(0, 100)).size).toBeGreaterThan(1);
  for (let turn = 0; turn < 5; turn += 1) expect(actionsOf(await askBatch(url, crowd()))).toEqual(actions);
  const frames = await askFrame(
    url,
    epoch,
    npcs.map((npc) => ({ situation: 1, npc, archetype: 0 })),
  );
  expect(frames.map(({ action }) => action)).toEqual(actions);
  expect(frames.every(({ source }) => source === 0)).toBe(true);
});

test("a name draws as steadily as a number", async () => {
  const { url } = await house("ttl_ms = 60000\n");
  const named = npcs.map((npc) => ({ archetype: "guard", npc: `guard-${npc}`, features: { threat: 0.3 } }));
  const actions = actionsOf(await askBatch(url, named));
  expect(new Set(actions).size).toBeGreaterThan(1);
  expect(actionsOf(await askBatch(url, named))).toEqual(actions);
});

test("an entry that has been asked anew is drawn from anew", async () => {
  const { url } = await house("ttl_ms = 100\nstale_ms = 60000\n");
  const actions = actionsOf(await askBatch(url, crowd()));
  let later = actions;
  await until("it is refreshed", async () => {
    later = actionsOf(await askBatch(url, crowd()));
    return later.some((action, npc) => action !== actions[npc]);
  });
  // The same odds, other dice: some have changed their mind, and not all.
  const changed = later.filter((action, npc) => action !== actions[npc]).length;
  expect(changed).toBeGreaterThan(10);
  expect(changed).toBeLessThan(990);
});

test("where the archetype takes the best, all do the same, and it is what most of a sampling crowd does", async () => {
  const [sample, best] = [await house("ttl_ms = 60000\n"), await house("ttl_ms = 60000\n", guardToml)];
  const drawn = sharesOf(await askBatch(sample.url, crowd()));
  const taken = sharesOf(await askBatch(best.url, crowd()));
  expect(taken.size).toBe(1);
  const [[action, share] = [-1, undefined]] = taken;
  const likeliest = [...drawn].sort(([, a], [, b]) => b.confidence - a.confidence)[0];
  expect(likeliest?.[0]).toBe(action);
  expect(likeliest?.[1].confidence).toBe(share?.confidence ?? -1);
});
