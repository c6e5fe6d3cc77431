// What an engine gets: the caller's own bytes, but for the edits we mean.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { engineCall } from "../../src/dispatch/engine-call.ts";
import type { EngineLink, LinkToEngine, LinkToPeer } from "../../src/dispatch/engine-link.ts";
import type { InferenceRequest } from "../../src/dispatch/inference-request.ts";
import type { Dialect } from "../../src/engines/dialect.ts";
import { dialects } from "../../src/engines/engine.ts";
import { unconstrained } from "../../src/engines/intent-constraint.ts";
import { peer } from "../../src/engines/peer.ts";
import { fakeWire } from "../support/fake-wire.ts";
import { inference } from "../support/inference.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const { client } = fakeWire(virtualClock(), () => ({ hangs: true }));
const linkOf = (dialect: Dialect): LinkToEngine => ({
  client,
  dialect,
  authorization: undefined,
  intentConstraint: () => dialect.intentConstraints[0],
});
const vllm = linkOf(dialects.vllm);
const plain = linkOf(dialects.openai);
const atPeer: LinkToPeer = {
  client,
  dialect: peer,
  peer: { spec: { name: "gold-2/vllm", tier: "gold", locality: "peer", slots: 4, queueLimit: 0 } },
};

const sent = (
  request: InferenceRequest,
  link: EngineLink = plain,
  model: string | undefined = undefined,
): string => Buffer.concat(engineCall(request, link, model).body ?? []).toString();

describe("engineCall", () => {
  test("edits nothing where the engine's name is the caller's and no priority is due", () => {
    const body = '{ "model" : "gold",\n  "messages":[ ], "x": 1.0e0 }';
    const request = inference(0, { text: body, sla: "interactive" });
    expect(sent(request, vllm, "gold")).toBe(body);
    expect(sent(request, vllm, undefined)).toBe(body);
    expect(engineCall(request, vllm, "gold").body?.[0]?.buffer).toBe(request.body.buffer);
  });

  test("puts the engine's own name for the model in place of the caller's", () => {
    const request = inference(0, { text: '{"model":"gold","n":1}' });
    expect(sent(request, plain, 'Qwen/"3B"')).toBe('{"model":"Qwen/\\"3B\\"","n":1}');
  });

  test("adds the model where the caller named none", () => {
    const request = inference(0, { text: ' {"n":1}', modelName: undefined });
    expect(sent(request, plain, "m")).toBe(' {"model":"m","n":1}');
    expect(sent(request, plain, undefined)).toBe(' {"n":1}');
  });

  test("adds to an empty object without a stray comma", () => {
    for (const [text, expected] of [
      ["{}", '{"model":"m"}'],
      ["{ \n }", '{"model":"m" \n }'],
    ] as const) {
      expect(sent(inference(0, { text, modelName: undefined }), plain, "m")).toBe(expected);
    }
  });

  test("gives the class's priority to an engine that orders its queue, unless the caller set one", () => {
    const text = '{"model":"gold","n":1}';
    expect(sent(inference(0, { text }), vllm, "m")).toBe('{"priority":-10,"model":"m","n":1}');
    expect(sent(inference(0, { text, sla: "async" }), vllm, "gold")).toBe(
      '{"priority":10,"model":"gold","n":1}',
    );
    expect(sent(inference(0, { text, hasPriority: true }), vllm, "gold")).toBe(text);
    expect(sent(inference(0, { text }), plain, "gold")).toBe(text);
  });

  test("asks for load figures with whole answers only, and sends the engine's key, never the caller's", () => {
    const keyed = { ...vllm, authorization: "Bearer engine-key" };
    const whole = engineCall(inference(0), keyed, "m");
    expect(whole.headers).toEqual([
      ["x-request-id", "req_1"],
      ["authorization", "Bearer engine-key"],
      ["endpoint-load-metrics-format", "JSON"],
    ]);
    expect(engineCall(inference(0, { stream: true }), vllm, "m").headers).toEqual([
      ["x-request-id", "req_1"],
    ]);
    expect([whole.method, whole.path]).toEqual(["POST", "/v1/chat/completions"]);
  });

  describe("with an intent's question", () => {
    const question = { prompt: "A: patrol\nB: flee", options: 2, temperature: 0.7 };
    const intent = inference(0, { text: "", modelName: undefined, question });

    test("asks for one of the letters in the words of the engine that gets it", () => {
      const asked: unknown = JSON.parse(sent(intent, vllm, "m"));
      expect(asked).toEqual({
        priority: -10,
        model: "m",
        messages: [{ role: "user", content: question.prompt }],
        max_tokens: 1,
        temperature: 0.7,
        logprobs: true,
        top_logprobs: 2,
        stream: false,
        structured_outputs: { choice: ["A", "B"] },
      });
      expect(sent(intent, plain, "m")).not.toContain("choice");
    });

    test("is constrained as the link says at that moment", () => {
      let constraint = dialects.vllm.intentConstraints[0];
      const link = { ...vllm, intentConstraint: () => constraint };
      expect(sent(intent, link, "m")).toContain("structured_outputs");
      constraint = unconstrained;
      expect(sent(intent, link, "m")).not.toContain("structured_outputs");
    });

    test("carries the priority of its class, and no model where none is known", () => {
      expect(sent({ ...intent, sla: "async" }, vllm, "m")).toStartWith('{"priority":10,"model":"m",');
      expect(JSON.parse(sent(intent, plain, undefined))).not.toHaveProperty("model");
    });
  });

  describe("to an endpoint behind a peer", () => {
    test("leaves the body to the other router, but for the name of the model", () => {
      const text = '{"model":"gold","n":1}';
      expect(sent(inference(0, { text, sla: "async" }), atPeer, "gold")).toBe(text);
      expect(sent(inference(0, { text }), atPeer, "Qwen")).toBe('{"model":"Qwen","n":1}');
      expect(sent(inference(0, { text: "{}", modelName: undefined }), atPeer, "Qwen")).toBe(
        '{"model":"Qwen"}',
      );
    });

    test("names the class in a header, and neither an engine's key nor an engine's own headers", () => {
      expect(engineCall(inference(0, { sla: "async" }), atPeer, "m").headers).toEqual([
        ["x-request-id", "req_1"],
        ["x-tierline-sla", "async"],
      ]);
    });

    test("claims for whom it is, where, and whether another model would do", () => {
      const { forwarding } = engineCall(inference(7, { caller: "game" }), atPeer, "m");
      expect(forwarding).toEqual({
        claim: { caller: "game", tier: "gold", endpoint: "gold-2/vllm", model: "any", body: "request" },
        deadline: 2007,
      });
      const exact = engineCall(inference(0, { model: "m" }), atPeer, "m").forwarding?.claim;
      expect(exact).toMatchObject({ caller: undefined, model: "exact" });
      expect(engineCall(inference(0), plain, "m").forwarding).toBeUndefined();
    });

    test("sends an intent's question unwritten, with the model only where no other will do", () => {
      const question = { prompt: "A: patrol\nB: flee", options: 2, temperature: 0.7 };
      const intent = inference(0, { text: "", modelName: undefined, question });
      expect(JSON.parse(sent(intent, atPeer, "m"))).toEqual(question);
      expect(engineCall(intent, atPeer, "m").forwarding?.claim).toMatchObject({
        model: "any",
        body: "question",
      });
      const named = { ...intent, model: "m" };
      expect(JSON.parse(sent(named, atPeer, "m"))).toEqual({ ...question, model: "m" });
      expect(engineCall(named, atPeer, "m").forwarding?.claim.model).toBe("exact");
    });
  });

  test("whatever the body, the engine parses what the caller wrote, with model and priority as meant", () => {
    const body = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }));
    const name = fc.option(fc.string(), { nil: undefined });
    fc.assert(
      fc.property(body, name, name, fc.boolean(), (others, asked, model, hasPriority) => {
        const { model: _model, priority: _priority, ...rest } = others;
        const own = {
          ...rest,
          ...(asked !== undefined && { model: asked }),
          ...(hasPriority && { priority: 3 }),
        };
        const text = JSON.stringify(own);
        const request = inference(0, { text, modelName: asked, hasPriority });
        const expected = { ...own, ...(model !== undefined && { model }), priority: hasPriority ? 3 : -10 };
        // JSON.parse makes an own member of __proto__, which a spread does not.
        expect(JSON.parse(sent(request, vllm, model))).toEqual(JSON.parse(JSON.stringify(expected)));
      }),
      { numRuns: 500 },
    );
  });
});
