// Reads the files that the configuration names: keys, tokens, certificates. At start, and again on SIGHUP.

import { readGossipKeys } from "../host/gossip-keys.ts";
import type { SealKeys } from "../host/sealed-message.ts";
import type { ApiKey } from "./keys-file.ts";
import { readKeys } from "./keys-file.ts";
import type { Path } from "./path.ts";
import type { ConfigProblem } from "./problem.ts";
import type { ReadFile } from "./read-text.ts";
import { readText } from "./read-text.ts";
import type { Values } from "./schema.ts";
import type { Sources } from "./sources.ts";

/** What the two files hold, PEM. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

export interface Secrets {
  readonly keys: readonly ApiKey[];
  readonly adminToken?: string;
  readonly tls?: TlsFiles;
  /** The secrets of the fleet, where there is a gossip listener. */
  readonly gossipKeys?: SealKeys;
  /** By the engine's index. */
  readonly engineKeys: ReadonlyMap<number, string>;
}

export type SecretsReading =
  | { readonly ok: true; readonly secrets: Secrets }
  | { readonly ok: false; readonly errors: readonly ConfigProblem[] };

export function readSecrets(values: Values, sources: Sources, readFile: ReadFile): SecretsReading {
  const errors: ConfigProblem[] = [];

  const contents = (path: Path, file: string | undefined): string | undefined => {
    if (file === undefined) return undefined;
    const reading = readText(file, readFile);
    if (reading.ok) return reading.text;
    errors.push(sources.problem(path, `${sources.called(path)}: ${file} ${reading.why}`, reading.hint));
    return undefined;
  };

  /** A file that holds one secret and nothing else. */
  const secret = (path: Path, file: string | undefined): string | undefined => {
    const text = contents(path, file)?.trim();
    if (text === undefined || /^[\x21-\x7e]+$/.test(text)) return text;
    const hint = "it must hold the secret alone, on one line, without spaces";
    errors.push(
      sources.problem(path, `${sources.called(path)}: ${file} holds no secret that can be sent`, hint),
    );
    return undefined;
  };

  const pem = (path: Path, file: string | undefined, kind: string): string | undefined => {
    const text = contents(path, file);
    if (text === undefined || text.includes("-----BEGIN ")) return text;
    errors.push(sources.problem(path, `${sources.called(path)}: ${file} is not PEM`, `it must hold ${kind}`));
    return undefined;
  };

  const sealKeys = (file: string | undefined): SealKeys | undefined => {
    const path = ["cluster", "secret_file"];
    const text = contents(path, file);
    if (text === undefined) return undefined;
    const reading = readGossipKeys(text);
    if (reading.ok) return reading.keys;
    errors.push(sources.problem(path, `${sources.called(path)}: ${file} ${reading.why}`, reading.hint));
    return undefined;
  };

  const { auth, tls } = values;
  const keysFile = auth.mode === "keys" ? auth.keys_file : undefined;
  const keysText = contents(["auth", "keys_file"], keysFile);
  const keys = keysText === undefined || keysFile === undefined ? undefined : readKeys(keysText, keysFile);
  if (keys?.ok === false) errors.push(...keys.errors);

  const adminToken = secret(["auth", "admin_token_file"], auth.admin_token_file);
  const cert = pem(["tls", "cert_file"], tls.cert_file, "-----BEGIN CERTIFICATE-----");
  const key = pem(["tls", "key_file"], tls.key_file, "-----BEGIN PRIVATE KEY-----");
  const gossipKeys = sealKeys(values.listen.gossip && values.cluster?.secret_file);
  const engineKeys = new Map<number, string>();
  values.engine.forEach(({ api_key_file }, index) => {
    const apiKey = secret(["engine", index, "api_key_file"], api_key_file);
    if (apiKey !== undefined) engineKeys.set(index, apiKey);
  });

  if (errors.length > 0) return { ok: false, errors };
  return {
    ok: true,
    secrets: {
      keys: keys?.ok ? keys.keys : [],
      ...(adminToken === undefined ? {} : { adminToken }),
      ...(cert === undefined || key === undefined ? {} : { tls: { cert, key } }),
      ...(gossipKeys === undefined ? {} : { gossipKeys }),
      engineKeys,
    },
  };
}
