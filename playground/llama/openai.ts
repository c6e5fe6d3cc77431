// llama-server's OpenAI surface over one generation: reads the body, streams or gathers the pieces.

import type { GbnfJsonObjectSchema } from "node-llama-cpp";
import { z } from "zod";
import { tinyChatPrompt } from "../tiny-model.ts";
import type { Ending, Generation, Piece, TinyLlama, TokenLogprob } from "./generate.ts";
import { InvalidConstraint } from "./generate.ts";

type Kind = "chat" | "completion";

const textParts = z.array(z.looseObject({ text: z.string().optional() }));
const content = z
  .union([z.string(), textParts, z.null()])
  .optional()
  .transform((value) =>
    Array.isArray(value) ? value.map((part) => part.text ?? "").join("") : (value ?? ""),
  );

/** What is wrong inside a schema is said by the grammar that is made from it. */
const jsonSchema = z.custom<GbnfJsonObjectSchema>((value) => typeof value === "object" && value !== null);

const bodyShape = z.looseObject({
  model: z.string().optional(),
  messages: z.array(z.looseObject({ role: z.string(), content })).optional(),
  prompt: z.union([z.string(), z.array(z.string())]).optional(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() }).nullish(),
  max_tokens: z.int().nullish(),
  max_completion_tokens: z.int().nullish(),
  temperature: z.number().min(0).nullish(),
  seed: z.int().nullish(),
  stop: z.union([z.string(), z.array(z.string())]).nullish(),
  logprobs: z.union([z.boolean(), z.int()]).nullish(),
  top_logprobs: z.int().min(0).nullish(),
  grammar: z.string().nullish(),
  json_schema: jsonSchema.nullish(),
  response_format: z
    .looseObject({
      type: z.string(),
      schema: jsonSchema.optional(),
      json_schema: z.looseObject({ schema: jsonSchema.optional() }).optional(),
    })
    .nullish(),
});

type Body = z.infer<typeof bodyShape>;

export async function answerInference(
  kind: Kind,
  request: Request,
  model: string,
  llama: TinyLlama,
): Promise<Response> {
  const parsed = await readBody(request);
  if (parsed instanceof Response) return parsed;
  const refusal = refusalOf(kind, parsed, model);
  if (refusal !== undefined) return refusal;
  const what = generationOf(kind, parsed);
  const promptTokens = llama.countTokens(what.prompt);
  if (promptTokens >= llama.contextTokens) {
    const message = `the request exceeds the available context size (${promptTokens} >= ${llama.contextTokens} tokens), try increasing it`;
    return errorAnswer(400, "exceed_context_size_error", message);
  }
  const shape = answerShape(kind, model);
  const leaving = new AbortController();
  const leave = (): void => leaving.abort();
  request.signal.addEventListener("abort", leave, { once: true });
  const pieces = llama.generate(what, leaving.signal);
  try {
    const first = await pieces.next();
    if (parsed.stream === true) {
      return streamed(shape, pieces, first, leave, parsed.stream_options?.include_usage === true);
    }
    return await gathered(shape, pieces, first);
  } catch (error) {
    if (error instanceof InvalidConstraint) {
      return errorAnswer(400, "invalid_request_error", `Failed to parse grammar: ${error.message}`);
    }
    throw error;
  }
}

/** llama-server's own shape: the code is a number, and there is no `param`. */
export function errorAnswer(status: number, type: string, message: string): Response {
  return Response.json({ error: { code: status, message, type } }, { status });
}

async function readBody(request: Request): Promise<Body | Response> {
  let json: unknown;
  try {
    json = await request.json();
  } catch (error) {
    return errorAnswer(400, "invalid_request_error", error instanceof Error ? error.message : "no JSON");
  }
  const parsed = bodyShape.safeParse(json);
  return parsed.success
    ? parsed.data
    : errorAnswer(400, "invalid_request_error", z.prettifyError(parsed.error));
}

function refusalOf(kind: Kind, body: Body, model: string): Response | undefined {
  if (body.model !== undefined && body.model !== model) {
    return errorAnswer(
      404,
      "not_found_error",
      `model '${body.model}' not found, this server serves '${model}'`,
    );
  }
  if (kind === "chat" && body.messages === undefined) {
    return errorAnswer(400, "invalid_request_error", "'messages' is required");
  }
  if (kind === "completion" && body.prompt === undefined) {
    return errorAnswer(400, "invalid_request_error", "'prompt' is required");
  }
  const maxTokens = body.max_completion_tokens ?? body.max_tokens ?? 1;
  return maxTokens < 1
    ? errorAnswer(400, "invalid_request_error", `max_tokens must be at least 1, got ${maxTokens}`)
    : undefined;
}

function generationOf(kind: Kind, body: Body): Generation {
  const prompt = Array.isArray(body.prompt) ? body.prompt.join("\n") : (body.prompt ?? "");
  const logprobs = typeof body.logprobs === "number" ? body.logprobs : (body.top_logprobs ?? 0);
  return {
    prompt: kind === "chat" ? tinyChatPrompt(body.messages ?? []) : prompt,
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? undefined,
    temperature: body.temperature ?? 0.8,
    seed: body.seed ?? undefined,
    stop: typeof body.stop === "string" ? [body.stop] : (body.stop ?? []),
    constraint: constraintOf(body),
    topLogprobs:
      body.logprobs === undefined || body.logprobs === null || body.logprobs === false ? undefined : logprobs,
  };
}

function constraintOf(body: Body): Generation["constraint"] {
  if (typeof body.grammar === "string") return { grammar: body.grammar };
  if (body.json_schema) return { schema: body.json_schema };
  const format = body.response_format;
  if (format?.type === "json_schema")
    return { schema: format.json_schema?.schema ?? format.schema ?? { type: "object" } };
  if (format?.type === "json_object") return { schema: format.schema ?? { type: "object" } };
  return undefined;
}

type AnswerShape = ReturnType<typeof answerShape>;

/** Bodies of one answer: the same id, time and model in all of them. */
function answerShape(kind: Kind, model: string) {
  const chat = kind === "chat";
  const id = `${chat ? "chatcmpl" : "cmpl"}-${crypto.randomUUID().replaceAll("-", "")}`;
  const created = Math.floor(Date.now() / 1000);
  const object = chat ? "chat.completion" : "text_completion";
  const chunkObject = chat ? "chat.completion.chunk" : "text_completion";
  const logprobsOf = (rows: readonly TokenLogprob[]) =>
    rows.length === 0 ? null : { content: rows.map(logprobRow) };
  return {
    whole: (text: string, rows: readonly TokenLogprob[], ending: Ending) => ({
      id,
      object,
      created,
      model,
      choices: [
        {
          index: 0,
          finish_reason: ending.finish,
          logprobs: logprobsOf(rows),
          ...(chat ? { message: { role: "assistant", content: text } } : { text }),
        },
      ],
      usage: usageOf(ending),
    }),
    role: chat ? { delta: { role: "assistant", content: "" } } : undefined,
    chunk: (said: object, rows: readonly TokenLogprob[], finish: Ending["finish"] | null) => ({
      id,
      object: chunkObject,
      created,
      model,
      choices: [{ index: 0, finish_reason: finish, logprobs: logprobsOf(rows), ...said }],
    }),
    said: (text: string): object => (chat ? { delta: text === "" ? {} : { content: text } } : { text }),
    usage: (ending: Ending) => ({
      id,
      object: chunkObject,
      created,
      model,
      choices: [],
      usage: usageOf(ending),
    }),
  };
}

const usageOf = ({ promptTokens, completionTokens }: Ending) => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
});

const logprobRow = ({ token, logprob, top }: TokenLogprob) => ({
  token,
  logprob,
  bytes: [...Buffer.from(token)],
  top_logprobs: top.map((one) => ({ ...one, bytes: [...Buffer.from(one.token)] })),
});

type Pieces = AsyncGenerator<Piece, Ending | undefined, void>;
type Step = IteratorResult<Piece, Ending | undefined>;

async function gathered(shape: AnswerShape, pieces: Pieces, first: Step): Promise<Response> {
  let text = "";
  const rows: TokenLogprob[] = [];
  let step = first;
  for (; step.done !== true; step = await pieces.next()) {
    text += step.value.text;
    if (step.value.logprob !== undefined) rows.push(step.value.logprob);
  }
  // Without an ending the caller has left, and nobody reads this.
  return step.value === undefined
    ? new Response(null, { status: 499 })
    : Response.json(shape.whole(text, rows, step.value));
}

function streamed(
  shape: AnswerShape,
  pieces: Pieces,
  first: Step,
  leave: () => void,
  usage: boolean,
): Response {
  const frame = (body: object): string => `data: ${JSON.stringify(body)}\n\n`;
  let step: Step | undefined = first;
  let begun = false;
  const stream = new ReadableStream<string>({
    async pull(controller) {
      if (!begun && shape.role !== undefined) controller.enqueue(frame(shape.chunk(shape.role, [], null)));
      begun = true;
      const now = step ?? (await pieces.next());
      step = undefined;
      if (now.done !== true) {
        const rows = now.value.logprob === undefined ? [] : [now.value.logprob];
        controller.enqueue(frame(shape.chunk(shape.said(now.value.text), rows, null)));
        return;
      }
      if (now.value !== undefined) {
        controller.enqueue(frame(shape.chunk(shape.said(""), [], now.value.finish)));
        if (usage) controller.enqueue(frame(shape.usage(now.value)));
        controller.enqueue("data: [DONE]\n\n");
      }
      controller.close();
    },
    async cancel() {
      leave();
      await pieces.return(undefined);
    },
  });
  return new Response(stream.pipeThrough(new TextEncoderStream()), {
    headers: { "content-type": "text/event-stream" },
  });
}
