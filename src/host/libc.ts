// The few functions of the C library that Bun has no words for, loaded when first needed.

import { dlopen } from "bun:ffi";

const signatures = {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i64" },
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  setpriority: { args: ["i32", "u32", "i32"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
} as const;

const open = (name: string) => dlopen(name, signatures).symbols;

export type Libc = ReturnType<typeof open>;

/** glibc, then musl. */
const names = ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`];

let loaded: Libc | undefined;
let tried = false;

/** Undefined where there is none to load: not Linux, or a process that may not run compiled code. */
export function libc(): Libc | undefined {
  if (tried) return loaded;
  tried = true;
  loaded = process.platform === "linux" ? firstOf(names) : undefined;
  return loaded;
}

function firstOf(candidates: readonly string[]): Libc | undefined {
  for (const name of candidates) {
    try {
      return open(name);
    } catch (error) {
      // What dlopen throws has no code to tell one reason from another, and all of them mean "not this one".
      if (!(error instanceof Error)) throw error;
    }
  }
  return undefined;
}
