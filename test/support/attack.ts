// One hostile request on a connection of its own, and after it, where the connection is kept, a marker: what came back on
// that connection, what the engine behind saw meanwhile, and whatever of it must not be.

import type { RecordedRequest } from "../../playground/simulated/journal.ts";
import type { HostileRequest, Verdict } from "./hostile-requests.ts";
import { rawClient } from "./raw-client.ts";

export interface Attacked {
  readonly verdict: Verdict;
  readonly status: number | undefined;
  readonly kept: boolean;
  /** Sentences; none is good. */
  readonly wrongs: readonly string[];
}

const rule = {
  /** So long an answer is waited for. */
  answerMs: 5_000,
  /** So long one that must not come. */
  silenceMs: 250,
} as const;

let markers = 0;

/**
 * `seen`: the requests for inference that the engine has got so far, oldest first. `cuts`: in how many places the bytes are
 * cut, each piece in a packet of its own.
 */
export async function attack(
  url: string,
  { bytes, verdicts }: HostileRequest,
  seen: () => readonly RecordedRequest[],
  cuts: readonly number[] = [],
): Promise<Attacked> {
  const wrongs: string[] = [];
  const before = seen().length;
  const client = await rawClient(url);
  try {
    let from = 0;
    for (const at of cuts) {
      client.write(bytes.slice(from, at));
      from = at;
      await Bun.sleep(1);
    }
    client.write(bytes.slice(from));
    const method = /^\s*([A-Z]+) /.exec(bytes)?.[1];
    const answer = await client.answer(verdicts.includes("waits") ? rule.silenceMs : rule.answerMs, method);
    let kept = false;
    if (typeof answer === "object") {
      if (answer.status >= 500 && answer.status !== 501 && answer.status !== 505)
        wrongs.push(`answered ${answer.status}: ${answer.body.slice(0, 200)}`);
      for (const name of ["set-cookie", "x"])
        if (answer.headers[name] !== undefined) wrongs.push(`the answer has a header ${name}`);
      if (answer.headers["x-request-id"] === "smuggled") wrongs.push("the smuggled request was answered");
      markers += 1;
      const marker = `marker-${markers}`;
      client.write(`GET /${marker} HTTP/1.1\r\nhost: a\r\nx-request-id: ${marker}\r\n\r\n`);
      const next = await client.answer(rule.answerMs);
      if (next === undefined) wrongs.push("the marker got no answer, and the connection stayed open");
      else if (next !== "closed") {
        kept = true;
        const isOwn =
          next.status === 404 && next.headers["x-request-id"] === marker && next.body.includes(`/${marker}.`);
        if (!isOwn) wrongs.push(`the marker was answered with ${next.head}`);
      }
    }
    if (client.rest() !== "") wrongs.push(`bytes that belong to no answer: ${client.rest().slice(0, 200)}`);
    // Nobody waits for what may have been handed on.
    if (verdicts.includes("cut")) await Bun.sleep(rule.silenceMs);
    const heard = seen().slice(before);
    for (const request of heard) wrongs.push(...wrongAt(request, bytes));
    if (heard.length > 1) wrongs.push(`an engine saw ${heard.length} requests`);
    const status = typeof answer === "object" ? answer.status : undefined;
    const verdict = verdictOf(answer === "closed" ? "closed" : status, heard.length, verdicts);
    return { verdict, status, kept, wrongs };
  } finally {
    client.stop();
  }
}

function verdictOf(
  status: number | "closed" | undefined,
  heard: number,
  verdicts: readonly Verdict[],
): Verdict {
  if (status === undefined) return "waits";
  if (status === "closed" || status >= 400) {
    if (verdicts.includes("cut")) return "cut";
    if (status === "closed") return "closed";
    return heard > 0 ? "judged" : "refused";
  }
  return heard > 0 ? "served" : "answered";
}

/** What an engine must never see, whatever came in. */
function wrongAt({ path, headers, body }: RecordedRequest, bytes: string): string[] {
  const wrongs: string[] = [];
  if (JSON.stringify([path, headers, body]).includes("smuggled"))
    wrongs.push("an engine saw the smuggled request");
  if (path !== "/v1/chat/completions") wrongs.push(`an engine was asked for ${path}`);
  for (const name of Object.keys(headers)) {
    const isOurs = name.startsWith("x-tierline-");
    if (isOurs || ["authorization", "cookie", "transfer-encoding", "expect", "upgrade", "te"].includes(name))
      wrongs.push(`an engine saw the header ${name}`);
  }
  if (Number(headers["content-length"]) !== Buffer.byteLength(body) && body.length < 1_000_000)
    wrongs.push("an engine saw another length");
  const sent = /\r\ntransfer-encoding:/i.test(bytes) ? undefined : bytes.slice(bytes.indexOf("\r\n\r\n") + 4);
  if (sent !== undefined && body.length < 1_000_000) {
    const meant = meaning(Buffer.from(sent, "latin1").toString("utf8").slice(0, sent.length));
    if (meant !== undefined && meant !== meaning(body)) wrongs.push("an engine saw another body");
  }
  return wrongs;
}

/** Of a body, apart from what the router changes in it. */
function meaning(text: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(text.replace(/^\ufeff/, ""));
    return typeof parsed === "object" && parsed !== null
      ? Bun.inspect({ ...parsed, model: "", priority: 0 }, { depth: 10, sorted: true })
      : undefined;
  } catch {
    return undefined;
  }
}
