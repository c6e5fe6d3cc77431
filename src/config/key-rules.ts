// What is demanded of `[auth.key.NAME]`: names that keys can have, and keys that have the names.

import { nearest } from "./did-you-mean.ts";
import type { ApiKey } from "./keys-file.ts";
import { keyNamePattern } from "./keys-file.ts";
import { pathText } from "./path.ts";
import type { Values } from "./schema.ts";
import type { Sources } from "./sources.ts";

export function* keyNamesAreNames({ auth }: Values, sources: Sources) {
  for (const name of Object.keys(auth.key)) {
    if (keyNamePattern.test(name)) continue;
    const path = ["auth", "key", name];
    yield sources.keyProblem(
      path,
      `[${pathText(path)}] is no name that a key can have`,
      'names in the keys file are letters, digits, ".", "_" and "-", at most 64 long',
    );
  }
}

export function* keyRulesNeedKeys({ auth }: Values, sources: Sources) {
  const [first] = Object.keys(auth.key);
  if (auth.mode !== "none" || first === undefined) return;
  const path = ["auth", "key", first];
  yield sources.keyProblem(
    path,
    `[${pathText(path)}] is written, but auth.mode is "none": nobody is asked for a key, so it would hold nobody to anything`,
    'write mode = "keys" and keys_file under [auth], or take it out',
  );
}

export function* burstNeedsRate({ auth }: Values, sources: Sources) {
  for (const [name, { burst, requests_per_second }] of Object.entries(auth.key)) {
    if (burst === undefined || requests_per_second !== undefined) continue;
    const path = ["auth", "key", name, "burst"];
    yield sources.problem(
      path,
      `${sources.called(path)} is written, but requests_per_second is not, so there is no limit`,
      "write requests_per_second beside it",
    );
  }
}

/**
 * A warning and no error: whoever takes a stolen key out of the keys file and sends SIGHUP must not find the old file still
 * in force, nor a router that does not start again, because a table has been left behind.
 */
export function* keyRulesHaveKeys({ auth }: Values, sources: Sources, keys: readonly ApiKey[]) {
  const names = [...new Set(keys.map(({ name }) => name))];
  for (const name of Object.keys(auth.key)) {
    if (names.includes(name)) continue;
    const path = ["auth", "key", name];
    const near = nearest(
      name,
      names.filter((known) => !Object.hasOwn(auth.key, known)),
    );
    yield sources.keyProblem(
      path,
      `[${pathText(path)}] is for a key that ${auth.keys_file} does not have, so it holds nobody to anything`,
      near === undefined ? "correct the name, or take the table out" : `did you mean ${near}?`,
    );
  }
}
