// What can be asked for at one router of a fleet, and what is told of what cannot.

import { describe, expect, test } from "bun:test";
import type { Advert, AdvertEngine } from "../../src/fleet/advert.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import { alone } from "../../src/http/alone.ts";
import { errorResponse } from "../../src/http/errors.ts";
import { absentModel, getModel, listModels } from "../../src/http/models.ts";
import { createDeskWithoutLane } from "../../src/jobs/idle-desk.ts";
import { advertWith, engineThere } from "../support/adverts.ts";
import { cleanup } from "../support/cleanup.ts";
import { deskScene } from "../support/desk-scene.ts";
import { npcDoor } from "../support/npc-door.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const ends = cleanup();
const engineOf = (...models: string[]): AdvertEngine => engineThere({ tier: "silver", models });
const advertOf = (...engines: AdvertEngine[]): Advert => advertWith(engines);

function host(lane?: Parameters<typeof deskScene>[1]) {
  const clock = virtualClock();
  const spec = { name: "h/vllm", tier: "gold", locality: "local", slots: 1, queueLimit: 0 } as const;
  const fleet = createFleet([{ spec, identity: "1", models: ["small", "shared"] }], {
    name: "h",
    zone: undefined,
  });
  const { random, settings } = npcDoor(() => undefined);
  const { policy } = settings();
  const aliases = new Map([["npc-fast", { tier: "gold" as const }]]);
  const door = {
    clock,
    fleet,
    cluster: alone("h"),
    random,
    settings: () => ({ ...settings(), policy: { ...policy, aliases } }),
    desk: lane === undefined ? createDeskWithoutLane("h") : ends(deskScene(clock, lane)).desk,
  };
  const say = (name: string, advert: Advert, state: "alive" | "dead" = "alive") =>
    fleet.setPeer({ name, boot: "1", state, advert, advertAt: clock.now() }, clock.now());
  const listed = async () => {
    const { data } = (await listModels(door).json()) as { data: { id: string }[] };
    return data.map(({ id }) => id);
  };
  return { clock, door, say, listed };
}

describe("/v1/models", () => {
  test("names what the whole fleet serves once, this host's own first, and who serves it in which tier", async () => {
    const { door, say } = host();
    say("p", advertOf(engineOf("large", "shared")));
    say("q", advertOf(engineOf("large")));
    const card = { object: "model", created: 0 };
    expect(await listModels(door).json()).toEqual({
      object: "list",
      data: [
        { ...card, id: "small", owned_by: "h/vllm", tier: "gold" },
        { ...card, id: "shared", owned_by: "h/vllm", tier: "gold" },
        { ...card, id: "large", owned_by: "p/vllm", tier: "silver" },
        { ...card, id: "npc-fast", owned_by: "tierline", tier: "gold" },
        { ...card, id: "gold", owned_by: "tierline", tier: "gold" },
        { ...card, id: "silver", owned_by: "tierline", tier: "silver" },
      ],
    });
    expect(await getModel("large", door).json()).toMatchObject({ id: "large", owned_by: "p/vllm" });
  });

  test("names the models of the async lane, and bronze itself, where there is one", async () => {
    const { door, listed } = host({ models: ["story-70b", "shared"] });
    expect(await listed()).toEqual(["small", "shared", "story-70b", "npc-fast", "gold", "bronze"]);
    expect(await getModel("story-70b", door).json()).toEqual({
      id: "story-70b",
      object: "model",
      created: 0,
      owned_by: "sagemaker",
      tier: "bronze",
    });
    expect(absentModel("x", door).message).toContain("story-70b");
  });

  test("names bronze alone where jobs are done with what the fleet has", async () => {
    const { listed } = host({ models: undefined });
    expect(await listed()).toEqual(["small", "shared", "npc-fast", "gold", "bronze"]);
  });

  test("follows the adverts: what a peer takes up shows, what it puts down is gone with its tier", async () => {
    const { say, listed } = host();
    say("p", advertOf(engineOf("large")));
    say("p", advertOf(engineOf("larger")));
    expect(await listed()).toEqual(["small", "shared", "larger", "npc-fast", "gold", "silver"]);
    say("p", advertOf());
    expect(await listed()).toEqual(["small", "shared", "npc-fast", "gold"]);
  });
});

describe("a model that nobody serves", () => {
  test("is 503 no_endpoint with a time to come back while a host that served it is only just gone, then 404", async () => {
    const { clock, door, say } = host();
    say("p", advertOf(engineOf("large")));
    say("p", advertOf(), "dead");
    const gone = absentModel("large", door);
    const response = errorResponse(gone.code, gone.message, gone);
    expect(response.status).toBe(503);
    expect(Number(response.headers.get("retry-after-ms"))).toBeGreaterThanOrEqual(750);
    expect(response.headers.get("x-should-retry")).toBe("true");
    expect(gone).toMatchObject({ code: "no_endpoint", message: expect.stringContaining('"large"') });
    expect(getModel("large", door).status).toBe(503);
    expect(absentModel("larger", door).code).toBe("model_not_found");
    await clock.advance(60_000);
    expect(absentModel("large", door).code).toBe("model_not_found");
  });

  test("is told with what is served, in 1.5 kB at most however much that is", () => {
    const { door, say } = host();
    expect(absentModel("x", door).message).toBe(
      'The model "x" is not served here. Served: small, shared, npc-fast, gold.',
    );
    for (let peer = 0; peer < 500; peer += 1) say(`p${peer}`, advertOf(engineOf(`model-of-${peer}`)));
    const { message } = absentModel("x".repeat(10_000), door);
    expect(message.length).toBeLessThan(1500);
    expect(message).toMatch(/Served: small, shared, model-of-0, .*, and \d+ more \(see \/v1\/models\)\.$/);
  });

  test("is said to be served by no host where there is a fleet", () => {
    const { door } = host();
    const forwarded = { open: () => ({ refused: "malformed" as const }), refused: () => undefined };
    const { message } = absentModel("x", { ...door, cluster: { ...alone("h"), forwarded } });
    expect(message).toStartWith('The model "x" is served by no host of the fleet. Served: small, ');
  });

  test("is told so where nothing is served at all", () => {
    const { door } = host();
    const message = absentModel("x", {
      ...door,
      fleet: createFleet([]),
      settings: npcDoor(() => undefined).settings,
    }).message;
    expect(message).toBe('The model "x" is not served here. Served: nothing.');
  });
});
