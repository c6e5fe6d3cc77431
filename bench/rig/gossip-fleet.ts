// A fleet of peers as a process on the driver's core, and what it counts.

import { join } from "node:path";
import type { PeersCounts, PeersMessage } from "./gossip-peers.ts";
import { otherCore, pinned } from "./machine.ts";

export const benchFleet = "bench";
export const benchSecret = "a secret that only this bench has";

export interface GossipFleet {
  /** Gossip addresses of the peers. */
  readonly addresses: readonly string[];
  /** As of a quarter of a second ago at most. */
  counts(): PeersCounts;
  stop(): Promise<void>;
}

/** Resolves when all peers know each other. `routerPort`: where the router's gossip listener is going to be. */
export async function startGossipFleet(peers: number, routerPort: number): Promise<GossipFleet> {
  const ready = Promise.withResolvers<readonly string[]>();
  let counts: PeersCounts | undefined;
  const script = join(import.meta.dir, "gossip-peers.ts");
  const child = Bun.spawn(
    pinned(otherCore, [process.execPath, script, String(peers), String(routerPort), benchFleet, benchSecret]),
    {
      stdout: "inherit",
      stderr: "inherit",
      ipc(message: PeersMessage) {
        if ("ready" in message) ready.resolve(message.ready);
        else ({ counts } = message);
      },
    },
  );
  const stop = async (): Promise<void> => {
    child.kill();
    await child.exited;
  };
  const gone = child.exited.then((code) => {
    throw new Error(`the peers ended with ${code} before they knew each other`);
  });
  gone.catch(() => {});
  const addresses = await Promise.race([ready.promise, gone]);
  return {
    addresses,
    counts() {
      if (counts === undefined) throw new Error("the peers have not counted anything yet");
      return counts;
    },
    stop,
  };
}
