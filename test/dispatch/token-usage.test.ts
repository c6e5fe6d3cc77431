// Usage out of the end of an answer.

import { describe, expect, test } from "bun:test";
import { usageIn } from "../../src/dispatch/token-usage.ts";
import { recording } from "../support/recording.ts";

describe("usageIn", () => {
  test("reads both figures, in either order and spacing", () => {
    expect(usageIn('…,"usage":{"prompt_tokens":12,"total_tokens":15,"completion_tokens":3}}')).toEqual({
      prompt: 12,
      completion: 3,
    });
    expect(usageIn('"usage": {"completion_tokens": 3, "prompt_tokens": 12}')).toEqual({
      prompt: 12,
      completion: 3,
    });
  });

  test("takes an embedding's lack of completion tokens for none", () => {
    expect(usageIn('"usage":{"prompt_tokens":7,"total_tokens":7}')).toEqual({ prompt: 7, completion: 0 });
  });

  test("reads the last of several", () => {
    const twice =
      '"usage":{"prompt_tokens":1,"completion_tokens":1} "usage":{"prompt_tokens":1,"completion_tokens":2}';
    expect(usageIn(twice)).toEqual({ prompt: 1, completion: 2 });
  });

  test("reads nothing where there is nothing, or no number", () => {
    for (const text of [
      "",
      "{}",
      '"usage":null',
      '"usage":{}',
      '"usage":{"prompt_tokens":"many"}',
      '"prompt_tokens":5',
    ]) {
      expect([text, usageIn(text)]).toEqual([text, undefined]);
    }
  });

  test("is not taken in by a model that writes about usage", () => {
    const words = JSON.stringify({ content: '"usage":{"prompt_tokens":99,"completion_tokens":99}' });
    expect(usageIn(words)).toBeUndefined();
  });

  test("reads recorded answers of real engines as JSON.parse does", () => {
    for (const name of ["vllm/chat", "vllm/completions", "llamacpp/chat", "vllm/chat-n2"]) {
      const { body } = recording(name);
      const { usage }: { usage: { prompt_tokens: number; completion_tokens: number } } = JSON.parse(body);
      expect([name, usageIn(body)]).toEqual([
        name,
        { prompt: usage.prompt_tokens, completion: usage.completion_tokens },
      ]);
    }
  });
});
