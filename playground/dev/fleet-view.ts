// The fleet as one of its routers sees it.

export interface MemberSeen {
  readonly name: string;
  readonly state: string;
  readonly draining: boolean;
  readonly endpoints: readonly EndpointSeen[];
}

interface EndpointSeen {
  /** `ok`, or why nothing new goes there. */
  readonly state: string;
  readonly inflight: number;
  readonly slots: number;
}

/** A router that takes longer to say how it is, shows as one that does not answer. */
const patienceMs = 400;

/** Empty where the router does not answer. */
export async function membersSeen(adminUrl: string): Promise<readonly MemberSeen[]> {
  try {
    const response = await fetch(`${adminUrl}/api/fleet`, { signal: AbortSignal.timeout(patienceMs) });
    const { members }: { members: MemberSeen[] } = JSON.parse(await response.text());
    return members;
  } catch {
    // It may be one that somebody has killed.
    return [];
  }
}
