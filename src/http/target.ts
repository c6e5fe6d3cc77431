// What of a request's target is asked for. Bun's `url` is no URL where the request names no host (HTTP/1.0, an empty
// Host) or one that no URL may have, so nothing here takes it for one.

import { getPath } from "hono/utils/url";

/** For Hono, which looks for a path behind a host. */
export const pathOf = (request: Request): string =>
  request.url.startsWith("/") ? getPath(new Request(`http://localhost${request.url}`)) : getPath(request);

export function queryOf({ url }: Request): URLSearchParams {
  const mark = url.indexOf("?");
  return new URLSearchParams(mark < 0 ? "" : url.slice(mark + 1));
}
