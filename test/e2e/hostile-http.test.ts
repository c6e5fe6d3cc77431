// The corpus of hostile requests through the compiled binary: each is refused or means what it says, and nothing of it
// is ever taken for another request, neither here nor at the engine behind.

import { describe, expect, test } from "bun:test";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { seededRandom } from "../../src/base/random.ts";
import { attack } from "../support/attack.ts";
import { chat, messages, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { hostileRequests, innocentBody } from "../support/hostile-requests.ts";
import { keysFile } from "../support/keys-file.ts";
import { measured } from "../support/measured.ts";
import { readOpenAiError } from "../support/openai-error.ts";
import { rawClient } from "../support/raw-client.ts";
import { startRawServer } from "../support/raw-server.ts";
import { engineToml, startTierline } from "../support/tierline.ts";
import { refusedAnswers } from "../wire/answers.ts";

const ends = cleanup();

async function house(config = "") {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 0 }));
  const router = ends(await startTierline({ config: engineToml("gold", gold.url) + config }));
  await until("the engine is known", () => gold.requests().some(({ path }) => path === "/v1/models"));
  // The question whether it is silent is the router's own, asked where a caller has left.
  const posts = () =>
    gold.requests().filter(({ method, body }) => method === "POST" && !body.includes('"content":"1"'));
  return { gold, router, posts };
}

test("of the corpus of hostile requests each is refused or served as it was meant, and none is taken for two (fault 34)", async () => {
  const { router, posts } = await house();
  const counts = { refused: 0, correct: 0, unfinished: 0, kept: 0 };
  const wrong: string[] = [];
  for (const hostile of hostileRequests) {
    const { verdict, status, kept, wrongs } = await attack(router.url, hostile, posts);
    if (!hostile.verdicts.includes(verdict)) wrong.push(`${hostile.title}: ${verdict} ${status ?? ""}`);
    wrong.push(...wrongs.map((each) => `${hostile.title}: ${each}`));
    if (verdict === "waits") counts.unfinished += 1;
    else if (["served", "answered", "judged"].includes(verdict)) counts.correct += 1;
    else counts.refused += 1;
    if (kept) counts.kept += 1;
  }
  expect(wrong).toEqual([]);
  expect((await chat(router.url, { model: "gold", messages, max_tokens: 1 })).status).toBe(200);
  expect(router.log.filter(({ level }) => Number(level) >= 50)).toEqual([]);
  expect(await router.metric("process_resident_memory_bytes")).toBeLessThan(600e6);
  measured(
    34,
    `${hostileRequests.length} hostile requests: ${counts.refused} refused or closed, ${counts.correct} answered as they were meant, ${counts.unfinished} rightly waited for; 0 desyncs (${counts.kept} connections went on and answered the next request with its own answer), 0 crashes`,
  );
}, 60_000);

test("cut anywhere into packets they mean what they mean as a whole", async () => {
  const { router, posts } = await house();
  const random = seededRandom(46);
  const wrong: string[] = [];
  for (const hostile of hostileRequests) {
    const { title, bytes, verdicts } = hostile;
    // Two requests that do not come at once are two requests.
    if (bytes.length > 20_000 || verdicts.includes("waits") || verdicts.includes("cut")) continue;
    const place = (): number => 1 + Math.floor(random() * (bytes.length - 1));
    const cuts = [place(), place(), bytes.indexOf("\r\n\r\n") + 2].sort((a, b) => a - b);
    const { verdict, status, wrongs } = await attack(router.url, hostile, posts, cuts);
    if (!verdicts.includes(verdict)) wrong.push(`${title} cut at ${cuts}: ${verdict} ${status ?? ""}`);
    wrong.push(...wrongs.map((each) => `${title} cut at ${cuts}: ${each}`));
  }
  expect(wrong).toEqual([]);
}, 60_000);

test("no spelling of a path leads past the question for a key", async () => {
  const { router, posts } = await house(ends(keysFile("lobby:sk-one")).toml);
  const targets = [
    "/v1/models",
    "/V1/models",
    "/v1//models",
    "//v1/models",
    "/./v1/models",
    "/livez/../v1/models",
    "/livez/%2e%2e/v1/models",
    "/%76%31/models",
    "/%2576%2531/models",
    "/v1%2fmodels",
    "/v1\\models",
    "/v1/models/",
    "/v1/models?/livez",
    "/v1/models#/livez",
    "/v1/models%00",
    "/v1/models;/livez",
    "/livez/..;/v1/models",
    "http://a/v1/models",
    "http://a//v1/models",
    "http://a/livez/../v1/models",
  ];
  const letIn: string[] = [];
  for (const version of ["HTTP/1.1\r\nhost: a", "HTTP/1.0", "HTTP/1.1\r\nhost:"]) {
    for (const target of targets) {
      for (const [verb, body] of [
        ["GET", ""],
        ["HEAD", ""],
        ["POST", innocentBody],
      ] as const) {
        const path = verb === "POST" ? target.replace("models", "chat/completions") : target;
        const client = await rawClient(router.url);
        client.write(
          `${verb} ${path} ${version}\r\nauthorization: Bearer\r\nx-api-key: sk-on\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
        );
        const answer = await client.answer(5000, verb);
        client.stop();
        if (answer === undefined || (answer !== "closed" && answer.status < 400))
          letIn.push(`${verb} ${path} ${version}`);
      }
    }
  }
  expect(letIn).toEqual([]);
  expect(posts()).toEqual([]);
}, 30_000);

describe("an engine that answers", () => {
  /** Answers what the request's `user` names, and decently whoever names nothing. */
  function startLiar(answers: ReadonlyMap<string, { answer: string; fin?: true | undefined }>) {
    const decent = JSON.stringify({
      choices: [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }],
    });
    const models = JSON.stringify({ object: "list", data: [{ id: "small" }] });
    const fine = (body: string): string =>
      `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    const server = ends(
      startRawServer(async (connection) => {
        for (;;) {
          const request = await connection.request();
          if (request === undefined) return;
          const user = /"user":"([^"]*)"/.exec(request.body.toString())?.[1] ?? "";
          const lie = answers.get(user);
          connection.write(lie?.answer ?? fine(request.line.startsWith("GET") ? models : decent));
          if (lie?.fin) return connection.end();
        }
      }),
    );
    return { server, url: `http://127.0.0.1:${server.port}` };
  }

  async function askThrough(
    answers: ReadonlyMap<string, { answer: string; fin?: true | undefined }>,
    judge: (title: string, response: Response, text: string) => string | undefined,
  ): Promise<string[]> {
    const { url, server } = startLiar(answers);
    const router = ends(await startTierline({ config: engineToml("gold", url, "", "openai") }));
    const ask = (user: string): Promise<Response> =>
      chat(
        router.url,
        { model: "gold", messages, max_tokens: 1, user },
        { headers: { "cache-control": "no-store" } },
      );
    await until("the engine is known", async () => (await ask("nobody")).status === 200);
    const wrong: string[] = [];
    for (const title of answers.keys()) {
      const response = await ask(title);
      const said = judge(title, response, await response.text());
      if (said !== undefined) wrong.push(`${title}: ${said}`);
      // As many good ones that no breaker takes offence, and each must get its own answer, not the rest of the lie.
      for (let good = 0; good < 3; good += 1) {
        const after = await ask("nobody");
        const text = await after.text();
        if (after.status !== 200 || !text.includes('"hi"'))
          wrong.push(`after ${title}: ${after.status} ${text}`);
      }
    }
    // A connection on which one lied has carried nothing afterwards.
    for (const { received } of server.connections) {
      const users = [...received.toString("latin1").matchAll(/"user":"([^"]*)"/g)].map(
        (match) => match[1] ?? "",
      );
      const lie = users.findIndex((user) => answers.has(user));
      if (lie >= 0 && lie < users.length - 1) wrong.push(`the connection of ${users[lie]} was used again`);
    }
    expect(router.log.filter(({ level }) => Number(level) >= 50)).toEqual([]);
    return wrong;
  }

  test("what is no HTTP, or could be read in two ways, is a 502 to the caller, and its connection is not used again (fault 34)", async () => {
    const answers = new Map(
      refusedAnswers
        .filter(({ limits }) => limits === undefined)
        .map(({ title, answer }) => [title, { answer, fin: true as const }]),
    );
    const wrong = await askThrough(answers, (_, { status }, text) =>
      status === 502 && readOpenAiError(text).code === "upstream_failed" ? undefined : `${status} ${text}`,
    );
    expect(wrong).toEqual([]);
    measured(
      34,
      `${answers.size} answers of an engine that can be read in two ways: each 502, no connection of them used again`,
    );
  }, 60_000);

  test("with more than one answer, or headers that are not its to set, reaches the caller without them", async () => {
    const body =
      '{"choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]}';
    const evil = [
      "set-cookie: a=b",
      "x-tierline-endpoint: evil/vllm",
      "x-tierline-peer: evil",
      "access-control-allow-origin: *",
      "access-control-allow-credentials: true",
      "strict-transport-security: max-age=1",
      "alt-svc: h2=evil",
      "server: evil",
      "x-request-id: evil",
      "keep-alive: timeout=9",
      "proxy-authenticate: evil",
      "trailer: x-evil",
      "upgrade: h2c",
      "date: evil",
    ];
    const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${evil.join("\r\n")}\r\n`;
    const second = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    const answers = new Map(
      Object.entries({
        "an answer and another behind it": {
          answer: `${head}content-length: ${body.length}\r\n\r\n${body}${second}`,
        },
        "a chunked one and another behind it": {
          answer: `${head}transfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\nx-evil: 1\r\nset-cookie: a=b\r\n\r\n${second}`,
        },
        "one that ends with the connection": { answer: `${head}\r\n${body}`, fin: true as const },
      }),
    );
    const wrong = await askThrough(answers, (_, { status, headers }, text) => {
      if (status !== 200 || text !== body) return `${status} ${text}`;
      const leaked = [...headers].filter(([, value]) => value.includes("evil") || value.includes("a=b"));
      const others = [
        "strict-transport-security",
        "access-control-allow-origin",
        "keep-alive",
        "upgrade",
      ].filter((name) => headers.has(name));
      return leaked.length + others.length === 0 ? undefined : `${JSON.stringify(leaked)} ${others.join()}`;
    });
    expect(wrong).toEqual([]);
  });
});

describe("the admin listener", () => {
  const json = { "content-type": "application/json" };

  test("answers to loopback names only, and changes nothing for a page in a browser", async () => {
    const { router } = await house();
    const { adminUrl } = router;
    const { port } = new URL(adminUrl);
    const evil: string[] = [];
    const ask = async (line: string, headers: readonly string[], body = ""): Promise<number> => {
      const client = await rawClient(adminUrl);
      client.write([line, ...headers, `content-length: ${body.length}`, "", body].join("\r\n"));
      const answer = await client.answer(5000);
      client.stop();
      return typeof answer === "object" ? answer.status : 0;
    };
    const hosts = [
      "evil.example",
      `evil.example:${port}`,
      "127.0.0.1.evil.example",
      "localhost.evil.example",
      "127.0.0.1@evil.example",
      "evil.example#127.0.0.1",
      "evil.example/127.0.0.1",
      "127.0.0.1, evil.example",
      "127.1.evil",
      "0.0.0.0",
      "[::ffff:10.0.0.1]",
      "2130706433",
      "",
    ];
    for (const host of hosts)
      for (const path of ["/api/fleet", "/api/config", "/API/../api/fleet", "//api/fleet", "/%61pi/fleet"]) {
        const status = await ask(`GET ${path} HTTP/1.1`, [`host: ${host}`]);
        if (status < 400 && status !== 0) evil.push(`${host} ${path} ${status}`);
      }
    if ((await ask("GET /api/fleet HTTP/1.0", [])) < 400) evil.push("no host");
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data",
      "text/plain;application/json",
      "application/jsonp",
      "",
    ]) {
      const status = await ask(
        "POST /api/drain HTTP/1.1",
        [`host: 127.0.0.1:${port}`, `content-type: ${type}`],
        "{}",
      );
      if (status !== 415) evil.push(`${type} ${status}`);
    }
    expect(evil).toEqual([]);
    expect(await (await fetch(`${adminUrl}/api/drain`)).json()).toMatchObject({ draining: false });
  });

  test("refuses bodies that are large, deep, packed or no JSON, and goes on", async () => {
    const { router } = await house();
    const clear = (
      body: string | Uint8Array<ArrayBuffer>,
      headers: Record<string, string> = {},
    ): Promise<number> =>
      fetch(`${router.adminUrl}/api/cache/clear`, {
        method: "POST",
        headers: { ...json, ...headers },
        body,
      }).then(({ status }) => status);
    expect(
      await Promise.all([
        clear("x".repeat(20_000_000)),
        clear("[".repeat(1_000_000)),
        clear('{"cache":"__proto__"}'),
        clear('{"__proto__":{"cache":"results"},"cache":7}'),
        clear("nonsense"),
        clear(Bun.gzipSync("{}"), { "content-encoding": "gzip" }),
      ]),
    ).toEqual([400, 400, 400, 400, 400, 400]);
    expect(await clear('{"cache":"results"}')).toBe(200);
  });
});
