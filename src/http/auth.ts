// Who is asking: API keys with names, compared in constant time.

import { createHash, timingSafeEqual } from "node:crypto";

export interface NamedKey {
  readonly name: string;
  readonly key: string;
}

/** The name of the key that a request carries, or undefined. */
export type Authenticate = (authorization: string | null) => string | undefined;

/** Digests are compared, and all of them, so that neither a key's length nor its place shows in the time taken. */
export function createAuthenticate(keys: readonly NamedKey[]): Authenticate {
  const known = keys.map(({ name, key }) => ({ name, digest: digestOf(key) }));
  return (authorization) => {
    const given = /^bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
    if (given === undefined) return undefined;
    const digest = digestOf(given);
    let found: string | undefined;
    for (const each of known) if (timingSafeEqual(each.digest, digest)) found = each.name;
    return found;
  };
}

const digestOf = (text: string): Buffer => createHash("sha256").update(text).digest();
