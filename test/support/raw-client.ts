// A client on a raw socket: it writes bytes as they are and reads the answers one by one, so that an answer to a request
// that nobody sent, or bytes that belong to no answer, cannot go unseen.

import { connect } from "node:net";

export interface RawAnswer {
  readonly status: number;
  /** Names in lower case; of several of one name the last. */
  readonly headers: Readonly<Record<string, string>>;
  readonly head: string;
  readonly body: string;
}

export interface RawClient {
  /** Latin1. */
  write(bytes: string): void;
  /** The next answer; `closed` where the connection ended first; undefined after `timeoutMs`. */
  answer(timeoutMs: number, method?: string): Promise<RawAnswer | "closed" | undefined>;
  /** Whether the other side has closed. */
  readonly closed: boolean;
  /** What came and was taken for no answer. */
  rest(): string;
  /** Reads no more. */
  pause(): void;
  stop(): void;
}

export function rawClient(url: string): Promise<RawClient> {
  const { hostname, port } = new URL(url);
  const { promise, resolve, reject } = Promise.withResolvers<RawClient>();
  let received = "";
  let isClosed = false;
  let changed = Promise.withResolvers<void>();
  const grew = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const socket = connect(Number(port), hostname, () =>
    resolve({
      write: (bytes) => void socket.write(bytes, "latin1"),
      async answer(timeoutMs, method = "GET") {
        const late = Bun.sleep(timeoutMs).then(() => "late" as const);
        for (;;) {
          const read = answerIn(received, method, isClosed);
          if (read !== undefined) {
            received = received.slice(read.bytes);
            // What only says that more is to come is no answer.
            if (read.answer.status >= 200) return read.answer;
            continue;
          }
          if (isClosed) return "closed";
          if ((await Promise.race([changed.promise, late])) === "late") return undefined;
        }
      },
      get closed() {
        return isClosed;
      },
      rest: () => received,
      pause: () => void socket.pause(),
      stop: () => void socket.destroy(),
    }),
  );
  socket.setNoDelay(true);
  socket.on("data", (data) => {
    received += data.toString("latin1");
    grew();
  });
  socket.on("error", reject);
  socket.on("close", () => {
    isClosed = true;
    grew();
  });
  return promise;
}

function answerIn(
  text: string,
  method: string,
  isClosed: boolean,
): { readonly answer: RawAnswer; readonly bytes: number } | undefined {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const head = text.slice(0, headEnd);
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(`${head.split("\r\n")[0]} `)?.[1] ?? Number.NaN);
  if (Number.isNaN(status)) throw new Error(`not an answer: ${head.slice(0, 100)}`);
  const headers = Object.fromEntries(
    head
      .split("\r\n")
      .slice(1)
      .map((line) => [
        line.slice(0, line.indexOf(":")).toLowerCase(),
        line.slice(line.indexOf(":") + 1).trim(),
      ]),
  );
  const start = headEnd + 4;
  const whole = (body: string, end: number) => ({ answer: { status, headers, head, body }, bytes: end });
  if (status < 200 || status === 204 || status === 304 || method === "HEAD") return whole("", start);
  if (headers["transfer-encoding"] === "chunked") {
    let body = "";
    for (let at = start; ; ) {
      const lineEnd = text.indexOf("\r\n", at);
      if (lineEnd < 0) return undefined;
      const size = Number.parseInt(text.slice(at, lineEnd), 16);
      if (Number.isNaN(size)) throw new Error(`not a chunk: ${text.slice(at, at + 50)}`);
      if (text.length < lineEnd + 2 + size + 2) return undefined;
      body += text.slice(lineEnd + 2, lineEnd + 2 + size);
      at = lineEnd + 2 + size + 2;
      if (size === 0) return whole(body, at);
    }
  }
  const length = headers["content-length"];
  if (length === undefined) return isClosed ? whole(text.slice(start), text.length) : undefined;
  const end = start + Number(length);
  return text.length < end ? undefined : whole(text.slice(start, end), end);
}
