// The official OpenAI SDKs against the binary, unmodified: TypeScript here, Python in a process of its own.

import { describe, expect, test } from "bun:test";
import OpenAI from "openai";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { cleanup } from "../support/cleanup.ts";
import { keysFile } from "../support/keys-file.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

async function house(config = "") {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  const silver = ends(await startSimulatedEngine({ model: "large", msPerToken: 1 }));
  const engines = engineToml("gold", gold.url) + engineToml("silver", silver.url);
  const router = ends(await startTierline({ config: engines + config }));
  return { gold, silver, router, client: new OpenAI({ apiKey: "player", baseURL: `${router.url}/v1` }) };
}

const messages = [{ role: "user" as const, content: "Who goes there?" }];

/** What it rejects with; undefined where it does not. */
const failureOf = (work: PromiseLike<unknown>): PromiseLike<unknown> =>
  work.then(
    () => undefined,
    (reason: unknown) => reason,
  );

describe("the TypeScript SDK", () => {
  test("chats, streams, completes, embeds and lists models", async () => {
    const { client } = await house();
    const chat = await client.chat.completions.create({ model: "gold", messages, max_tokens: 3 });
    expect(chat.choices[0]?.message.content?.length).toBeGreaterThan(0);

    let streamed = "";
    let finished: string | null = null;
    const stream = await client.chat.completions.create({
      model: "silver",
      messages,
      stream: true,
      max_tokens: 5,
    });
    for await (const chunk of stream) {
      streamed += chunk.choices[0]?.delta.content ?? "";
      finished = chunk.choices[0]?.finish_reason ?? finished;
    }
    expect(streamed.length).toBeGreaterThan(0);
    expect(["length", "stop"]).toContain(finished ?? "");

    const completion = await client.completions.create({ model: "gold", prompt: "Once", max_tokens: 2 });
    expect(completion.choices[0]?.text.length).toBeGreaterThan(0);
    const embeddings = await client.embeddings.create({ model: "gold", input: "Once" });
    expect(embeddings.data[0]?.embedding.length).toBeGreaterThan(0);

    const ids: string[] = [];
    for await (const model of client.models.list()) ids.push(model.id);
    expect(ids).toContain("small");
    expect((await client.models.retrieve("large")).id).toBe("large");
  });

  test("raises its own error classes, and sees our code and request id", async () => {
    const { client } = await house();
    const missing = client.chat.completions.create({ model: "nonsense", messages });
    const error = await failureOf(missing);
    expect(error).toBeInstanceOf(OpenAI.NotFoundError);
    expect(error).toMatchObject({
      status: 404,
      code: "model_not_found",
      requestID: expect.stringContaining("req_"),
    });
  });

  test("does not repeat what we say cannot help, and repeats what we say can", async () => {
    const { client, gold, silver } = await house();
    const asked = () => gold.stats().paths["/v1/chat/completions"] ?? 0;
    for (const engine of [gold, silver]) engine.fault({ kind: "status", status: 500 });
    expect(await failureOf(client.chat.completions.create({ model: "gold", messages }))).toBeInstanceOf(
      OpenAI.InternalServerError,
    );
    // One try of ours on each rung, and none of the SDK's own two retries.
    expect(asked()).toBe(1);

    for (const engine of [gold, silver])
      engine.fault({ kind: "status", status: 503, retryAfterMs: 20, times: 1 });
    await Bun.sleep(350);
    const answer = await client.chat.completions.create({ model: "gold", messages, max_tokens: 1 });
    expect(answer.choices).toHaveLength(1);
  });

  test("raises at a stream that breaks, instead of ending it", async () => {
    const { client, gold } = await house();
    gold.fault({ kind: "reset", when: "body", bytes: 900 });
    const stream = await client.chat.completions.create({
      model: "gold",
      messages,
      stream: true,
      max_tokens: 50,
    });
    const read = async (): Promise<void> => {
      for await (const _ of stream);
    };
    expect(await failureOf(read())).toBeInstanceOf(OpenAI.APIError);
  });

  test("with keys asked for, a good key works and a bad one raises AuthenticationError", async () => {
    const { router } = await house(ends(keysFile("lobby:sk-good")).toml);
    const ask = (apiKey: string) =>
      new OpenAI({ apiKey, baseURL: `${router.url}/v1` }).chat.completions.create({
        model: "gold",
        messages,
        max_tokens: 1,
      });
    expect((await ask("sk-good")).choices).toHaveLength(1);
    expect(await failureOf(ask("sk-bad"))).toBeInstanceOf(OpenAI.AuthenticationError);
    expect(JSON.stringify(router.log) + router.stderr()).not.toContain("sk-");
  });
});

const script = `
import sys
import openai
client = openai.OpenAI(api_key="player", base_url=sys.argv[1] + "/v1")
messages = [{"role": "user", "content": "Who goes there?"}]
chat = client.chat.completions.create(model="gold", messages=messages, max_tokens=3)
assert chat.choices[0].message.content, chat
chunks = list(client.chat.completions.create(model="silver", messages=messages, stream=True, max_tokens=5))
assert any(c.choices and c.choices[0].finish_reason for c in chunks), chunks
assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
assert "small" in [m.id for m in client.models.list()]
assert client.embeddings.create(model="gold", input="Once").data[0].embedding
try:
    client.chat.completions.create(model="nonsense", messages=messages)
    raise SystemExit("a missing model must raise")
except openai.NotFoundError as error:
    assert error.code == "model_not_found", error
print("python sdk ok", openai.__version__)
`;

/** CI names an interpreter that has the package; on a person's machine any python3 that has it will do. */
function pythonWithSdk(): string | undefined {
  for (const python of [process.env["OPENAI_PYTHON"], "python3"]) {
    if (python === undefined) continue;
    try {
      if (Bun.spawnSync([python, "-c", "import openai"]).success) return python;
    } catch {
      // No such interpreter.
    }
  }
  if (process.env["CI"] === "true")
    throw new Error("no Python with the openai package, and CI may not skip its test");
  console.warn("no Python with the openai package (pip install openai): its test is skipped");
  return undefined;
}

const python = pythonWithSdk();

test.skipIf(python === undefined)(
  "the Python SDK chats, streams, embeds, lists models and raises its own errors",
  async () => {
    const { router } = await house();
    const child = Bun.spawn([python ?? "", "-c", script, router.url], { stdout: "pipe", stderr: "pipe" });
    const [code, out, err] = await Promise.all([
      child.exited,
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect(err).toBe("");
    expect(out).toStartWith("python sdk ok");
    expect(code).toBe(0);
  },
  60_000,
);
