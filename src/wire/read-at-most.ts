// A whole body, where it is as short as its reader expects.

import type { WireBody } from "./client.ts";

/** Undefined: longer than that. */
export async function readAtMost(body: WireBody, bytesMost: number): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (let chunk = await body.next(); chunk !== null; chunk = await body.next()) {
    bytes += chunk.length;
    if (bytes > bytesMost) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
