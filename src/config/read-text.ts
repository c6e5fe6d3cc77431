// Reads a file that somebody named, and says in words why that did not work.

/** The text of a file. Throws as `node:fs` does. */
export type ReadFile = (path: string) => string;

export type TextReading =
  | { readonly ok: true; readonly text: string }
  /** `why` completes "FILE …". */
  | { readonly ok: false; readonly missing: boolean; readonly why: string; readonly hint: string };

export function readText(file: string, readFile: ReadFile): TextReading {
  try {
    return { ok: true, text: readFile(file) };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
    if (code === undefined) throw error;
    const known = readFailures.get(code) ?? { why: `cannot be read (${code})`, hint: "look at the disk" };
    return { ok: false, missing: code === "ENOENT" || code === "ENOTDIR", ...known };
  }
}

const readFailures: ReadonlyMap<string, { readonly why: string; readonly hint: string }> = new Map([
  ["ENOENT", { why: "does not exist", hint: "make it, or name another" }],
  ["ENOTDIR", { why: "does not exist", hint: "a part of the path is a file, not a folder" }],
  ["EISDIR", { why: "is a folder", hint: "name a file in it" }],
  ["EACCES", { why: "may not be read by this user", hint: "let the user that runs tierline read it" }],
  ["EPERM", { why: "may not be read by this user", hint: "let the user that runs tierline read it" }],
]);
