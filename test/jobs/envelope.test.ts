import { expect, test } from "bun:test";
import { openEnvelope } from "../../src/jobs/envelope.ts";
import type { JobKind } from "../../src/jobs/job.ts";

const ulid = "01JZZZZZZZ0123456789ABCDEF";
const jobOf = (kind: JobKind) =>
  ({ id: `job_gold-1_${ulid}`, kind, model: "story-70b", acceptedAtMs: 1_767_225_600_000 }) as const;

const open = (body: string, kind: JobKind = "chat") => {
  const opened = openEnvelope(Buffer.from(body), jobOf(kind));
  return opened.ok ? Buffer.from(opened.result).toString("utf8") : opened.why;
};

test("an answer in OpenAI's shape reaches the caller byte for byte", () => {
  const body = ' { "choices": [{"message":{"content":"Well met."},"finish_reason":"stop"}], "x": 1.0 }\n';
  expect(open(body)).toBe(body);
});

test("an answer of TGI becomes a chat completion or a text completion, whether it comes alone or in a list", () => {
  const text = { generated_text: "Once upon a time", details: { finish_reason: "length" } };
  const chat = JSON.parse(open(JSON.stringify([text])));
  expect(chat).toEqual({
    id: `chatcmpl-${ulid}`,
    object: "chat.completion",
    created: 1_767_225_600,
    model: "story-70b",
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: "Once upon a time" },
        logprobs: null,
        finish_reason: "length",
      },
    ],
  });
  const completion = JSON.parse(open('{"generated_text":"…"}', "completion"));
  expect(completion).toMatchObject({
    object: "text_completion",
    choices: [{ index: 0, text: "…", finish_reason: "stop" }],
  });
  expect(JSON.parse(open('[{"generated_text":"a"},{"generated_text":"b"}]')).choices).toHaveLength(2);
});

const refused: readonly (readonly [what: string, body: string, why: RegExp])[] = [
  ["an unknown shape", '{"answer":42}', /not known here. It begins: \{"answer":42\}$/],
  ["text that is no JSON", "<html>\n  502", /begins: <html> 502$/],
  ["nothing", "", /not known here/],
  ["a number", "7", /not known here/],
  ["an empty list", "[]", /not known here/],
  ["a list with one stranger", '[{"generated_text":"a"},{"x":1}]', /not known here/],
  ["an error with status 200", '{"error":{"message":"out of memory"}}', /error: out of memory$/],
  ["an error of vLLM's old kind", '{"object":"error","message":"no such model"}', /error: no such model$/],
  ["no choices", '{"choices":[]}', /broken off or empty/],
  ["a broken answer", '{"choices":[{"finish_reason":"abort"}]}', /broken off or empty/],
];

for (const [what, body, why] of refused) {
  test(`of ${what} a container's answer says what is wrong with it`, () => {
    expect(open(body)).toMatch(why);
  });
}

test("of an answer in an unknown shape the reason shows the first 200 characters and no more", () => {
  const why = open("x".repeat(10_000));
  expect(why).toContain("x".repeat(200));
  expect(why).not.toContain("x".repeat(201));
});
