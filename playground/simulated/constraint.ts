// The answers that a request allows, in every dialect that tierline speaks: vLLM's, llama-server's and trtllm-serve's.
// Only lists are understood; any other grammar is let pass, and constrains nothing.

import { member } from "../../src/engines/openai-wire.ts";

/** Empty: anything goes. A field that no engine knows (vLLM's old `guided_choice`) is ignored, as vLLM does. */
export function allowedAnswers(body: unknown): readonly string[] {
  const structured = member(body, "structured_outputs");
  const choice = member(structured, "choice");
  if (Array.isArray(choice)) return choice.map(String);
  const grammar = member(structured, "grammar") ?? member(body, "grammar");
  if (typeof grammar === "string") return literals(grammar);
  const format = member(body, "response_format");
  const regex = member(format, "regex");
  return member(format, "type") === "regex" && typeof regex === "string" ? alternatives(regex) : [];
}

/** Of `root ::= "A" | "B"`. */
function literals(grammar: string): readonly string[] {
  const rule = /^\s*root\s*::=\s*("[^"]*"(?:\s*\|\s*"[^"]*")*)\s*$/.exec(grammar)?.[1] ?? "";
  return Array.from(rule.matchAll(/"([^"]*)"/g), ([, literal]) => literal ?? "");
}

/** Of `(A|B)`. */
const alternatives = (regex: string): readonly string[] =>
  /^\(([^()|]+(?:\|[^()|]+)*)\)$/.exec(regex)?.[1]?.split("|") ?? [];
