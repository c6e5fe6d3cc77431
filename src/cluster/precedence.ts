// Which of two claims about one name wins. Arithmetic only; what follows from it is for membership.ts.

import type { Claim } from "./claim.ts";
import { weightOf } from "./claim.ts";

/**
 * - `stale`: from an earlier incarnation; it changes nothing.
 * - `same`: nothing about the state is new (the meta may be).
 * - `graver`: the same life, a graver state or one more accuser.
 * - `newer`: the member itself has spoken since.
 * - `usurped`: another run of the program claims the incarnation that is known; the later run wins.
 */
export type Precedence = "stale" | "same" | "graver" | "newer" | "usurped";

export function precedence(heard: Claim, known: Claim): Precedence {
  if (heard.incarnation !== known.incarnation)
    return heard.incarnation > known.incarnation ? "newer" : "stale";
  if (heard.boot !== known.boot) return heard.boot > known.boot ? "usurped" : "stale";
  if (weightOf(heard) > weightOf(known)) return "graver";
  return addsAccuser(heard, known) ? "graver" : "same";
}

/** Two accusations weigh the same and yet know of different accusers. */
function addsAccuser(heard: Claim, known: Claim): boolean {
  if (heard.state !== "suspect" || known.state !== "suspect") return false;
  const accusers = known.accusers ?? [];
  return (heard.accusers ?? []).some((name) => !accusers.includes(name));
}
