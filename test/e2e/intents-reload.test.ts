// A reload of the archetypes under traffic, over the compiled binary: nobody goes unanswered, nobody gets an answer of
// the other set, and what is still true stays known.

import { describe, expect, test } from "bun:test";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { decodeAnswers, decodeHeader, encodeAsk } from "../support/frame-client.ts";
import {
  archetypesOf,
  askBatch,
  askFrame,
  askOne,
  guardToml,
  openStream,
  postFrame,
  scoutActions,
  scoutToml,
} from "../support/intent-client.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

const patient = "[intents]\ndeadline_ms = 5000\nttl_ms = 60000\n";

async function house() {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  const engines = engineToml("gold", gold.url);
  const router = ends(await startTierline({ config: engines + patient + guardToml + scoutToml }));
  const reload = (intents: string): Promise<void> => router.reload(engines + intents);
  return { gold, engines, router, url: router.url, reload };
}

const guard = { archetype: "guard", npc: 1, features: { threat: 0.6 } };
const scout = { archetype: "scout", npc: 2, features: { a: 3 } };
const shy = guardToml.replace('"attack", ', "");

describe("a reload", () => {
  test("keeps the entries of an archetype that is as before, wherever it stands now, and drops the others", async () => {
    const { url, reload } = await house();
    const [, before] = await askBatch(url, [guard, scout]);
    await reload(`${patient}${scoutToml}${shy}`);
    const after = await askOne(url, { ...scout, deadline_ms: 0 });
    expect(after).toMatchObject({
      source: "fresh",
      intent: before?.intent ?? "",
      confidence: before?.confidence,
    });
    expect((await askOne(url, { ...guard, deadline_ms: 0 })).source).toBe("default");
    await until(
      "the new guard is known",
      async () => (await askOne(url, { ...guard, deadline_ms: 0 })).source === "fresh",
    );
    expect((await archetypesOf(url)).archetypes.map(({ name }) => name)).toEqual(["scout", "guard"]);
  });

  test("forgets what was said before where it changes what is asked, and nothing where it changes only who picks", async () => {
    const { url, reload } = await house();
    const changes: [string, string, string][] = [
      [guardToml.replace("no hero", "a hero"), "the prompt", "default"],
      [guardToml.replace('"flee"', '"run"'), "an action", "default"],
      [guardToml.replace("0.8]", "0.9]"), "a bucket", "default"],
      [guardToml.replace("alerted", "alarmed"), "a feature's name", "default"],
      [guardToml.replace("default =", "temperature = 0.7\ndefault ="), "the temperature", "default"],
      [guardToml.replace('default = "patrol"', 'default = "flee"'), "the default", "fresh"],
      [guardToml.replace("default =", 'pick = "sample"\ndefault ='), "the pick", "fresh"],
      [`# Words.\n${guardToml}`, "nothing", "fresh"],
    ];
    for (const [changed, what, source] of changes) {
      await reload(patient + guardToml + scoutToml);
      await askOne(url, guard);
      await reload(patient + changed + scoutToml);
      expect([what, (await askOne(url, { ...guard, deadline_ms: 0 })).source]).toEqual([what, source]);
    }
  });

  test("that is refused changes nothing, not even the epoch", async () => {
    const { url, router, engines } = await house();
    await askOne(url, guard);
    const { epoch } = await archetypesOf(url);
    router.writeConfig(engines + patient + guardToml.replace('default = "patrol"', 'default = "dance"'));
    router.signal("SIGHUP");
    const line = await router.logged(({ msg }) => msg === "reload rejected, kept old config");
    expect(JSON.stringify(line["errors"])).toContain("dance");
    expect((await archetypesOf(url)).epoch).toBe(epoch);
    expect((await askOne(url, guard)).source).toBe("fresh");
  });

  test("tells frames of the old epoch the new one, and answers those who wait for an engine by default", async () => {
    const { gold, url, router, reload } = await house();
    const { epoch } = await archetypesOf(url);
    const socket = ends(await openStream(url));
    gold.fault({ kind: "slow-first-byte", delayMs: 1500 });
    socket.send(encodeAsk(1, epoch, [{ situation: 7, npc: 7, archetype: 0 }]));
    await until("it waits", async () => (await router.metric("tierline_inflight")) === 1);
    await reload(patient + shy + scoutToml);
    const now = (await archetypesOf(url)).epoch;
    expect(now).not.toBe(epoch);
    socket.send(encodeAsk(2, epoch, [{ situation: 7, npc: 7, archetype: 0 }]));
    expect(decodeHeader(await socket.answerTo(2))).toMatchObject({ type: 3, flags: 1, epoch: now });
    const refused = await postFrame(url, encodeAsk(3, epoch, []));
    expect(refused.status).toBe(409);
    expect(decodeHeader(new Uint8Array(await refused.arrayBuffer())).epoch).toBe(now);
    // The frame that was accepted before is answered as one of its own time.
    const frame = await socket.answerTo(1);
    expect(decodeHeader(frame)).toMatchObject({ type: 2, epoch });
    expect(decodeAnswers(frame)).toMatchObject([{ npc: 7 }]);
    gold.clear();
    socket.send(encodeAsk(4, now, [{ situation: 7, npc: 7, archetype: 0 }]));
    expect(decodeHeader(await socket.answerTo(4))).toMatchObject({ type: 2, epoch: now });
  });

  test("in the middle of traffic leaves no ask without an answer of one set or the other", async () => {
    const { url, router, reload } = await house();
    const sets = [guardToml, shy].map((guardian) => patient + guardian + scoutToml);
    let running = true;
    let answered = 0;
    let refusedFrames = 0;
    const names = new Set<string>();
    const json = async (): Promise<void> => {
      for (let turn = 0; running; turn += 1) {
        const items = Array.from({ length: 50 }, (_, at) => ({
          ...(at % 2 === 0 ? guard : scout),
          npc: at,
          features: at % 2 === 0 ? { threat: (turn % 10) / 10 } : { a: turn % 10, b: at % 10 },
        }));
        for (const [at, answer] of (await askBatch(url, items)).entries()) {
          expect(answer.error).toBeUndefined();
          expect(answer.npc).toBe(at);
          if (at % 2 === 1) expect(scoutActions[answer.action]).toBe(answer.intent);
          else names.add(`${answer.action} ${answer.intent}`);
          answered += 1;
        }
      }
    };
    const frames = async (): Promise<void> => {
      while (running) {
        const { epoch, archetypes } = await archetypesOf(url);
        const scoutId = archetypes.findIndex(({ name }) => name === "scout");
        const asks = Array.from({ length: 50 }, (_, npc) => ({ situation: npc, npc, archetype: scoutId }));
        const response = await postFrame(url, encodeAsk(1, epoch, asks));
        const frame = new Uint8Array(await response.arrayBuffer());
        if (response.status === 409) refusedFrames += 1;
        else {
          expect(response.status).toBe(200);
          expect(decodeAnswers(frame).every(({ source, action }) => source <= 4 && action < 4)).toBe(true);
        }
      }
    };
    const traffic = [json(), json(), frames()];
    for (let turn = 1; turn <= 12; turn += 1) await reload(sets[turn % 2] ?? "");
    running = false;
    await Promise.all(traffic);
    expect(answered).toBeGreaterThan(500);
    const of = (actions: readonly string[]) => actions.map((action, index) => `${index} ${action}`);
    const known = new Set([
      ...of(["patrol", "investigate", "attack", "take_cover", "flee", "call_help"]),
      ...of(["patrol", "investigate", "take_cover", "flee", "call_help"]),
    ]);
    expect([...names].filter((name) => !known.has(name))).toEqual([]);
    expect(refusedFrames).toBeLessThan(13);
    await until("all is over", async () => (await router.metric("tierline_inflight")) === 0);
    expect(router.log.filter(({ level }) => level === "error")).toEqual([]);
  }, 20_000);

  test.each([
    [
      "an alias",
      `[aliases]\n"npc" = { tier = "gold" }\n`,
      `[aliases]\n"npc" = { tier = "silver" }\n`,
      'model = "npc"\n',
    ],
    [
      "the realtime ladder",
      `[sla.realtime]\nladder = ["gold"]\n`,
      `[sla.realtime]\nladder = ["silver"]\n`,
      "",
    ],
  ])("that changes %s alone is followed by the archetypes that use it", async (_, before, after, model) => {
    const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
    const silver = ends(await startSimulatedEngine({ model: "large", msPerToken: 1 }));
    const engines = engineToml("gold", gold.url) + engineToml("silver", silver.url);
    const intents = patient + guardToml.replace("default =", `${model}default =`);
    const router = ends(await startTierline({ config: engines + before + intents }));
    const asked = (engine: typeof gold) =>
      engine.requests().filter(({ body }) => body.includes("The situation:")).length;
    await askOne(router.url, guard);
    expect([asked(gold), asked(silver)]).toEqual([1, 0]);
    await router.reload(engines + after + intents);
    await askOne(router.url, { ...guard, features: { threat: 0.9 } });
    expect([asked(gold), asked(silver)]).toEqual([1, 1]);
    expect((await askOne(router.url, guard)).source).toBe("fresh");
  });
});

test("a frame client that follows the epoch goes on after a reload", async () => {
  const { url, reload } = await house();
  const ids = async () => {
    const { epoch, archetypes } = await archetypesOf(url);
    return { epoch, scout: archetypes.findIndex(({ name }) => name === "scout") };
  };
  const before = await ids();
  const [first] = await askFrame(url, before.epoch, [{ situation: 5, npc: 1, archetype: before.scout }]);
  await reload(patient + scoutToml);
  const after = await ids();
  expect(after.scout).toBe(0);
  const [second] = await askFrame(url, after.epoch, [{ situation: 5, npc: 1, archetype: after.scout }]);
  expect(second).toMatchObject({ source: 0, action: first?.action ?? -1 });
});
