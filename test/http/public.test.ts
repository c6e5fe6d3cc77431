// The public listener where nobody is at home.

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
