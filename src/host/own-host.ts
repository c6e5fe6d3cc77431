// By which of its addresses other machines see this one, for when nobody has written it down.

import { isIP } from "node:net";
import { bareHost } from "../base/bare-host.ts";

/** Addresses of examples: nobody has them, so the way there is the way to everywhere. */
const anywhere = ["198.51.100.1:9", "[2001:db8::1]:9"];

/**
 * The host that a listener has, or if that is every address, the one on the way to the first of `peers` (`ip:port` or
 * `[v6]:port`; names are passed over, for asking takes time), else on the way out. Undefined: there is no way out.
 */
export async function ownHost(listening: string, peers: readonly string[]): Promise<string | undefined> {
  if (listening !== "0.0.0.0" && listening !== "::") return listening;
  for (const peer of [...peers, ...anywhere]) {
    const host = bareHost(URL.parse(`http://${peer}`)?.hostname ?? "");
    // Who listens on 0.0.0.0 hears no IPv6.
    const isHeard = listening === "::" ? isIP(host) > 0 : isIP(host) === 4;
    const own = isHeard ? await sourceTowards(host) : undefined;
    if (own !== undefined) return own;
  }
  return undefined;
}

/** Connecting a datagram socket asks the routing table and sends nothing, so it makes no difference who is up. */
async function sourceTowards(ip: string): Promise<string | undefined> {
  try {
    const hostname = isIP(ip) === 6 ? "::" : "0.0.0.0";
    const socket = await Bun.udpSocket({ hostname, connect: { hostname: ip, port: 9 } });
    const { address } = socket.address;
    socket.close();
    return address;
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    return undefined;
  }
}
