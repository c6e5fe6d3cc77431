// Reads one HTTP/1.1 request out of the bytes that have come so far.

export interface HttpRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** Behind the question mark; empty where there is none. */
  readonly query: string;
  /** Names in lower case; repeated ones joined with ", ". */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Which connection it came on, counted from 1. */
  readonly connection: number;
  /** Which request on that connection, counted from 1. */
  readonly turn: number;
}

type Parsed =
  | { readonly request: Omit<HttpRequest, "connection" | "turn">; readonly bytes: number }
  | "incomplete"
  | "malformed";

export function parseRequest(inbox: Buffer): Parsed {
  const headEnd = inbox.indexOf("\r\n\r\n");
  if (headEnd < 0) return "incomplete";
  const lines = inbox.toString("latin1", 0, headEnd).split("\r\n");
  const [method, target, version] = (lines[0] ?? "").split(" ");
  if (method === undefined || target === undefined || version?.startsWith("HTTP/1.") !== true)
    return "malformed";
  const headers: Record<string, string> = {};
  for (let index = 1; index < lines.length; index += 1) {
    const line = lines[index] ?? "";
    const colon = line.indexOf(":");
    if (colon <= 0) return "malformed";
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const before = headers[name];
    headers[name] = before === undefined ? value : `${before}, ${value}`;
  }
  const query = target.indexOf("?");
  const path = query < 0 ? target : target.slice(0, query);
  const asked = query < 0 ? "" : target.slice(query + 1);
  const bodyStart = headEnd + 4;
  const body =
    headers["transfer-encoding"]?.toLowerCase() === "chunked"
      ? chunkedBody(inbox, bodyStart)
      : plainBody(inbox, bodyStart, Number(headers["content-length"] ?? 0));
  if (typeof body === "string") return body;
  return { request: { method, path, query: asked, headers, body: body.bytes }, bytes: body.end };
}

type Body = { readonly bytes: Buffer; readonly end: number } | "incomplete" | "malformed";

function plainBody(inbox: Buffer, start: number, length: number): Body {
  if (!Number.isSafeInteger(length) || length < 0) return "malformed";
  const end = start + length;
  return inbox.length < end ? "incomplete" : { bytes: inbox.subarray(start, end), end };
}

function chunkedBody(inbox: Buffer, start: number): Body {
  const parts: Buffer[] = [];
  for (let at = start; ; ) {
    const lineEnd = inbox.indexOf("\r\n", at);
    if (lineEnd < 0) return "incomplete";
    const size = Number.parseInt(inbox.toString("latin1", at, lineEnd), 16);
    if (!Number.isSafeInteger(size) || size < 0) return "malformed";
    const from = lineEnd + 2;
    if (inbox.length < from + size + 2) return "incomplete";
    if (size === 0) return { bytes: Buffer.concat(parts), end: from + 2 };
    parts.push(inbox.subarray(from, from + size));
    at = from + size + 2;
  }
}
