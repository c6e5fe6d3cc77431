// What is told of the jobs of hosts that are gone, and of the lease, for log and metrics.

export type AdoptionEvent =
  /** A job of a host that is gone is finished here. */
  | { readonly kind: "adopted"; readonly id: string; readonly from: string }
  /** S3 did not take the lease in time: others may take this host's jobs, should they think it dead. */
  | { readonly kind: "lease-lapsed" }
  /** More jobs than a list can hold were accepted by that host; some may stay unfinished until it is back. */
  | { readonly kind: "list-cut"; readonly member: string }
  /** It is tried again. */
  | { readonly kind: "trouble"; readonly why: string }
  /** This one job cannot be adopted by anybody. */
  | { readonly kind: "unadoptable"; readonly id: string; readonly why: string }
  /** A bug. */
  | { readonly kind: "broke"; readonly error: unknown };
