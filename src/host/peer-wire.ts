// The connections to the public listener of one peer. Each request is sealed when it is sent, and once more where the
// peer says that our stamp is stale; whom it is for, and what its answer means, is decided upstairs.

import type { Clock, Instant } from "../base/clock.ts";
import type { WireExchange, WireRequest, WireResponse, WireTarget } from "../wire/client.ts";
import { createWireClient } from "../wire/client.ts";
import type { PoolCounts } from "../wire/pool.ts";
import { WireError } from "../wire/wire-error.ts";
import type { ClaimSeals } from "./claim-seals.ts";
import type { Forwarded } from "./forwarded.ts";
import { forwardedMs, peerHeader } from "./forwarded.ts";

export interface Forwarding<Claim = Forwarded> {
  readonly claim: Claim;
  readonly deadline: Instant;
}

export interface PeerRequest<Claim = Forwarded> extends WireRequest {
  /** What its receiver is told under seal. Nothing of it is in `headers`. */
  readonly forwarding?: Forwarding<Claim> | undefined;
}

/** As a WireClient, for requests that say under seal in whose name they are. */
export interface PeerClient<Claim = Forwarded> {
  /** @throws TypeError where the request says nothing of its forwarding: a bug of the caller. */
  request(request: PeerRequest<Claim>): WireExchange;
  stats(): PoolCounts;
  close(): void;
  /** As of a WireClient. */
  abandon(why: string): void;
}

/** By how much the clock of a peer is ahead of ours, learnt from itself; 0 is good for any clock within the window. */
export interface PeerClock {
  aheadMs: number;
}

export interface PeerWireParts<Claim> {
  readonly target: WireTarget;
  readonly seals: Pick<ClaimSeals<Claim>, "seal" | "openClock">;
  readonly clock: Clock;
  /** Shared by all clients of one peer. */
  readonly peerClock: PeerClock;
  readonly maxConnections: number;
}

export function createPeerClient<Claim>(parts: PeerWireParts<Claim>): PeerClient<Claim> {
  const { target, seals, clock, peerClock, maxConnections } = parts;
  const client = createWireClient(target, clock, { maxConnections });

  return {
    request(request) {
      const { forwarding, ...wire } = request;
      if (forwarding === undefined) throw new TypeError("a request to a peer must say for whom it is");
      const line = `${wire.method} ${wire.path}`;
      let nonce = "";
      const send = (): WireExchange => {
        const sealed = seals.seal(line, forwarding.claim, peerClock.aheadMs);
        nonce = sealed.nonce;
        const leftMs = forwardedMs(forwarding.deadline - clock.now());
        const headers = [
          ...wire.headers,
          ["x-tierline-deadline-ms", leftMs] as const,
          [peerHeader, sealed.header] as const,
        ];
        return client.request({ ...wire, headers });
      };

      let carrier = send();
      let cancelled = false;
      const answer = async (): Promise<WireResponse> => {
        const first = await carrier.response;
        const told = first.status === 401 ? first.headers.get(peerHeader) : undefined;
        if (told === undefined) return first;
        const opened = seals.openClock(line, forwarding.claim, told, nonce);
        // Somebody who is not of the fleet, or another peer's time: the refusal is all that there is.
        if ("refused" in opened) return first;
        peerClock.aheadMs = opened.aheadMs;
        const { reused } = first;
        carrier.cancel();
        if (cancelled)
          throw new WireError("cancelled", "given up by us", { sent: true, heard: true, reused });
        carrier = send();
        return await carrier.response;
      };
      const response = answer();
      // Whoever cancels has often stopped looking; an unseen rejection would end the process.
      response.catch(() => undefined);
      return {
        response,
        cancel() {
          cancelled = true;
          carrier.cancel();
        },
      };
    },
    stats: client.stats,
    close: client.close,
    abandon: client.abandon,
  };
}

/** Of a base address as adverts have it. */
export function targetOfPeer(address: string): WireTarget {
  const [, scheme, v6, name, port] = /^(https?):\/\/(?:\[(.+)\]|(.+)):(\d+)$/.exec(address) ?? [];
  const host = v6 ?? name;
  if (host === undefined) throw new TypeError(`not the base address of a peer: ${address}`);
  const target = { host, port: Number(port) };
  return scheme === "https" ? { ...target, tls: {} } : target;
}
