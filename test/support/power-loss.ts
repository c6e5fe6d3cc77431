// What a disk holds after the power went: what was synced, and of the rest whatever the dice say. Reads the system calls of
// a program from strace, so that nothing has to be believed of what is synced when.

import { basename } from "node:path";
import type { Random } from "../../src/base/random.ts";

export type Event =
  | { readonly kind: "create" | "unlink" | "sync"; readonly file: string }
  | { readonly kind: "write"; readonly file: string; readonly at: number; readonly bytes: Buffer }
  | { readonly kind: "truncate"; readonly file: string; readonly size: number }
  /** A line on stdout: what the program has promised by then. */
  | { readonly kind: "say"; readonly line: string };

export const straceFlags = [
  ...["-f", "-qq", "-y", "-xx", "-s", "200000"],
  ...["-e", "trace=openat,pwrite64,write,fsync,fdatasync,ftruncate,unlink"],
];

/** Of the files in `dir`, and `dir` itself as ".". A call that two threads have cut in half is an error: only one may write. */
export function readStrace(text: string, dir: string): readonly Event[] {
  const events: Event[] = [];
  const fileOf = (hex: string | undefined): string | undefined => {
    const path = unhex(hex ?? "").toString();
    return path === dir ? "." : path.startsWith(`${dir}/`) ? basename(path) : undefined;
  };
  for (const line of text.split("\n")) {
    const [, name, rest = ""] = /^\d+ +(\w+)\((.*)$/.exec(line) ?? [];
    const onFd = /^(\d+)<([^>]*)>/.exec(rest);
    const ofFd = fileOf(onFd?.[2]);
    if (name === "write" && onFd?.[1] === "1")
      events.push({
        kind: "say",
        line: unhex(/"([^"]*)"/.exec(rest)?.[1] ?? "")
          .toString()
          .trim(),
      });
    if (name === "openat" && rest.includes("O_CREAT")) {
      const file = fileOf(/"([^"]*)"/.exec(rest)?.[1]);
      if (file !== undefined && !rest.includes(" = -1")) events.push({ kind: "create", file });
    } else if (name === "unlink") {
      const file = fileOf(/"([^"]*)"/.exec(rest)?.[1]);
      if (file !== undefined && rest.endsWith("= 0")) events.push({ kind: "unlink", file });
    } else if (ofFd === undefined) continue;
    else if (line.includes("unfinished") || line.includes("...,"))
      throw new Error(`Cut: ${line.slice(0, 200)}`);
    else if (name === "fsync" || name === "fdatasync") events.push({ kind: "sync", file: ofFd });
    else if (name === "ftruncate")
      events.push({ kind: "truncate", file: ofFd, size: Number(/, (\d+)\)/.exec(rest)?.[1]) });
    else if (name === "pwrite64") {
      const [, bytes = "", at] = /"([^"]*)", \d+, (\d+)\)/.exec(rest) ?? [];
      events.push({ kind: "write", file: ofFd, at: Number(at), bytes: unhex(bytes) });
    } else throw new Error(`Unread: ${line.slice(0, 200)}`);
  }
  return events;
}

const unhex = (text: string): Buffer =>
  text.startsWith("\\x") ? Buffer.from(text.replaceAll("\\x", ""), "hex") : Buffer.from(text);

interface File {
  synced: Buffer;
  pending: Event[];
  /** Whether the folder that is on the disk has it. */
  named: boolean;
  unlinked: boolean;
}

/** A drive writes sectors whole. */
const sectorBytes = 512;

export function createDisk() {
  const files = new Map<string, File>();

  return {
    take(event: Event): void {
      if (event.kind === "say") return;
      if (event.kind === "create") {
        const known = files.get(event.file);
        if (known === undefined || known.unlinked)
          files.set(event.file, { synced: Buffer.alloc(0), pending: [], named: false, unlinked: false });
      } else if (event.kind === "sync" && event.file === ".") {
        for (const [name, file] of files) {
          file.named = true;
          if (file.unlinked) files.delete(name);
        }
      } else {
        const file = files.get(event.file);
        if (file === undefined) throw new Error(`${event.file} was never made`);
        if (event.kind === "unlink") file.unlinked = true;
        else if (event.kind === "sync") {
          file.synced = file.pending.reduce((content, each) => apply(content, each, 1), file.synced);
          file.pending = [];
        } else file.pending.push(event);
      }
    },
    /** What is found when the power is back. */
    afterLoss(random: Random): Map<string, Buffer> {
      const found = new Map<string, Buffer>();
      for (const [name, file] of files) {
        if (!file.named && random() < 0.5) continue;
        if (file.unlinked && random() < 0.5) continue;
        const content = file.pending.reduce((before, each) => {
          const dice = random();
          return dice < 0.45 ? before : apply(before, each, dice < 0.9 ? 1 : random());
        }, file.synced);
        found.set(name, content);
      }
      return found;
    },
  };
}

/** `share` of a write: its first sectors. */
function apply(content: Buffer, event: Event, share: number): Buffer {
  if (event.kind === "truncate")
    return Buffer.concat([
      content.subarray(0, event.size),
      Buffer.alloc(Math.max(0, event.size - content.length)),
    ]);
  if (event.kind !== "write") return content;
  const bytes =
    share === 1
      ? event.bytes
      : event.bytes.subarray(0, Math.floor((event.bytes.length * share) / sectorBytes) * sectorBytes);
  const after = Buffer.alloc(Math.max(content.length, event.at + bytes.length));
  content.copy(after);
  bytes.copy(after, event.at);
  return after;
}
