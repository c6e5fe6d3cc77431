// Finds the router that a command is to talk to, and with what token.

import type { Address } from "../base/address.ts";
import { addressText, isEveryInterface } from "../base/address.ts";
import type { ConfigProblem } from "../config/problem.ts";
import { printConfigErrors } from "../config/problem.ts";
import { readText } from "../config/read-text.ts";
import { readValues } from "../config/read-values.ts";
import { adminUrlFile } from "../host/state-dir.ts";
import type { ExitCode, Given, Io, Option } from "./command.ts";
import { configOption, exit } from "./command.ts";

export interface Router {
  /** Of the admin listener: scheme, host and port. */
  readonly url: string;
  readonly token?: string;
}

export type RouterSearch =
  | { readonly ok: true; readonly router: Router }
  | { readonly ok: false; readonly exit: ExitCode };

/** The options of every command that talks to a router. */
export const routerOptions: Readonly<Record<string, Option>> = {
  admin: {
    value: "URL",
    about: "the router's admin listener; else $TIERLINE_ADMIN, else as the configuration says",
  },
  "token-file": { value: "FILE", about: "the admin token; else the file that the configuration names" },
  config: configOption,
};

/**
 * `--admin` or `$TIERLINE_ADMIN`; else a `listen.admin` that somebody wrote and that names a port; else what the
 * running router left in `state.dir`; else the default address. Says on stderr why there is none.
 */
export function findRouter(given: Given, io: Io): RouterSearch {
  const named = given.text("admin") ?? (io.env["TIERLINE_ADMIN"] || undefined);
  const url = named === undefined ? undefined : originOf(named);
  if (named !== undefined && url === undefined) {
    io.err(`${JSON.stringify(named)} is not the address of a router; write it like http://127.0.0.1:8011.\n`);
    return { ok: false, exit: exit.meaning };
  }
  const tokenFile = given.text("token-file");
  // This host's token is not for whoever is named: it goes to a named router only with a configuration named as well.
  if (url !== undefined && (tokenFile !== undefined || given.text("config") === undefined)) {
    return withToken(url, tokenFile, io);
  }
  const reading = readValues({ path: given.text("config"), env: io.env, readFile: io.readFile });
  const { values, layered } = reading;
  if (values === undefined || layered === undefined || reading.errors.length > 0) {
    return refuseConfig(reading.errors, io);
  }
  const { admin } = values.listen;
  const written = layered.sources.written(["listen", "admin"]) && admin.port !== 0;
  const left = (): string | undefined => {
    const text = readText(`${values.state.dir}/${adminUrlFile}`, io.readFile);
    return text.ok ? originOf(text.text.trim()) : undefined;
  };
  const found = url ?? (written ? undefined : left()) ?? (admin.port === 0 ? undefined : urlOf(admin));
  if (found === undefined) {
    io.err(
      `No router has left its address in ${values.state.dir}. Is one running? Name it with --admin URL.\n`,
    );
    return { ok: false, exit: exit.failed };
  }
  return withToken(found, tokenFile ?? values.auth.admin_token_file, io);
}

function withToken(url: string, tokenFile: string | undefined, io: Io): RouterSearch {
  if (tokenFile === undefined) return { ok: true, router: { url } };
  const text = readText(tokenFile, io.readFile);
  if (text.ok) return { ok: true, router: { url, token: text.text.trim() } };
  io.err(`The file with the admin token, ${tokenFile}, ${text.why}: ${text.hint}.\n`);
  return { ok: false, exit: exit.failed };
}

function refuseConfig(errors: readonly ConfigProblem[], io: Io): RouterSearch {
  printConfigErrors(errors, io.err);
  io.err("The configuration would say where the router is; --admin URL does without it.\n");
  return { ok: false, exit: exit.config };
}

function originOf(text: string): string | undefined {
  const url = URL.parse(text);
  return url?.protocol === "http:" ? url.origin : undefined;
}

/** A router that listens everywhere is reached on loopback. */
const urlOf = (admin: Address): string =>
  `http://${addressText(isEveryInterface(admin) ? { ...admin, host: "127.0.0.1" } : admin)}`;
