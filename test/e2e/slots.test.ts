// A max_concurrent that is far more than the engine runs at once, behind the compiled binary.

import { expect, test } from "bun:test";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, messages, readAll, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

test("an engine of eight that is said to have sixty-four slots gets eight at once after some seconds of overload: the others wait here, and the operator is told", async () => {
  const runs = 8;
  const engine = ends(await startSimulatedEngine({ model: "small", msPerToken: 10, maxNumSeqs: runs }));
  const router = ends(await startTierline({ config: engineToml("gold", engine.url, "max_concurrent = 64") }));
  let stopped = false;
  const caller = async (): Promise<void> => {
    while (!stopped) {
      const response = await chat(
        router.url,
        { model: "gold", messages, max_tokens: 20, ignore_eos: true, stream: true },
        { headers: { "x-tierline-sla": "interactive", "x-tierline-deadline-ms": "9000" } },
      );
      await readAll(response);
    }
  };
  const callers = Array.from({ length: 48 }, caller);
  const slots = (): Promise<number> => router.metric("tierline_endpoint_slots");
  expect(await slots()).toBe(64);
  await until("the engine's queue has become ours", async () => (await slots()) <= runs + 4, 20_000);
  await until("and the engine has hardly any", () => engine.stats().waiting <= 4, 5000);
  expect(await slots()).toBeGreaterThanOrEqual(runs);
  expect(await router.metric("tierline_queue_depth")).toBeGreaterThan(0);
  await router.logged(({ msg }) => String(msg).includes("lower max_concurrent"));
  stopped = true;
  await Promise.all(callers);
}, 60_000);
