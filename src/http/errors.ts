// Errors in OpenAI's shape, for the public listener. The one map from code to HTTP is base/error-codes.

import type { ErrorCode, ErrorRow } from "../base/error-codes.ts";
import { errorCodes } from "../base/error-codes.ts";

export interface ErrorDetails {
  readonly param?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface OpenAiError {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
}

export function openAiError(code: ErrorCode, message: string, param?: string): OpenAiError {
  return { error: { message, type: errorCodes[code].type, param: param ?? null, code } };
}

export function errorResponse(code: ErrorCode, message: string, details: ErrorDetails = {}): Response {
  const { status, retry }: ErrorRow = errorCodes[code];
  const headers: Record<string, string> = { "content-type": "application/json", ...details.headers };
  if (retry !== undefined) headers["x-should-retry"] = String(retry);
  if (details.retryAfterMs !== undefined) {
    headers["retry-after-ms"] = String(details.retryAfterMs);
    // Whole seconds, never 0, for clients that know only this one.
    headers["retry-after"] = String(Math.max(1, Math.ceil(details.retryAfterMs / 1000)));
  }
  return new Response(JSON.stringify(openAiError(code, message, details.param)), { status, headers });
}

/** A refusal found while reading a request; thrown nowhere, returned. */
export interface BadRequest {
  readonly code: ErrorCode;
  readonly message: string;
  readonly param?: string;
  readonly retryAfterMs?: number;
}
