// The file of callers' keys: one `name:key` a line, for a rotation two of one name. No message ever holds a key, nor a line
// that may be one.

import type { ConfigProblem } from "./problem.ts";

/** A caller's key, and the name by which logs and limits know its holder. */
export interface ApiKey {
  readonly name: string;
  readonly key: string;
}

export type KeysReading =
  | { readonly ok: true; readonly keys: readonly ApiKey[] }
  | { readonly ok: false; readonly errors: readonly ConfigProblem[] };

export const keyNamePattern = /^[A-Za-z0-9._-]{1,64}$/;

const lineForm = "each line is name:key; empty lines and lines that start with # are skipped";

export function readKeys(text: string, file: string): KeysReading {
  const keys: ApiKey[] = [];
  const errors: ConfigProblem[] = [];
  const nameLines = new Map<string, number[]>();
  const keyLines = new Map<string, number>();
  text.split("\n").forEach((raw, index) => {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) return;
    const refuse = (message: string, hint: string) =>
      errors.push({ file, line: index + 1, column: 1, message, hint });
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    const key = line.slice(colon + 1);
    const sameName = nameLines.get(name) ?? [];
    const sameKey = keyLines.get(key);
    if (colon === -1) refuse("this line has no colon", lineForm);
    else if (!keyNamePattern.test(name)) {
      refuse('the name before the colon is not made of letters, digits, ".", "_" and "-"', lineForm);
    } else if (!/^[\x21-\x7e]+$/.test(key)) {
      refuse("the key after the colon is empty or has a character that no header can carry", lineForm);
    } else if (sameName.length > 1) {
      refuse(
        `a third key of the name that is on the lines ${sameName.join(" and ")}`,
        "two are for a rotation, the old and the new: take the old one out, or give each caller a name of its own",
      );
    } else if (sameKey !== undefined) {
      refuse(`the same key as on line ${sameKey}`, "a key must tell who its holder is; make a new one");
    } else {
      nameLines.set(name, [...sameName, index + 1]);
      keyLines.set(key, index + 1);
      keys.push({ name, key });
    }
  });
  if (errors.length === 0 && keys.length === 0) {
    errors.push({ file, message: "there is no key in this file, so nobody could call", hint: lineForm });
  }
  return errors.length === 0 ? { ok: true, keys } : { ok: false, errors };
}
