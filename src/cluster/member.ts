// What this router holds of one member, and what it tells those above when that changes.

import type { Instant } from "../base/clock.ts";
import type { Claim, MemberState } from "./claim.ts";

/** A live view, read-only to everybody but membership.ts: what an event names goes on changing. */
export interface Member {
  readonly claim: Claim;
  /** What it is held for; after much coming and going it stays down although it claims to be alive. */
  readonly state: MemberState;
  readonly stateSince: Instant;
  /** When its newest meta came in; how old that is beyond this nobody can tell without a common clock. */
  readonly metaAt: Instant;
  /** When a message or an answer of its own last came in. */
  readonly heardAt: Instant | undefined;
}

/** One for each change of what a member is held for, and for what people should look at. */
export type MembershipEvent =
  | { readonly kind: "joined"; readonly member: Member }
  /** `by` accused it of `why`; suspicion begins here and now. */
  | { readonly kind: "suspected"; readonly member: Member; readonly by: string; readonly why: string }
  /** It has spoken up: suspect or dead before, alive now. */
  | { readonly kind: "refuted"; readonly member: Member }
  /** It was suspected in vain; `by` accused it first. `heardFrom`: who said so; undefined: our own timer. */
  | {
      readonly kind: "dead";
      readonly member: Member;
      readonly by: string;
      readonly why: string;
      readonly heardFrom: string | undefined;
    }
  | { readonly kind: "left"; readonly member: Member }
  /** A later run of the same name at the same address, or after its death. */
  | { readonly kind: "restarted"; readonly member: Member }
  /** New meta from its owner. */
  | { readonly kind: "updated"; readonly member: Member }
  /** It has been dead or gone for so long that it is forgotten. */
  | { readonly kind: "forgotten"; readonly member: Member }
  /** Two hosts answer to one name: the configuration is wrong. `yielded`: this router is the one that gives way. */
  | {
      readonly kind: "conflict";
      readonly name: string;
      readonly winner: string;
      readonly loser: string;
      readonly yielded: boolean;
    }
  /** Others thought this router gone; it has told them otherwise. */
  | { readonly kind: "accused"; readonly by: string; readonly why: string; readonly incarnation: number };

/** Claimed alive or suspect: worth talking to. */
export function isPresent(member: Member | undefined): boolean {
  return member?.claim.state === "alive" || member?.claim.state === "suspect";
}
