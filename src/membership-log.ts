// What the log says when a member of the fleet changes: one line for each event, and none for what happens all the time.

import type { Member, MembershipEvent } from "./cluster/member.ts";
import type { Log } from "./telemetry/log.ts";

interface Line {
  readonly level: "info" | "warn" | "error";
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | undefined>>;
}

export function logMembership(log: Log, event: MembershipEvent): void {
  const line = membershipLine(event);
  if (line !== undefined) log[line.level](line.fields, line.message);
}

/** Of what is said in words alone. */
const plain = {
  joined: "a router has joined the fleet",
  restarted: "a router has restarted",
  refuted: "a router is alive after all, and is used again",
  left: "a router has left the fleet, of its own will",
  forgotten: "a router that is gone is forgotten",
} as const;

export function membershipLine(event: MembershipEvent): Line | undefined {
  switch (event.kind) {
    case "updated":
      return undefined;
    case "joined":
    case "restarted":
    case "refuted":
    case "left":
    case "forgotten":
      return { level: "info", message: plain[event.kind], fields: fieldsOf(event.member) };
    case "suspected": {
      const { member, by, why } = event;
      return {
        level: "warn",
        message: "a router is suspected to be gone: nothing new is sent there",
        fields: { ...fieldsOf(member), by, why },
      };
    }
    case "dead": {
      const { member, by, why, heardFrom } = event;
      return {
        level: "warn",
        message: "a router is gone: it was suspected and has not spoken up",
        fields: { ...fieldsOf(member), by, why, heard_from: heardFrom },
      };
    }
    case "accused": {
      const { by, why, incarnation } = event;
      return {
        level: "warn",
        message: "a peer could not reach this router; it has been told that this one is alive",
        fields: { by, why, incarnation },
      };
    }
    case "conflict": {
      const { name, winner, loser, yielded } = event;
      return {
        level: "error",
        message: yielded
          ? `another host calls itself ${name} too, and began later: this one has left the fleet and serves alone. Give each host a host.name of its own and restart this one`
          : `two hosts call themselves ${name}, or it has moved and not said farewell: the fleet keeps to the one at ${winner}. If both run, give each a host.name of its own and restart the one at ${loser}`,
        fields: { member: name, winner, loser },
      };
    }
  }
}

const fieldsOf = ({ claim, state }: Member): Line["fields"] => ({
  member: claim.name,
  state,
  incarnation: claim.incarnation,
  address: claim.address,
});
