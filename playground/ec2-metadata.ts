// Stands in for the instance metadata service of EC2, version 2: no answer without a token. Import startEc2Metadata, or
// run `bun playground/ec2-metadata.ts --port 8169` and set AWS_EC2_METADATA_SERVICE_ENDPOINT.

import { parseArgs } from "node:util";

export interface Ec2MetadataOptions {
  /** 0 takes a free one. */
  readonly port: number;
  readonly instanceId: string;
  readonly availabilityZone: string;
  /** Paths from `/latest/` on, and what stands there, now or always; what stands nowhere is answered 404. */
  readonly pages: Readonly<Record<string, string | (() => string)>>;
}

export type Ec2MetadataFault = "slow" | "silent" | "no-tokens";

export interface Ec2Metadata {
  readonly url: string;
  /** Requests as they came: `PUT /latest/api/token`. */
  readonly requests: readonly string[];
  /** No token that was given out is good any more: 401. */
  expireTokens(): void;
  /** `slow`: half a second. `silent`: not before the fault is taken back. `no-tokens`: 403, as where it is off. */
  fault(kind: Ec2MetadataFault | undefined): void;
  stop(): Promise<void>;
}

const defaults: Ec2MetadataOptions = {
  port: 0,
  instanceId: "i-0123456789abcdef0",
  availabilityZone: "us-east-1a",
  pages: {},
};

const slowMs = 500;
const tokenPath = "/latest/api/token";
const ttlSecondsMost = 21_600;

export function startEc2Metadata(given: Partial<Ec2MetadataOptions> = {}): Ec2Metadata {
  const { port, instanceId, availabilityZone, pages } = { ...defaults, ...given };
  const all: Ec2MetadataOptions["pages"] = {
    "/latest/dynamic/instance-identity/document": identityDocument(instanceId, availabilityZone),
    "/latest/meta-data/instance-id": instanceId,
    "/latest/meta-data/placement/availability-zone": availabilityZone,
    ...pages,
  };
  const tokens = new Set<string>();
  const requests: string[] = [];
  let fault: Ec2MetadataFault | undefined;
  let mended = Promise.withResolvers<void>();

  const giveToken = (request: Request): Response => {
    if (fault === "no-tokens") return new Response("", { status: 403 });
    const ttlSeconds = Number(request.headers.get("x-aws-ec2-metadata-token-ttl-seconds"));
    const isGood = Number.isInteger(ttlSeconds) && ttlSeconds >= 1 && ttlSeconds <= ttlSecondsMost;
    if (!isGood) return new Response("", { status: 400 });
    const token = Buffer.from(crypto.getRandomValues(new Uint8Array(39))).toString("base64");
    tokens.add(token);
    return new Response(token, { headers: { "x-aws-ec2-metadata-token-ttl-seconds": `${ttlSeconds}` } });
  };

  const givePage = (request: Request, path: string): Response => {
    if (!tokens.has(request.headers.get("x-aws-ec2-metadata-token") ?? ""))
      return new Response("", { status: 401 });
    const page = all[path];
    if (page === undefined) return new Response("", { status: 404 });
    return new Response(typeof page === "string" ? page : page());
  };

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port,
    idleTimeout: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      requests.push(`${request.method} ${pathname}`);
      if (fault === "slow") await Bun.sleep(slowMs);
      if (fault === "silent") await mended.promise;
      if (pathname === tokenPath && request.method === "PUT") return giveToken(request);
      if (request.method !== "GET") return new Response("", { status: 405 });
      return givePage(request, pathname);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    requests,
    expireTokens: () => tokens.clear(),
    fault(kind) {
      fault = kind;
      mended.resolve();
      mended = Promise.withResolvers();
    },
    async stop() {
      mended.resolve();
      await server.stop(true);
    },
  };
}

const identityDocument = (instanceId: string, availabilityZone: string): string =>
  JSON.stringify(
    {
      accountId: "123456789012",
      architecture: "x86_64",
      availabilityZone,
      imageId: "ami-0123456789abcdef0",
      instanceId,
      instanceType: "g6.xlarge",
      pendingTime: "2026-01-01T00:00:00Z",
      privateIp: "10.0.1.10",
      region: availabilityZone.slice(0, -1),
      version: "2017-09-30",
    },
    null,
    2,
  );

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "0" },
      "instance-id": { type: "string", default: defaults.instanceId },
      zone: { type: "string", default: defaults.availabilityZone },
    },
  });
  const metadata = startEc2Metadata({
    port: Number(values.port),
    instanceId: values["instance-id"],
    availabilityZone: values.zone,
  });
  console.log(JSON.stringify({ msg: "ready", url: metadata.url }));
}
