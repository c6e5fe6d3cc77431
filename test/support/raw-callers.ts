// Callers with sockets of their own, who send what they like, read what they like and leave when they like.

export interface RawCaller {
  /** What has come so far, up to its first 64 kB. */
  text(): string;
  readonly bytes: number;
  readonly closed: boolean;
  /** From now on nothing is read. */
  stopReading(): void;
  /** RST. */
  leave(): void;
}

const keptBytes = 64 * 1024;

/** Rejects where nobody takes the connection. `bytes` go out at once. */
export async function callRaw(
  url: string,
  bytes: string | Uint8Array = "",
  reads = true,
): Promise<RawCaller> {
  const { hostname, port } = new URL(url);
  const caller = { text: "", bytes: 0, closed: false };
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data(_, came) {
        caller.bytes += came.length;
        if (caller.text.length < keptBytes) caller.text += came.toString("latin1");
      },
      close() {
        caller.closed = true;
      },
      error() {},
    },
  });
  if (!reads) socket.pause();
  if (bytes.length > 0) socket.write(bytes);
  return {
    text: () => caller.text,
    get bytes() {
      return caller.bytes;
    },
    get closed() {
      return caller.closed;
    },
    stopReading: () => socket.pause(),
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
