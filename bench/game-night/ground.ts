// Where the three hosts and those who call them are: each in a network namespace of its own, where this machine lets us make
// them; else all on loopback, where nobody can be cut off.

import { createNet } from "../../test/support/netns.ts";

export interface Ground {
  readonly hosts: readonly Spot[];
  /** What a caller's command is put behind. */
  readonly callers: readonly string[];
  /** Undefined where there can be no partition; `whole` says why. */
  readonly partition: Partition | undefined;
  readonly whole: string | undefined;
  stop(): void;
}

export interface Spot {
  readonly name: string;
  readonly address: string;
  readonly behind: readonly string[];
}

interface Partition {
  /** No packet passes between this host and the others. */
  cutOff(index: number): void;
  heal(): void;
}

const hostNames = ["host-1", "host-2", "host-3"] as const;

/** The whole of 127/8 is loopback on Linux, so that every host has an address and the usual ports. */
const loopback = (index: number): string => `127.77.0.${index + 1}`;

export function openGround(): Ground {
  try {
    return apart();
  } catch (error) {
    const why = error instanceof Error ? error.message.trim() : String(error);
    return {
      hosts: hostNames.map((name, index) => ({ name, address: loopback(index), behind: [] })),
      callers: [],
      partition: undefined,
      whole: `There can be no network namespaces here, which takes root, \`ip\` and \`nft\` (${why}). So nobody is cut off.`,
      stop() {},
    };
  }
}

function apart(): Ground {
  const net = createNet(hostNames, ["callers"]);
  try {
    net.heal();
  } catch (error) {
    net.stop();
    throw error;
  }
  return {
    hosts: hostNames.map((name) => net.place(name)),
    callers: net.place("callers").behind,
    partition: {
      cutOff(index) {
        const [one] = hostNames.slice(index, index + 1);
        if (one === undefined) return;
        const others = hostNames.filter((name) => name !== one);
        net.cut([one], others);
        net.cut(others, [one]);
      },
      heal: () => net.heal(),
    },
    whole: undefined,
    stop: () => net.stop(),
  };
}
