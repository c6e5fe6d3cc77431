// Who may act: a host holds its jobs only as long as its lease in S3, and renews it. How long work may take is another
// matter. One object a host, not one a job.

import { asBuffer } from "../base/as-buffer.ts";
import type { Clock } from "../base/clock.ts";
import { isRecord } from "../base/is-record.ts";
import { parseJson } from "../base/parse-json.ts";
import { plainName } from "./job-places.ts";
import type { Names } from "./list-names.ts";
import { listNames } from "./list-names.ts";
import type { CallTrouble, ObjectPlace, Objects } from "./objects.ts";
import { below, readKnown, s3Url } from "./objects.ts";

export const leaseRule = {
  /** A host is known to be dead after some seconds, and its jobs begin elsewhere 30 s after that. */
  lengthMs: 20_000,
  /** Two throttled renewals in a row are not yet the end. */
  renewEveryMs: 6_000,
  /** Clocks of two hosts may differ by so much before a job could be worked on twice. Twice is allowed, shown twice is not. */
  skewMs: 5_000,
} as const;

const leaseBytesMost = 1024;

export type SeenLease =
  | {
      readonly kind: "found";
      readonly member: string;
      /** By the wall clock of that host. */
      readonly untilMs: number;
      /** By ours, differences between clocks allowed for; 0: it is over. */
      readonly leftMs: number;
    }
  /** It never had one. */
  | { readonly kind: "missing" }
  | CallTrouble;

export interface Leases {
  /** Says that this host acts on its jobs until then, by its wall clock. */
  renew(signal: AbortSignal): Promise<{ readonly kind: "until"; readonly wallMs: number } | CallTrouble>;
  read(member: string, signal: AbortSignal): Promise<SeenLease>;
  /** Whoever has, or ever had, a lease, by the names that `plainName` gives them. */
  list(signal: AbortSignal): Promise<Names | CallTrouble>;
}

export function createLeases(manifests: ObjectPlace, own: string, objects: Objects, clock: Clock): Leases {
  const placeOf = (member: string): ObjectPlace => below(manifests, "leases", plainName(member));

  return {
    async renew(signal) {
      // Counted from before the call: we must not think it longer than the others do.
      const untilMs = clock.wallMs() + leaseRule.lengthMs;
      const lease = Buffer.from(JSON.stringify({ member: own, until_ms: untilMs }));
      const stored = await objects.put(placeOf(own), lease, "always", signal);
      return stored.kind === "trouble" ? stored : { kind: "until", wallMs: untilMs };
    },
    async read(member, signal) {
      const place = placeOf(member);
      const found = await readKnown(objects, place, leaseBytesMost, signal);
      if (found.kind !== "found") return found;
      const lease = parseJson(asBuffer(found.bytes).toString("utf8"));
      const { member: name, until_ms: untilMs } = isRecord(lease) ? lease : {};
      if (typeof name !== "string" || typeof untilMs !== "number") {
        return { kind: "trouble", trouble: "refused", why: `${s3Url(place)} is no lease` };
      }
      const leftMs = Math.max(0, untilMs + leaseRule.skewMs - clock.wallMs());
      return { kind: "found", member: name, untilMs, leftMs };
    },
    list: (signal) => listNames(objects, below(manifests, "leases"), "", signal),
  };
}
