// Seals of hosts that exist only in a test: nonces are counted, keys are words.

import type { Clock } from "../../src/base/clock.ts";
import type { ClaimParts } from "../../src/host/claim-seals.ts";
import type { SealKeys, Seals } from "../../src/host/sealed-message.ts";
import { createSeals } from "../../src/host/sealed-message.ts";

export interface SealedHost {
  readonly name?: string;
  readonly fleet?: string;
  readonly keys?: readonly [string, ...string[]];
  readonly subject?: string;
  readonly noncesMost?: number;
  readonly bodyBytesMost?: number;
}

let nonces = 0;

/** What every kind of seal begins with. */
export function sealing(
  clock: Clock,
  { name = "gold-1", fleet = "fleet", keys = ["the-first-secret"] }: SealedHost = {},
): ClaimParts {
  const keyBytes = keyed(keys);
  return { fleet, name, keys: () => keyBytes, clock };
}

export function sealsOf(clock: Clock, host: SealedHost = {}): Seals {
  return createSeals({
    ...sealing(clock, host),
    bodyBytesMost: host.bodyBytesMost ?? 64 * 1024,
    noncesMost: host.noncesMost ?? 1000,
    nonce() {
      nonces += 1;
      return nonces.toString(16).padStart(32, "0");
    },
  }).about(host.subject ?? "POST /gossip");
}

export function keyed([first, ...others]: readonly [string, ...string[]]): SealKeys {
  const bytes = (key: string): Uint8Array => new TextEncoder().encode(key);
  return [bytes(first), ...others.map(bytes)];
}
