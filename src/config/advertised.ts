// Where others are told to reach this router, as a person writes it.

import { isEveryInterface, parseAddress } from "../base/address.ts";

export interface Advertised {
  readonly host: string;
  /** Of the public listener; not given: the one that it listens on. */
  readonly port?: number;
}

/** `host`, `[v6]` or either with a port; undefined for anything else, and for what nobody can call. */
export function parseAdvertised(text: string): Advertised | undefined {
  const whole = parseAddress(text);
  const found = whole ?? parseAddress(`${text}:0`);
  if (found === undefined || isEveryInterface(found) || whole?.port === 0) return undefined;
  // Digits alone were meant as a port.
  return whole ?? (/^\d+$/.test(found.host) ? undefined : { host: found.host });
}
