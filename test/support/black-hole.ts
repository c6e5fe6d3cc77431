// An address where a connect neither succeeds nor fails: a listener whose queue is full drops every SYN.

import { dlopen, ptr } from "bun:ffi";

const { socket, bind, listen, getsockname, accept, close } = dlopen("libc.so.6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  accept: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
}).symbols;

const afInet = 2;
const sockStreamCloexec = 0o2000001;

export interface BlackHole {
  readonly port: number;
  /** Makes room for one connect: the kernel sends a dropped SYN again after 1 s, then 2 s, then 4 s. */
  admitOne(): void;
  stop(): void;
}

export async function startBlackHole(): Promise<BlackHole> {
  const fd = socket(afInet, sockStreamCloexec, 0);
  const address = new DataView(new ArrayBuffer(16));
  address.setUint16(0, afInet, true);
  address.setUint32(4, 0x7f_00_00_01);
  const length = new Uint32Array([16]);
  const ready =
    fd >= 0 &&
    bind(fd, ptr(address), 16) === 0 &&
    listen(fd, 0) === 0 &&
    getsockname(fd, ptr(address), ptr(length)) === 0;
  if (!ready) throw new Error("no listener for the black hole");
  const port = address.getUint16(2);
  // A backlog of 0 holds exactly one connection.
  const filler = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
  const accepted: number[] = [];
  return {
    port,
    admitOne() {
      accepted.push(accept(fd, null, null));
    },
    stop() {
      filler.terminate();
      for (const each of [...accepted, fd]) close(each);
    },
  };
}
