// What a desk refuses, in words and with a code.

import type { ErrorCode } from "../base/error-codes.ts";
import type { Random } from "../base/random.ts";
import { retryAfterMs } from "../routing/admission.ts";

export interface DeskRefusal {
  readonly kind: "refused";
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryAfterMs?: number;
}

/** What a caller is told to wait where the store takes or tells nothing. */
export const storeRetryMs = 5_000;

export const notFound: DeskRefusal = {
  kind: "refused",
  code: "job_not_found",
  message: "There is no such job, or it was forgotten some time after its end, or it is another caller's.",
};

export const mismatch: DeskRefusal = {
  kind: "refused",
  code: "idempotency_mismatch",
  message:
    "This Idempotency-Key came with another request before. Repeat that request as it was, or take a new key.",
};

export const alreadyEnded: DeskRefusal = {
  kind: "refused",
  code: "job_ended",
  message: "The job has ended and cannot be cancelled.",
};

export const storeRefusal = (message: string, random: Random): DeskRefusal => ({
  kind: "refused",
  code: "job_store_unavailable",
  message,
  retryAfterMs: retryAfterMs(storeRetryMs, random),
});
