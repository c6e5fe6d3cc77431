// The public listener where nobody is at home, and where there is no room.

import { expect, test } from "bun:test";
import { createPublicApp } from "../../src/http/public.ts";
import { npcDoor } from "../support/npc-door.ts";
import { openAiErrorOf } from "../support/openai-error.ts";

test("whoever opens the bare address is told 404, and where to look instead", async () => {
  const app = createPublicApp(npcDoor(() => undefined));
  const response = await app.fetch(new Request("http://127.0.0.1:8010/"));
  expect(response.status).toBe(404);
  const { code, message } = await openAiErrorOf(response);
  expect(code).toBe("not_found");
  expect(message).toContain("/v1/models");
  expect(message).toContain("/health");
});

test("a page in a browser may read the refusal of a strained host as it may any other", async () => {
  const strain = { closing: false, shedding: undefined, refused: () => undefined };
  const app = createPublicApp({ ...npcDoor(() => undefined), strain });
  const forBrowsers = async (): Promise<unknown> => {
    const headers = { origin: "http://localhost:3000" };
    const { status, headers: told } = await app.fetch(new Request("http://127.0.0.1:8010/", { headers }));
    return {
      status,
      told: [...told].filter(([name]) => name.startsWith("access-control-") || name === "vary"),
    };
  };
  const absent = await forBrowsers();
  expect(absent).toMatchObject({ status: 404, told: { length: 3 } });
  Object.assign(strain, { closing: true, shedding: "memory" });
  expect(await forBrowsers()).toEqual({ ...Object(absent), status: 503 });
});
