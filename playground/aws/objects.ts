// S3, path-style, in memory: put, get, head and list, with the conditions of conditional writes. Signatures are not read.

import type { HttpRequest } from "../simulated/http-request.ts";
import type { AwsAnswer } from "./answer.ts";
import { xmlError } from "./answer.ts";

export interface StoredObject {
  readonly bytes: Uint8Array;
  readonly etag: string;
  readonly modified: Date;
}

export interface ObjectMemory {
  get(bucket: string, key: string): StoredObject | undefined;
  put(bucket: string, key: string, bytes: Uint8Array): StoredObject;
  delete(bucket: string, key: string): void;
  keys(bucket: string): readonly string[];
  answer(request: HttpRequest): AwsAnswer;
}

interface ObjectRights {
  /** Without it a key that is not there is answered 403: who may not list may not know. */
  mayList(): boolean;
}

/** Of one page of a list, as in S3. */
const pageMost = 1000;

export function createObjectMemory(buckets: readonly string[], { mayList }: ObjectRights): ObjectMemory {
  const all = new Map(buckets.map((bucket) => [bucket, new Map<string, StoredObject>()]));

  const inBucket = (bucket: string): Map<string, StoredObject> => {
    const found = all.get(bucket);
    if (found === undefined) throw new Error(`There is no bucket ${bucket}.`);
    return found;
  };

  const put = (bucket: string, key: string, bytes: Uint8Array): StoredObject => {
    const etag = `"${new Bun.CryptoHasher("md5").update(bytes).digest("hex")}"`;
    // The bytes of a request lie in a buffer that goes on being used.
    const object = { bytes: bytes.slice(), etag, modified: new Date() };
    inBucket(bucket).set(key, object);
    return object;
  };

  const missing = (): AwsAnswer =>
    mayList()
      ? xmlError(404, "NoSuchKey", "The specified key does not exist.")
      : xmlError(403, "AccessDenied", "Access Denied");

  const answerPut = (bucket: string, key: string, { headers, body }: HttpRequest): AwsAnswer => {
    const before = inBucket(bucket).get(key);
    const wanted = headers["if-match"];
    if (wanted !== undefined && before === undefined)
      return xmlError(404, "NoSuchKey", "There is no such key.");
    const isRefused =
      (headers["if-none-match"] === "*" && before !== undefined) ||
      (wanted !== undefined && wanted !== before?.etag);
    if (isRefused)
      return xmlError(412, "PreconditionFailed", "At least one of the pre-conditions did not hold");
    return { status: 200, headers: [["etag", put(bucket, key, body).etag]] };
  };

  const answerGet = (bucket: string, key: string): AwsAnswer => {
    const object = inBucket(bucket).get(key);
    if (object === undefined) return missing();
    const { bytes, etag, modified } = object;
    return {
      status: 200,
      headers: [
        ["content-type", "application/octet-stream"],
        ["etag", etag],
        ["last-modified", modified.toUTCString()],
      ],
      body: bytes,
    };
  };

  const answerList = (bucket: string, query: string): AwsAnswer => {
    if (!mayList()) return xmlError(403, "AccessDenied", "Access Denied");
    const asked = new URLSearchParams(query);
    const prefix = asked.get("prefix") ?? "";
    const after = asked.get("continuation-token") ?? asked.get("start-after") ?? "";
    const most = Math.min(Number(asked.get("max-keys") ?? pageMost), pageMost);
    const wanted = [...inBucket(bucket)]
      .filter(([key]) => key.startsWith(prefix) && key > after)
      .sort(([one], [other]) => (one < other ? -1 : 1));
    const page = wanted.slice(0, most);
    const isCut = wanted.length > page.length;
    const next = isCut
      ? `<NextContinuationToken>${Bun.escapeHTML(page.at(-1)?.[0] ?? "")}</NextContinuationToken>`
      : "";
    const contents = page.map(
      ([key, { etag, bytes, modified }]) =>
        `<Contents><Key>${Bun.escapeHTML(key)}</Key><LastModified>${modified.toISOString()}</LastModified><ETag>${Bun.escapeHTML(etag)}</ETag><Size>${bytes.byteLength}</Size></Contents>`,
    );
    const body = `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${bucket}</Name><Prefix>${Bun.escapeHTML(prefix)}</Prefix><KeyCount>${page.length}</KeyCount><MaxKeys>${most}</MaxKeys><IsTruncated>${isCut}</IsTruncated>${next}${contents.join("")}</ListBucketResult>`;
    return { status: 200, headers: [["content-type", "application/xml"]], body };
  };

  return {
    get: (bucket, key) => all.get(bucket)?.get(key),
    put,
    delete: (bucket, key) => inBucket(bucket).delete(key),
    keys: (bucket) => [...inBucket(bucket).keys()].sort(),
    answer(request) {
      const { bucket, key } = placeOf(request.path);
      if (!all.has(bucket)) return xmlError(404, "NoSuchBucket", "The specified bucket does not exist");
      if (key === "") return answerList(bucket, request.query);
      switch (request.method) {
        case "PUT":
          return answerPut(bucket, key, request);
        case "GET":
        case "HEAD":
          return answerGet(bucket, key);
        case "DELETE":
          inBucket(bucket).delete(key);
          return { status: 204 };
        default:
          return xmlError(
            405,
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
          );
      }
    },
  };
}

/** `/bucket/a/b` → bucket and `a/b`. */
export function placeOf(path: string): { readonly bucket: string; readonly key: string } {
  const [, bucket = "", key = ""] = /^\/([^/]*)\/?(.*)$/s.exec(path) ?? [];
  return { bucket, key: decodeURIComponent(key) };
}
