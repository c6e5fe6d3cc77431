// A unix datagram socket to receive on, which node:dgram does not have. For what systemd would receive.

import { dlopen, ptr } from "bun:ffi";

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC_NONBLOCK = 2 | 0o2000000 | 0o4000;

const c = dlopen("libc.so.6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
  close: { args: ["i32"], returns: "i32" },
}).symbols;

export interface DatagramSocket {
  /** The messages that have come since the last call. */
  received(): string[];
  close(): void;
}

/** `name` as in $NOTIFY_SOCKET: a path, or "@" and an abstract name. */
export function datagramSocket(name: string): DatagramSocket {
  const path = Buffer.from(name.startsWith("@") ? `\0${name.slice(1)}` : `${name}\0`);
  const address = Buffer.alloc(2 + path.length);
  address.writeUInt16LE(AF_UNIX, 0);
  path.copy(address, 2);
  const fd = c.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC_NONBLOCK, 0);
  if (fd < 0 || c.bind(fd, ptr(address), address.length) !== 0) throw new Error(`cannot bind ${name}`);
  const buffer = Buffer.alloc(4096);
  return {
    received() {
      const messages: string[] = [];
      for (;;) {
        const length = Number(c.recv(fd, ptr(buffer), buffer.length, 0));
        if (length < 0) return messages;
        messages.push(buffer.toString("utf8", 0, length));
      }
    },
    close: () => void c.close(fd),
  };
}
