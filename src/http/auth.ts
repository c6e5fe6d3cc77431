// Who is asking: API keys with names, compared in constant time.

import { createHash, timingSafeEqual } from "node:crypto";
import type { Caller } from "./callers.ts";

export interface NamedKey {
  readonly name: string;
  readonly key: string;
}

/** Whose key a request carries, or undefined. */
export type Authenticate = (authorization: string | null) => Caller | undefined;

/**
 * Digests are compared, and all of them, so that neither a key's length nor its place shows in the time taken. `named`:
 * who has the keys of that name, of which there may be several.
 */
export function createAuthenticate(
  keys: readonly NamedKey[],
  named: (name: string) => Caller = (name) => ({ name }),
): Authenticate {
  const known = keys.map(({ name, key }) => ({ caller: named(name), digest: digestOf(key) }));
  return (authorization) => {
    const given = /^bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
    if (given === undefined) return undefined;
    const digest = digestOf(given);
    let found: Caller | undefined;
    for (const each of known) if (timingSafeEqual(each.digest, digest)) found = each.caller;
    return found;
  };
}

const digestOf = (text: string): Buffer => createHash("sha256").update(text).digest();
