// Addresses of routers, `host:port`: to listen on, and to call.

export interface Address {
  /** A name or an IP address; IPv6 without its brackets. */
  readonly host: string;
  /** 0 takes a free port, and cannot be called. */
  readonly port: number;
}

/** `host:port` or `[v6]:port`; undefined for anything else, a missing host included. Whoever writes it need not be trusted. */
export function parseAddress(text: string): Address | undefined {
  const [, v6, name, digits] =
    /^(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253})):(\d{1,5})$/i.exec(text) ?? [];
  const host = v6 ?? name;
  const port = Number(digits);
  if (host === undefined || port > 65_535) return undefined;
  return { host, port };
}

export const addressText = ({ host, port }: Address): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;

/** Reachable from this machine only. A name other than localhost may mean anything, so it does not count. */
export const isLoopback = ({ host }: Pick<Address, "host">): boolean =>
  host.toLowerCase() === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);

export const isEveryInterface = ({ host }: Pick<Address, "host">): boolean =>
  host === "0.0.0.0" || host === "::";
