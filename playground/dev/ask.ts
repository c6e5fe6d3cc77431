// One question to the router, as a game client asks it, and what came of it.

import { decoded } from "./decoded.ts";

export interface Asked {
  /** 0 where there was no answer at all. */
  readonly status: number;
  readonly text: string;
  readonly firstTokenMs: number;
  readonly totalMs: number;
  readonly tier: string;
  readonly locality: string;
  readonly endpoint: string;
  readonly because: string;
  readonly attempts: string;
}

export interface Question {
  readonly model: string;
  readonly content: string;
  readonly maxTokens: number;
  /** The answer has to be one of these. */
  readonly choice?: readonly string[];
  /** Asked for as a stream where given; called with each piece of text. */
  readonly onText?: (piece: string) => void;
}

/** Longer than any deadline of the router. */
const patienceMs = 150_000;

export async function ask(routerUrl: string, question: Question): Promise<Asked> {
  const from = performance.now();
  const stream = question.onText !== undefined;
  try {
    const response = await fetch(`${routerUrl}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: question.model,
        messages: [{ role: "user", content: question.content }],
        max_tokens: question.maxTokens,
        ...(stream ? { stream } : {}),
        ...(question.choice === undefined ? {} : { structured_outputs: { choice: question.choice } }),
      }),
      signal: AbortSignal.timeout(patienceMs),
    });
    let firstTokenMs = 0;
    let text = "";
    if (stream && response.ok && response.body !== null) {
      for await (const piece of contentOf(response.body)) {
        if (piece !== "" && firstTokenMs === 0) firstTokenMs = performance.now() - from;
        text += piece;
        question.onText?.(piece);
      }
    } else {
      text = textOf(await response.text());
    }
    const header = (name: string): string => response.headers.get(`x-tierline-${name}`) ?? "";
    return {
      status: response.status,
      text,
      firstTokenMs,
      totalMs: performance.now() - from,
      tier: header("tier"),
      locality: header("locality"),
      endpoint: header("endpoint"),
      because: header("because"),
      attempts: header("attempts"),
    };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const nowhere = { tier: "", locality: "", endpoint: "", because: "", attempts: "" };
    return { status: 0, text, firstTokenMs: 0, totalMs: performance.now() - from, ...nowhere };
  }
}

/** The answer's text, or the error's message. */
function textOf(body: string): string {
  const answer: { choices?: { message?: { content?: string } }[]; error?: { message?: string } } =
    JSON.parse(body);
  return answer.choices?.[0]?.message?.content ?? answer.error?.message ?? "";
}

/** What each event of a chat stream adds to the text. */
async function* contentOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of decoded(body)) {
    const events = (rest + text).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      if (!event.startsWith("data: {")) continue;
      const chunk: { choices?: { delta?: { content?: string } }[]; error?: { message?: string } } =
        JSON.parse(event.slice("data: ".length));
      if (chunk.error !== undefined) throw new Error(chunk.error.message ?? "the stream failed");
      yield chunk.choices?.[0]?.delta?.content ?? "";
    }
  }
}
