// Callers with sockets of their own, who send what they like, read or not, and leave when they like.

export interface RawCaller {
  readonly closed: boolean;
  /** RST. */
  leave(): void;
}

/** Rejects where nobody takes the connection. `bytes` go out at once. */
export async function callRaw(url: string, bytes = "", reads = true): Promise<RawCaller> {
  const { hostname, port } = new URL(url);
  let closed = false;
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data() {},
      close() {
        closed = true;
      },
      error() {},
    },
  });
  if (!reads) socket.pause();
  if (bytes !== "") socket.write(bytes);
  return {
    get closed() {
      return closed;
    },
    leave: () => socket.terminate(),
  };
}

/** POST /v1/chat/completions as it stands on the wire. */
export function chatRequest(body: object): string {
  const text = JSON.stringify(body);
  return `POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
}

/** Ended together, for `cleanup`. */
export const crowd = (callers: readonly RawCaller[]) => ({
  callers,
  stop(): void {
    for (const caller of callers) caller.leave();
  },
});
