// Anything that speaks OpenAI's API and of which no more is known.

import type { Dialect } from "./dialect.ts";
import { unconstrained } from "./intent-constraint.ts";
import { oneToken, readErrorBody, readHealthStatus, readModelList, readStatus } from "./openai-wire.ts";

export const openai: Dialect = {
  kind: "openai",
  // No health check is part of the API: a server that lists its models is up, one that may not say is not down.
  health: { path: "/v1/models", read: readHealthStatus },
  models: { path: "/v1/models", read: readModelList },
  requestHeaders: [],
  readError: readErrorBody,
  verdict: readStatus,
  oneToken,
  // The API can bias tokens by their ids alone, and tells nobody what they are.
  intentConstraints: [unconstrained],
};
