// Asks the other routers of the fleet about jobs, over connections that carry nothing else. Who is there, gossip tells;
// what is asked of whom, and what an answer means, is http/'s.

import type { Clock } from "./base/clock.ts";
import { peerHeader, peerRefusedHeader } from "./host/forwarded.ts";
import { failureText } from "./host/gossip-transport.ts";
import type { JobCall, JobCallSeals } from "./host/job-call.ts";
import { answeredHere } from "./host/job-call.ts";
import type { PeerClient } from "./host/peer-wire.ts";
import { createPeerClient, targetOfPeer } from "./host/peer-wire.ts";
import type { JobCalls, MemberAnswer, MemberAsk, MemberFacts } from "./http/door.ts";
import { isPresent } from "./jobs/members.ts";
import { readAtMost } from "./wire/read-at-most.ts";
import { WireError } from "./wire/wire-error.ts";

const jobCallsRule = {
  /** To one host, for what it answers at once. */
  briefConnections: 64,
  /** To one host, for callers that wait for the end of a job: they must not be in the way of the others. */
  longConnections: 256,
  /** Who grants more time than that means to wait. */
  briefMs: 10_000,
  /** A result of 16 MB and what stands around it. */
  answerBytesMost: 20 * 1024 * 1024,
  /** After the start; a whole fleet that is restarted has found together by then. */
  unheardMs: 60_000,
} as const;

export interface JobCallsParts {
  readonly seals: JobCallSeals;
  /** The fleet as it stands, this router included. */
  readonly members: () => readonly MemberFacts[];
  readonly clock: Clock;
}

export interface JobCallLinks extends JobCalls {
  /** What is asked of a member that is gone, or has another address, fails at once. */
  membersChanged(): void;
  stop(): void;
}

interface LinkedMember {
  readonly address: string;
  readonly brief: PeerClient<JobCall>;
  readonly long: PeerClient<JobCall>;
}

export function createJobCalls({ seals, members, clock }: JobCallsParts): JobCallLinks {
  const { briefConnections, longConnections, briefMs, answerBytesMost, unheardMs } = jobCallsRule;
  const startedAt = clock.now();
  const links = new Map<string, LinkedMember>();

  /** Addresses by name, of those that can be asked. */
  const reachable = (): ReadonlyMap<string, string> =>
    new Map(
      members().flatMap((member) =>
        !member.isSelf && member.advert !== undefined && isPresent(member)
          ? [[member.name, member.advert.public] as const]
          : [],
      ),
    );

  const unlinkGone = (addresses: ReadonlyMap<string, string>): void => {
    for (const [name, { address, brief, long }] of links) {
      if (addresses.get(name) === address) continue;
      links.delete(name);
      for (const client of [brief, long]) client.abandon(`${name} is gone from the fleet`);
    }
  };

  const linkTo = (name: string): LinkedMember | undefined => {
    const addresses = reachable();
    unlinkGone(addresses);
    const address = addresses.get(name);
    if (address === undefined) return undefined;
    const known = links.get(name);
    if (known !== undefined) return known;
    const common = { target: targetOfPeer(address), seals, clock, peerClock: { aheadMs: 0 } };
    const linked = {
      address,
      brief: createPeerClient({ ...common, maxConnections: briefConnections }),
      long: createPeerClient({ ...common, maxConnections: longConnections }),
    };
    links.set(name, linked);
    return linked;
  };

  return {
    async ask(ask) {
      const linked = linkTo(ask.member);
      if (linked === undefined) return { unreachable: "it is not among the living hosts of this fleet" };
      const errand = createErrand(ask, ask.leftMs > briefMs ? linked.long : linked.brief);
      return await errand();
    },
    mayExist(name) {
      const heard = members().filter(({ isSelf }) => !isSelf);
      // Who is cut off from all others knows no names either.
      if (heard.length === 0 || clock.now() - startedAt < unheardMs) return true;
      return heard.some((member) => member.name === name);
    },
    others: () => [...reachable().keys()],
    membersChanged: () => unlinkGone(reachable()),
    stop: () => unlinkGone(new Map()),
  };

  /** One question on its way, once more where a kept connection had closed meanwhile: that says nothing about its host. */
  function createErrand(ask: MemberAsk, client: PeerClient<JobCall>) {
    const { method, path, caller, headers = [], body, leftMs, signal } = ask;
    const deadline = clock.now() + leftMs;
    let carrier: ReturnType<typeof client.request> | undefined;
    let givenUp: string | undefined;
    const giveUp = (why: string): void => {
      givenUp ??= why;
      carrier?.cancel();
    };

    const attempt = async (fresh: boolean): Promise<MemberAnswer | { readonly unreachable: string }> => {
      carrier = client.request({
        method,
        path,
        headers,
        ...(body !== undefined && { body: [body] }),
        fresh,
        forwarding: { claim: { caller }, deadline },
      });
      const answer = await carrier.response;
      const bytes = await readAtMost(answer.body, answerBytesMost);
      if (bytes === undefined) {
        carrier.cancel();
        return { unreachable: "its answer is too long" };
      }
      if (answer.headers.get(peerHeader) === answeredHere) {
        return { status: answer.status, headers: answer.headers, body: bytes };
      }
      const why = answer.headers.get(peerRefusedHeader);
      return { unreachable: why === undefined ? "it is no router of this fleet" : `it refuses us: ${why}` };
    };

    return async () => {
      if (signal.aborted) return { unreachable: callerLeft };
      const leave = (): void => giveUp(callerLeft);
      signal.addEventListener("abort", leave);
      const stopTimer = clock.after(leftMs, () => giveUp(failureText("late")));
      try {
        return await attempt(false).catch((error: unknown) => {
          const wasStale = error instanceof WireError && error.reused && !error.heard;
          if (!wasStale || givenUp !== undefined) throw error;
          return attempt(true);
        });
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        const isBusy = error.code === "too-many-connections";
        return { unreachable: givenUp ?? (isBusy ? tooMany : failureText(error.code)) };
      } finally {
        signal.removeEventListener("abort", leave);
        stopTimer();
      }
    };
  }
}

const callerLeft = "the caller has left";
const tooMany = "too many questions to it are under way";
