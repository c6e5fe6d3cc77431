// Where the URL of an engine or a service leads.

import { bareHost } from "../base/bare-host.ts";
import type { WireTarget } from "./client.ts";

export function targetOf({ protocol, hostname, port }: URL): WireTarget {
  const host = bareHost(hostname);
  return protocol === "https:"
    ? { host, port: Number(port || 443), tls: {} }
    : { host, port: Number(port || 80) };
}
