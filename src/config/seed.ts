// What a line of `cluster.seeds` means. Where it leads is found out in host/discovery.ts.

import { addressText, isEveryInterface, parseAddress } from "../base/address.ts";
import type { Seed } from "../host/discovery.ts";

const dnsPrefix = "dns:";

/** `host:port`, `[v6]:port` or `dns:name:port`; undefined for anything else, port 0 included. */
export function parseSeed(text: string): Seed | undefined {
  const named = text.startsWith(dnsPrefix) ? parseAddress(text.slice(dnsPrefix.length)) : undefined;
  if (named !== undefined)
    return named.port > 0 && isName(named.host) ? { kind: "dns", ...named } : undefined;
  const address = parseAddress(text);
  if (address === undefined || address.port === 0 || isEveryInterface(address)) return undefined;
  return { kind: "address", address: addressText(address) };
}

/** Nobody asks the DNS for an address. */
const isName = (host: string): boolean => /[a-z]/i.test(host) && !host.includes(":");
