// One HTTP call of a game as its SDK makes it: twice again where that may help, when the answer says so, and at another
// host where this one cannot be reached.

import type { Tier } from "./cast.ts";
import type { Door, Doors } from "./doors.ts";

export interface Call {
  readonly doors: Doors;
  /** The host that this caller goes to first. */
  readonly home: number;
  /** Whose address is asked. */
  readonly tier: Tier;
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** For all tries together. */
  readonly signal: AbortSignal;
}

export type CallEnd =
  | { readonly kind: "answered"; readonly response: Response; readonly door: Door }
  /** `why`: what came of each try, a status with its code or what happened to the connection, and where. */
  | { readonly kind: "failed"; readonly why: string };

/** As the official OpenAI clients have them. */
const sdk = { retries: 2, firstPauseMs: 500, longestPauseMs: 8_000, longestAskedMs: 60_000 } as const;

export async function call({ doors, home, tier, path, body, headers = {}, signal }: Call): Promise<CallEnd> {
  const left: Door[] = [];
  const ends: string[] = [];
  for (let tried = 0; ; tried += 1) {
    const door = doors.from(home, left);
    const last = tried >= sdk.retries;
    try {
      const response = await fetch(`${door.urls[tier]}${path}`, {
        signal,
        headers: { "content-type": "application/json", ...headers },
        ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
      });
      if (response.ok) return { kind: "answered", response, door };
      const code = codeIn(await response.text());
      ends.push(`${response.status} ${code}${becauseOf(response)} ${placeOf(door, doors, home)}`);
      if (last || !mayTryAgain(response)) return { kind: "failed", why: ends.join(" → ") };
      // This host is full, or on its way out; the game has others.
      if (response.status === 503) left.push(door);
      await pause(pauseMs(response.headers, tried), signal);
    } catch (error) {
      if (signal.aborted) return { kind: "failed", why: [...ends, "gave up"].join(" → ") };
      const code = brokenBy(error);
      ends.push(`${code} ${placeOf(door, doors, home)}`);
      // A connection that broke says little of its host: an engine behind it may have died.
      if (isUnreachable(code)) doors.avoid(door);
      else left.push(door);
      if (last) return { kind: "failed", why: ends.join(" → ") };
    }
  }
}

const isUnreachable = (code: string): boolean => /REFUSED|UNREACH|Refused|FailedToOpen/.test(code);

const placeOf = (door: Door, doors: Doors, home: number): string =>
  door === doors.at(home) ? "at home" : "elsewhere";

function mayTryAgain({ status, headers }: Response): boolean {
  const told = headers.get("x-should-retry");
  if (told === "true" || told === "false") return told === "true";
  return status === 408 || status === 409 || status === 429 || status >= 500;
}

function pauseMs(headers: Headers, tried: number): number {
  const asked = Number(headers.get("retry-after-ms") ?? Number.NaN);
  const askedMs = Number.isNaN(asked) ? Number(headers.get("retry-after") ?? Number.NaN) * 1_000 : asked;
  if (askedMs >= 0 && askedMs <= sdk.longestAskedMs) return askedMs;
  const pause = Math.min(sdk.longestPauseMs, sdk.firstPauseMs * 2 ** tried);
  return pause * (1 - Math.random() * 0.25);
}

/** Ends early, by throwing, where the caller has no more patience. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const gaveUp = Promise.withResolvers<never>();
  const onAbort = (): void => gaveUp.reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  try {
    await Promise.race([Bun.sleep(ms), gaveUp.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** The router's word for an error; a proxy has only pages. */
const codeIn = (text: string): string => /"code":\s*"(\w+)"/.exec(text)?.[1] ?? "";

/** What the router says of its choice, and whether the request waited in its room. */
export function becauseOf({ headers }: Response): string {
  const because = headers.get("x-tierline-because");
  if (because === null) return "";
  const queuedMs = Number(/queue;dur=([\d.]+)/.exec(headers.get("server-timing") ?? "")?.[1] ?? 0);
  return `, ${because}${queuedMs > 1 ? " after waiting" : ""}`;
}

export const brokenBy = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : String(error);
