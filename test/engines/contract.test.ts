// What every dialect must do, run over the table of dialects, and what real engines answered, as recorded.

import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { PriorityClass } from "../../src/engines/dialect.ts";
import { inferencePaths } from "../../src/engines/dialect.ts";
import type { EngineKind } from "../../src/engines/engine.ts";
import { dialects, engineKinds } from "../../src/engines/engine.ts";
import { intentBody, readIntentOdds } from "../../src/engines/intent-question.ts";
import { letters } from "../../src/intents/prompt.ts";
import { recording } from "../support/recording.ts";

/** Where the recordings of an engine of that kind lie. */
const recordings = { vllm: ["vllm", "vllm-flags"], "llama-cpp": ["llamacpp"] } as const;

const recorded = (name: string) => (): string => recording(name).body;

/** As the engine's documentation or source has it. */
const written = (said: object, content: string) => (): string =>
  JSON.stringify({
    choices: [{ index: 0, message: { role: "assistant", content }, logprobs: { content: [said] } }],
  });

/** Answers to a question with twenty options, and the odds that they come to, those above a hundredth. */
const goldenIntents: Readonly<
  Record<EngineKind, readonly (readonly [about: string, body: () => string, odds: object])[]>
> = {
  vllm: [
    ["a constrained answer", recorded("vllm/chat-choice-1tok"), { I: 1 }],
    ["an answer that ignores the constraint", recorded("vllm/chat-logprobs"), { I: 1 }],
  ],
  "tensorrt-llm": [
    // `ChatCompletionLogProbs`: the log-probabilities are of all tokens, the one that was taken heads them.
    [
      "a constrained answer",
      written(
        {
          token: "B",
          logprob: Math.log(0.6),
          bytes: [66],
          top_logprobs: [
            { token: "B", logprob: Math.log(0.6), bytes: [66] },
            { token: "The", logprob: Math.log(0.2), bytes: [84, 104, 101] },
            { token: " A", logprob: Math.log(0.2), bytes: [32, 65] },
          ],
        },
        "B",
      ),
      { A: 0.25, B: 0.75 },
    ],
    ["an answer of a backend that tells one token's", written({ token: "C", logprob: -2 }, "C"), { C: 1 }],
  ],
  "llama-cpp": [
    ["an answer without log-probabilities", recorded("llamacpp/chat-choice-1tok"), { T: 1 }],
    // `probs_vector_to_json` in tools/server: ids beside the tokens, and odds that no grammar has touched.
    [
      "a constrained answer",
      written(
        {
          id: 34,
          token: "C",
          bytes: [67],
          logprob: Math.log(0.02),
          top_logprobs: [
            { id: 9906, token: "Hello", bytes: [72, 101, 108, 108, 111], logprob: Math.log(0.9) },
            { id: 33, token: "B", bytes: [66], logprob: Math.log(0.06) },
          ],
        },
        "C",
      ),
      { B: 0.75, C: 0.25 },
    ],
  ],
  openai: [
    [
      "an answer with other tokens among the likeliest",
      written(
        {
          token: "A",
          logprob: Math.log(0.5),
          bytes: [65],
          top_logprobs: [
            { token: "A", logprob: Math.log(0.5), bytes: [65] },
            { token: "**", logprob: Math.log(0.3), bytes: [42, 42] },
            { token: "D", logprob: Math.log(0.1), bytes: [68] },
          ],
        },
        "A",
      ),
      { A: 0.83, D: 0.17 },
    ],
  ],
};

const classes: readonly PriorityClass[] = ["realtime", "interactive", "async"];

test("the table of dialects has one row for each kind that the configuration accepts", () => {
  expect(Object.keys(dialects).sort()).toEqual([...engineKinds].sort());
});

for (const kind of engineKinds) {
  const dialect = dialects[kind];

  describe(`the ${kind} dialect`, () => {
    test("is named as in the configuration", () => {
      expect(dialect.kind).toBe(kind);
    });

    test("reads health as ok on 200, unhealthy on 500 and 503, unknown where there is no such check", () => {
      const read = (status: number): string => dialect.health.read(status, "");
      expect([200, 500, 503].map(read)).toEqual(["ok", "unhealthy", "unhealthy"]);
      expect([401, 404, 405, 429, 501].map(read)).toEqual([
        "unknown",
        "unknown",
        "unknown",
        "unknown",
        "unknown",
      ]);
    });

    test("reads the names out of a list of models, adapters included", () => {
      const body = JSON.stringify({ object: "list", data: [{ id: "base" }, { id: "lora", parent: "base" }] });
      expect(dialect.models.read(200, body)).toEqual(["base", "lora"]);
      expect(dialect.models.read(200, '{"data":[]}')).toEqual([]);
    });

    for (const body of ["", "<html>", "null", "[]", "7", "{}", '{"data":7}', '{"data":null}']) {
      test(`takes ${JSON.stringify(body)} for no list of models and no figures`, () => {
        expect(dialect.models.read(200, body)).toBeUndefined();
        expect(dialect.gauges?.read(200, body)).toBeUndefined();
      });
    }

    test("takes odd cards for no model, and reads nothing from an error", () => {
      expect(dialect.models.read(200, '{"data":[null,7,{},{"id":5},{"id":""},{"id":"a"}]}')).toEqual(["a"]);
      expect(dialect.models.read(500, '{"data":[{"id":"a"}]}')).toBeUndefined();
      expect(dialect.gauges?.read(404, "")).toBeUndefined();
    });

    test("keeps at most 256 models", () => {
      const data = Array.from({ length: 1000 }, (_, index) => ({ id: `m${index}` }));
      expect(dialect.models.read(200, JSON.stringify({ data }))).toHaveLength(256);
    });

    test("tells full from broken, and the caller's mistake from both", () => {
      const verdicts = {
        ok: [200, 202, 204],
        "client-error": [307, 400, 401, 404, 408, 413, 422],
        busy: [429, 503],
        "server-error": [500, 501, 502, 504, 599],
      } as const;
      for (const [verdict, statuses] of Object.entries(verdicts)) {
        for (const status of statuses)
          expect(`${status} ${dialect.verdict(status)}`).toBe(`${status} ${verdict}`);
      }
    });

    test("knows of no router before it: what one would say of a refusal changes nothing", () => {
      for (const status of [200, 404, 429, 500, 504])
        expect(dialect.verdict(status, "deadline_exceeded")).toBe(dialect.verdict(status));
    });

    test("reads every shape of error body", () => {
      const message = (body: unknown): string | undefined =>
        dialect.readError(400, JSON.stringify(body))?.message;
      expect(message({ error: { message: "nested", type: "t", param: null, code: 400 } })).toBe("nested");
      expect(message({ error: "a string" })).toBe("a string");
      expect(message({ object: "error", message: "flat", code: 400 })).toBe("flat");
      expect(message({ detail: "Not Found" })).toBe("Not Found");
      expect(message({ detail: [{ loc: ["body"], msg: "Field required", type: "missing" }] })).toBe(
        "Field required",
      );
    });

    test("reads no error out of a good answer or of anything else", () => {
      expect(dialect.readError(200, '{"error":"x"}')).toBeUndefined();
      for (const body of [
        "",
        "Internal Server Error",
        "{}",
        "null",
        '{"error":null}',
        '{"message":"not an error"}',
      ]) {
        expect(dialect.readError(500, body)).toBeUndefined();
      }
    });

    test("cuts an endless error message", () => {
      const long = JSON.stringify({ error: { message: "x".repeat(100_000) } });
      expect(dialect.readError(400, long)?.message.length).toBeLessThanOrEqual(500);
    });

    for (const path of inferencePaths) {
      test(`asks ${path} for at most one token of the model named`, () => {
        const question: unknown = JSON.parse(dialect.oneToken(path, 'odd "name"'));
        expect(question).toMatchObject({ model: 'odd "name"' });
        // An embedding makes no tokens that could be bounded.
        if (path !== "/v1/embeddings") expect(question).toMatchObject({ max_tokens: 1 });
        expect(question).not.toMatchObject({ stream: true });
      });
    }

    test("gives a class that is more urgent no later place in the engine's queue", () => {
      const places = classes.map((sla) => dialect.priority?.(sla) ?? 0);
      // Lower is first in every engine that orders its queue.
      expect(places).toEqual([...places].sort((one, other) => one - other));
      for (const place of places) expect(Number.isSafeInteger(place)).toBe(true);
    });

    test("its last way to get a letter keeps it to nothing, and all others bind", () => {
      const binds = dialect.intentConstraints.map((constraint) => constraint.binds);
      expect(binds).toEqual(binds.map((_, index) => index < binds.length - 1));
      expect(new Set(dialect.intentConstraints.map(({ name }) => name)).size).toBe(binds.length);
    });

    for (const constraint of dialect.intentConstraints) {
      for (const options of [1, 2, 6, 20]) {
        test(`asks for one of ${options} letters by ${constraint.name}`, () => {
          const question = { prompt: "What now?", options, temperature: 0.4 };
          const body: unknown = JSON.parse(
            Buffer.from(intentBody('odd "name"', question, constraint)).toString(),
          );
          expect(body).toMatchObject({
            model: 'odd "name"',
            messages: [{ role: "user", content: "What now?" }],
            max_tokens: 1,
            temperature: 0.4,
            logprobs: true,
            stream: false,
          });
          // As many alternatives as there are letters, or more.
          expect(Object(body).top_logprobs).toBeGreaterThanOrEqual(options);
          const members = JSON.stringify(constraint.members(letters.slice(0, options)));
          const named: readonly string[] = members.match(/\b[A-T]\b/g) ?? [];
          expect(named).toEqual(constraint.binds ? letters.slice(0, options) : []);
        });
      }
    }

    for (const [about, golden, expected] of goldenIntents[kind]) {
      test(`reads the odds out of ${about}`, () => {
        const odds = readIntentOdds(Buffer.from(golden()), 20)?.map((one) => Math.round(one * 100) / 100);
        expect(
          odds && Object.fromEntries(odds.flatMap((one, at) => (one > 0 ? [[letters[at], one]] : []))),
        ).toEqual(expected);
      });
    }

    test("asks for figures no more often than it may wait for them", () => {
      const { gauges } = dialect;
      expect(gauges === undefined || gauges.everyMs >= gauges.timeoutMs).toBe(true);
    });
  });
}

for (const [kind, folders] of Object.entries(recordings)) {
  const dialect = dialects[kind === "vllm" ? "vllm" : "llama-cpp"];
  for (const folder of folders) {
    describe(`the ${kind} dialect over the recordings in ${folder}`, () => {
      const names = readdirSync(join(import.meta.dir, "..", "fixtures", folder))
        .filter((name) => name.endsWith(".http"))
        .map((name) => name.slice(0, -".http".length));

      test("says ok of each good answer and finds a message in each refused one that has a body", () => {
        expect(names.length).toBeGreaterThan(40);
        for (const name of names) {
          const { status, body } = recording(`${folder}/${name}`);
          if (status < 300) expect([name, dialect.verdict(status)]).toEqual([name, "ok"]);
          else if (body !== "") {
            expect([name, dialect.readError(status, body)?.message]).toEqual([name, expect.any(String)]);
          }
        }
      });

      test("reads health and models", () => {
        const health = recording(`${folder}/health`);
        expect(dialect.health.read(health.status, health.body)).toBe("ok");
        const models = recording(`${folder}/models`);
        expect(dialect.models.read(models.status, models.body)).toEqual([
          folder === "llamacpp" ? "tiny-gguf" : "tiny-npc",
        ]);
      });
    });
  }
}

describe("the vllm dialect", () => {
  const { vllm } = dialects;

  test("reads a dead engine core as unhealthy, and the chats it fails as a server error", () => {
    const health = recording("vllm-flags/dead-health");
    expect(vllm.health.read(health.status, health.body)).toBe("unhealthy");
    const chat = recording("vllm-flags/dead-chat");
    expect(vllm.verdict(chat.status)).toBe("server-error");
    expect(vllm.readError(chat.status, chat.body)?.message).toStartWith("EngineCore encountered an issue.");
  });

  test("reads a full queue as busy", () => {
    const { status, body } = recording("vllm-flags/err-busy-503");
    expect(vllm.verdict(status)).toBe("busy");
    expect(vllm.readError(status, body)?.message).toStartWith("The engine is currently busy");
  });

  test("reads the error of a missing key, which is a plain string", () => {
    const { status, body } = recording("vllm-flags/err-no-api-key");
    expect(vllm.readError(status, body)).toEqual({ message: "Unauthorized" });
  });

  test("reads its figures, idle and busy", () => {
    const read = (name: string): unknown => {
      const { status, body } = recording(name);
      return vllm.gauges?.read(status, body);
    };
    expect(read("vllm/metrics")).toEqual({ running: 0, waiting: 0, kvUsage: 0, generatedTokens: 128 });
    expect(read("vllm/metrics-busy")).toEqual({
      running: 6,
      waiting: 0,
      kvUsage: 0.0007325112928824318,
      generatedTokens: 517,
    });
  });

  test("knows nothing of an engine that runs with --disable-log-stats, rather than calling it idle", () => {
    const page = "# TYPE python_info gauge\npython_info 1.0\nprocess_resident_memory_bytes 1e+09\n";
    expect(vllm.gauges?.read(200, page)).toBeUndefined();
  });

  test("adds up data-parallel ranks and takes the fullest cache", () => {
    const page = [
      'vllm:num_requests_running{engine="0"} 3.0',
      'vllm:num_requests_running{engine="1"} 4.0',
      'vllm:kv_cache_usage_perc{engine="0"} 0.25',
      'vllm:kv_cache_usage_perc{engine="1"} 0.75',
    ].join("\n");
    expect(vllm.gauges?.read(200, page)).toEqual({ running: 7, kvUsage: 0.75 });
  });

  test("reads the older name of the cache's fullness, and Ray's spelling", () => {
    expect(vllm.gauges?.read(200, "vllm:gpu_cache_usage_perc{} 0.5\n")).toEqual({ kvUsage: 0.5 });
    expect(vllm.gauges?.read(200, "vllm_num_requests_waiting{} 2\n")).toEqual({ waiting: 2 });
  });

  test("reads the load header in both formats", () => {
    const { loadHeader } = vllm;
    const read = (name: string): unknown => {
      const value = recording(name).headers.get(loadHeader?.name ?? "");
      return value === undefined ? undefined : loadHeader?.read(value);
    };
    expect(read("vllm/chat-load-header")).toEqual({ waiting: 0, kvUsage: 0 });
    expect(read("vllm/chat-load-header-busy")).toEqual({ waiting: 0, kvUsage: 0.0007325112928824318 });
    expect(read("vllm/chat-load-header-text")).toEqual({ waiting: 0, kvUsage: 0 });
  });

  test("takes a load header that it cannot read for none", () => {
    for (const value of [
      "",
      "JSON",
      "JSON {",
      "JSON {}",
      "TEXT",
      "TEXT =",
      "BIN x",
      'JSON {"named_metrics":7}',
    ]) {
      expect(vllm.loadHeader?.read(value)).toBeUndefined();
    }
    expect(vllm.loadHeader?.read('JSON {"named_metrics":{"num_requests_waiting":-1}}')).toBeUndefined();
  });

  test("puts realtime first, strictly", () => {
    const [realtime = 0, interactive = 0, async = 0] = classes.map((sla) => vllm.priority?.(sla));
    expect(realtime).toBeLessThan(interactive);
    expect(interactive).toBeLessThan(async);
  });
});

describe("the llama-cpp dialect", () => {
  const { "llama-cpp": llamaCpp } = dialects;

  test("reads an engine that is loading its model as unhealthy", () => {
    const body = '{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}';
    expect(llamaCpp.health.read(503, body)).toBe("unhealthy");
    expect(llamaCpp.readError(503, body)).toEqual({ message: "Loading model" });
  });

  test("reads its figures", () => {
    const page = [
      "# TYPE llamacpp:tokens_predicted_total counter",
      "llamacpp:tokens_predicted_total 421",
      "llamacpp:tokens_predicted_seconds_total 4.2",
      "llamacpp:requests_processing 2",
      "llamacpp:requests_deferred 1",
    ].join("\n");
    expect(llamaCpp.gauges?.read(200, page)).toEqual({ running: 2, waiting: 1, generatedTokens: 421 });
  });
});

describe("the tensorrt-llm dialect", () => {
  const { "tensorrt-llm": tensorrtLlm } = dialects;

  test("reads its figures out of the last iteration", () => {
    const page = JSON.stringify([
      { iter: 1, numActiveRequests: 9, numQueuedRequests: 9 },
      {
        iter: 2,
        numActiveRequests: 3,
        numQueuedRequests: 1,
        kvCacheStats: { maxNumBlocks: 200, usedNumBlocks: 50 },
      },
    ]);
    expect(tensorrtLlm.gauges?.read(200, page)).toEqual({ running: 3, waiting: 1, kvUsage: 0.25 });
  });

  test("knows nothing when no iteration has happened", () => {
    expect(tensorrtLlm.gauges?.read(200, "[]")).toBeUndefined();
  });

  test("waits for its figures longer than the 2 s for which an idle queue holds them back", () => {
    expect(tensorrtLlm.gauges?.timeoutMs).toBeGreaterThanOrEqual(4000);
  });
});
