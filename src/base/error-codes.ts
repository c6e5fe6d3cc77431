// The closed list of what can be answered instead of a result: one row a code, one map to HTTP.

/**
 * `status`: the HTTP status. `type`: OpenAI's error type. `retry`: what `x-should-retry` says to SDKs,
 * which would otherwise repeat every 408, 409, 429 and 5xx twice; undefined leaves it unsaid.
 */
export interface ErrorRow {
  readonly status: number;
  readonly type: string;
  readonly retry?: boolean;
}

export const errorCodes = {
  invalid_request: { status: 400, type: "invalid_request_error" },
  invalid_api_key: { status: 401, type: "authentication_error" },
  forbidden: { status: 403, type: "permission_error" },
  model_not_found: { status: 404, type: "invalid_request_error" },
  not_found: { status: 404, type: "invalid_request_error" },
  job_not_found: { status: 404, type: "invalid_request_error" },
  method_not_allowed: { status: 405, type: "invalid_request_error" },
  request_timeout: { status: 408, type: "invalid_request_error", retry: false },
  job_ended: { status: 409, type: "invalid_request_error", retry: false },
  request_too_large: { status: 413, type: "invalid_request_error" },
  unsupported_encoding: { status: 415, type: "invalid_request_error" },
  idempotency_mismatch: { status: 422, type: "invalid_request_error" },
  upgrade_required: { status: 426, type: "invalid_request_error" },
  rate_limited: { status: 429, type: "rate_limit_error", retry: true },
  tier_overloaded: { status: 429, type: "overloaded_error", retry: true },
  internal_error: { status: 500, type: "server_error", retry: false },
  upstream_failed: { status: 502, type: "upstream_error", retry: false },
  too_many_sockets: { status: 503, type: "overloaded_error", retry: true },
  no_endpoint: { status: 503, type: "unavailable_error", retry: true },
  job_store_unavailable: { status: 503, type: "unavailable_error", retry: true },
  job_owner_unreachable: { status: 503, type: "unavailable_error", retry: true },
  host_overloaded: { status: 503, type: "overloaded_error", retry: true },
  draining: { status: 503, type: "unavailable_error", retry: true },
  starting: { status: 503, type: "unavailable_error", retry: true },
  deadline_exceeded: { status: 504, type: "timeout_error", retry: false },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorCodes;

export const isErrorCode = (text: string): text is ErrorCode => Object.hasOwn(errorCodes, text);
