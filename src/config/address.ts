// Addresses to listen on, `host:port`.

export interface Address {
  /** A name or an IP address; IPv6 without its brackets. */
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
}

/** `host:port` or `[v6]:port`; undefined for anything else, a missing host included. */
export function parseAddress(text: string): Address | undefined {
  const [, v6, name, digits] = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+)):(\d{1,5})$/i.exec(text) ?? [];
  const host = v6 ?? name;
  const port = Number(digits);
  if (host === undefined || port > 65_535) return undefined;
  return { host, port };
}

/** Where others reach this router. */
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

export const addressText = ({ host, port }: Address): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;

/** Reachable from this machine only. A name other than localhost may mean anything, so it does not count. */
export const isLoopback = ({ host }: Pick<Address, "host">): boolean =>
  host.toLowerCase() === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);

export const isEveryInterface = ({ host }: Pick<Address, "host">): boolean =>
  host === "0.0.0.0" || host === "::";
