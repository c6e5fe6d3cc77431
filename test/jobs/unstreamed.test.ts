import { expect, test } from "bun:test";
import fc from "fast-check";
import { unstreamed } from "../../src/jobs/unstreamed.ts";

const sent = (body: string): string => Buffer.from(unstreamed(Buffer.from(body))).toString("utf8");

const rows: readonly (readonly [body: string, sent: string])[] = [
  ['{"a":1}', '{"stream":false,"a":1}'],
  ["{}", '{"stream":false}'],
  [" { } ", '{"stream":false}'],
  ['{"stream":true,"a":1}', '{"stream":false,"a":1}'],
  ['{"a":1,"stream":true}', '{"stream":false,"a":1}'],
  ['{"a":1, "stream" : false }', '{"stream":false,"a":1}'],
  [
    '{"stream":true,"stream_options":{"include_usage":true},"a":[1,{"stream":true}]}',
    '{"stream":false,"a":[1,{"stream":true}]}',
  ],
  ['{"\\u0073tream":true,"a":1}', '{"stream":false,"a":1}'],
  ['{"a":"\\"stream\\":true, }","stream":true}', '{"stream":false,"a":"\\"stream\\":true, }"}'],
  ['{"seed":12345678901234567890,"stream":true}', '{"stream":false,"seed":12345678901234567890}'],
];

for (const [body, expected] of rows) {
  test(`a job's body ${body} is sent as ${expected}`, () => {
    expect(sent(body)).toBe(expected);
  });
}

test("of any request a job's body keeps every member but those that say how to stream", () => {
  const keys = fc.oneof(fc.constantFrom("stream", "stream_options", "model", "streams"), fc.string());
  fc.assert(
    fc.property(fc.dictionary(keys, fc.jsonValue()), fc.boolean(), (request, spaced) => {
      const { stream: _stream, stream_options: _options, ...kept } = request;
      const body = JSON.stringify(request, undefined, spaced ? 2 : undefined);
      expect(JSON.parse(sent(body))).toEqual(JSON.parse(JSON.stringify({ stream: false, ...kept })));
    }),
    { numRuns: 300 },
  );
});
