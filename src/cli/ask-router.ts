// One question to a router's admin listener, over node:http, because a command line needs no connection pool.

import { request } from "node:http";
import type { z } from "zod";
import { parseJson } from "../base/parse-json.ts";
import type { ExitCode, Given, Io } from "./command.ts";
import { exit, printJson } from "./command.ts";
import type { Router } from "./router.ts";
import { findRouter } from "./router.ts";

/** A router that takes longer to say how it is, is not well. */
const answerTimeoutMs = 5000;

/** Only a job with its result comes near this. */
const answerLimitBytes = 20_000_000;

export interface Question<Answer> {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** Of a POST; without it nothing in particular is asked for. */
  readonly body?: unknown;
  readonly answer: z.ZodType<Answer>;
  /** How long the router may take, where it has to ask others first. */
  readonly limitMs?: number;
}

export type RouterAnswer<Answer> =
  | { readonly ok: true; readonly value: Answer; readonly raw: unknown }
  /** `meaningless`: the router has understood, and there is no such thing. */
  | { readonly ok: false; readonly meaningless: boolean; readonly why: string };

export type Ask = <Answer>(question: Question<Answer>) => Promise<RouterAnswer<Answer>>;

/** Runs `talk` with a way to ask the router, or says why there is none. */
export async function withRouter(
  given: Given,
  io: Io,
  talk: (ask: Ask) => Promise<ExitCode>,
): Promise<ExitCode> {
  const search = findRouter(given, io);
  return search.ok ? talk((question) => askRouter(search.router, question)) : search.exit;
}

/** Asks one question, and prints the answer as it came or as `text` has it. */
export const askAndPrint = <Answer>(
  given: Given,
  io: Io,
  question: Question<Answer>,
  text: (answer: Answer) => string,
): Promise<ExitCode> =>
  withRouter(given, io, async (ask) => {
    const answer = await ask(question);
    if (!answer.ok) {
      io.err(`${answer.why}.\n`);
      return answer.meaningless ? exit.meaning : exit.failed;
    }
    if (given.has("json")) printJson(io, answer.raw);
    else io.out(text(answer.value));
    return exit.ok;
  });

async function askRouter<Answer>(router: Router, question: Question<Answer>): Promise<RouterAnswer<Answer>> {
  const exchange = await send(router, question);
  if (!exchange.ok) return { ok: false, meaningless: false, why: exchange.why };
  const { status, body } = exchange;
  const json = parseJson(body);
  if (status < 200 || status > 299) {
    return { ok: false, meaningless: status === 400 || status === 404, why: refusal(router, status, json) };
  }
  const parsed = question.answer.safeParse(json);
  if (parsed.success) return { ok: true, value: parsed.data, raw: json };
  const why = `What answers at ${router.url} does not speak like a router of this version`;
  return { ok: false, meaningless: false, why };
}

type Exchange =
  | { readonly ok: true; readonly status: number; readonly body: string }
  | { readonly ok: false; readonly why: string };

function send(
  router: Router,
  { method, path, body, limitMs = answerTimeoutMs }: Question<unknown>,
): Promise<Exchange> {
  return new Promise((resolve) => {
    const headers: Record<string, string> = { accept: "application/json", connection: "close" };
    if (method === "POST") headers["content-type"] = "application/json";
    if (router.token !== undefined) headers["authorization"] = `Bearer ${router.token}`;
    const fail = (why: string): void => resolve({ ok: false, why });

    const call = request(
      new URL(path, router.url),
      // No agent: Bun would put the next question on a connection that the answer has just closed.
      { method, headers, agent: false, timeout: limitMs },
      (response) => {
        const parts: Buffer[] = [];
        let size = 0;
        response.on("data", (part: Buffer) => {
          size += part.length;
          if (size > answerLimitBytes) call.destroy(new Error("the answer is too long"));
          else parts.push(part);
        });
        response.on("end", () =>
          resolve({ ok: true, status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() }),
        );
        response.on("error", (error) => fail(`The answer of ${router.url} broke off: ${error.message}`));
      },
    );
    call.on("timeout", () => {
      fail(`${router.url} did not answer within ${limitMs} ms`);
      call.destroy();
    });
    call.on("error", (error) => {
      const refused =
        "code" in error && (error.code === "ECONNREFUSED" || error.code === "ConnectionRefused");
      if (refused) fail(`No router answers at ${router.url}. Is one running? Name another with --admin URL`);
      else fail(`${router.url} cannot be asked: ${error.message}`);
    });
    call.end(method === "POST" ? JSON.stringify(body ?? {}) : undefined);
  });
}

/** The sentence in a problem+json body, else the status; the full stop is for whoever prints it. */
function refusal(router: Router, status: number, body: unknown): string {
  if (status === 401) return `The router at ${router.url} wants its admin token: --token-file FILE`;
  const told = (key: "title" | "detail"): string | undefined => {
    const value =
      typeof body === "object" && body !== null && key in body ? Reflect.get(body, key) : undefined;
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const words = [told("title"), told("detail")]
    .filter((part) => part !== undefined)
    .join(": ")
    .replace(/\.$/, "");
  // The admin listener says what it lacks in words.
  if (status === 404 && words === "")
    return `${router.url} is no admin listener. That one listens on port 8011 unless listen.admin says otherwise`;
  return `The router at ${router.url} refused (${status})${words === "" ? "" : `: ${words}`}`;
}
