// Writes the header section of a request. What could smuggle a second request in is a bug of ours and throws.

/** The framing and the connection are the client's business. */
const ownNames: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "upgrade",
  "expect",
]);

const token = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/;
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;
const originForm = /^\/[\x21-\x7e]*$/;

export interface RequestLine {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/**
 * The section with the empty line that ends it, every character one byte. `bodyBytes` is undefined where
 * the request has no body.
 * @throws TypeError when a name, a value, the method or the path holds what must not stand there.
 */
export function requestHead(request: RequestLine, host: string, bodyBytes: number | undefined): string {
  const { method, path, headers } = request;
  if (!token.test(method) || method === "CONNECT") throw new TypeError(`not a method: ${method}`);
  if (!originForm.test(path)) throw new TypeError(`not a path: ${JSON.stringify(path)}`);
  let head = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n`;
  for (const [name, value] of headers) {
    if (!token.test(name)) throw new TypeError(`not a header name: ${JSON.stringify(name)}`);
    if (ownNames.has(name.toLowerCase())) throw new TypeError(`${name} is written by the client itself`);
    if (!fieldValue.test(value)) throw new TypeError(`not a value for the header ${name}`);
    head += `${name}: ${value}\r\n`;
  }
  if (bodyBytes !== undefined) head += `content-length: ${bodyBytes}\r\n`;
  return `${head}\r\n`;
}
