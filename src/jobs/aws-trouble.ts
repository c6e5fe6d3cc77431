// What the errors of the AWS SDK mean.

import type { CallFault, CallTrouble } from "./objects.ts";

/** Of a service's own words. */
const whyMost = 300;

/** By the name of the error; what is not here goes by its status. */
const troubles: Readonly<Record<string, CallFault>> = {
  CredentialsProviderError: "credentials",
  TokenProviderError: "credentials",
  ExpiredToken: "credentials",
  ExpiredTokenException: "credentials",
  IncompleteSignature: "credentials",
  InvalidAccessKeyId: "credentials",
  InvalidClientTokenId: "credentials",
  InvalidToken: "credentials",
  MissingAuthenticationToken: "credentials",
  MissingAuthenticationTokenException: "credentials",
  RequestExpired: "credentials",
  // The clock of this machine.
  RequestTimeTooSkewed: "credentials",
  SignatureDoesNotMatch: "credentials",
  InvalidSignatureException: "credentials",
  UnrecognizedClientException: "credentials",
  ModelNotReadyException: "throttled",
  RequestLimitExceeded: "throttled",
  RequestThrottled: "throttled",
  SlowDown: "throttled",
  Throttling: "throttled",
  ThrottlingException: "throttled",
  TooManyRequestsException: "throttled",
  AbortError: "timeout",
  RequestTimeout: "timeout",
  TimeoutError: "timeout",
};

export interface NamedError {
  readonly name: string;
  /** Undefined where no answer came. */
  readonly status: number | undefined;
}

/** Rethrows what neither the SDK nor the network has thrown. */
export function troubleIn(error: unknown): CallTrouble {
  const { name, status } = nameOf(error);
  // The SDK calls a connection that was reset a time-out, too; its code is the truth.
  const trouble =
    status === undefined ? (ofSystem(error) ?? troubles[name]) : (troubles[name] ?? ofStatus(status));
  if (trouble === undefined) throw error;
  const message = error instanceof Error ? error.message : "";
  const why = `${name}${status === undefined ? "" : ` (${status})`}: ${message}`.replace(/\s+/g, " ");
  return { kind: "trouble", trouble, why: why.slice(0, whyMost) };
}

export function nameOf(error: unknown): NamedError {
  if (!(error instanceof Error)) return { name: "", status: undefined };
  const metadata = "$metadata" in error ? error.$metadata : undefined;
  const said =
    typeof metadata === "object" && metadata !== null && "httpStatusCode" in metadata
      ? metadata.httpStatusCode
      : undefined;
  return { name: error.name, status: typeof said === "number" ? said : undefined };
}

/** Errors of sockets and of the resolver have a code. An answer that cannot be read has `$response`. */
function ofSystem(error: unknown): CallFault | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = "code" in error ? error.code : undefined;
  if (typeof code === "string" && code !== "ABORT_ERR") return code === "ETIMEDOUT" ? "timeout" : "network";
  // Bytes that were changed on the way; the SDK gives this error neither a name nor a code.
  if (error.message.startsWith("Checksum mismatch:")) return "network";
  return "$response" in error ? "server" : undefined;
}

function ofStatus(status: number): CallFault {
  if (status === 429) return "throttled";
  if (status === 401 || status === 403) return "denied";
  // A 2xx or 3xx that became an error is an answer that nobody can read.
  return status >= 400 && status < 500 ? "refused" : "server";
}
