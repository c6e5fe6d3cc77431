// What the cluster's settings demand of each other and of the listeners: whom this router can reach, and who can reach it.

import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { Address } from "../base/address.ts";
import { addressText, isLoopback, parseAddress } from "../base/address.ts";
import type { Values } from "./schema.ts";
import type { TlsFiles } from "./secrets.ts";
import type { Sources } from "./sources.ts";

export function* gossipNeedsFleet({ listen, cluster }: Values, sources: Sources) {
  if (listen.gossip === undefined || cluster?.fleet !== undefined) return;
  yield sources.problem(
    ["listen", "gossip"],
    `${sources.called(["listen", "gossip"])} is written, but [cluster] has no fleet`,
    'write fleet = "NAME" under [cluster], the same on all routers that belong together',
  );
}

export function* gossipNeedsSecret({ listen, cluster }: Values, sources: Sources) {
  if (listen.gossip === undefined || cluster?.secret_file !== undefined) return;
  yield sources.problem(
    ["listen", "gossip"],
    `${sources.called(["listen", "gossip"])} is written, but [cluster] has no secret_file`,
    "make a secret with `openssl rand -hex 32`, put it into a file on every router, and name that under [cluster]",
  );
}

export function* clusterNeedsGossip({ listen }: Values, sources: Sources) {
  const written = ["fleet", "seeds", "advertise", "secret_file"]
    .map((key) => ["cluster", key])
    .find((path) => sources.written(path));
  if (listen.gossip !== undefined || written === undefined) return;
  yield sources.problem(
    written,
    `${sources.called(written)} is written, but listen.gossip is not: this router stays alone`,
    'write gossip = "0.0.0.0:8012" under [listen], or take the cluster out',
  );
}

/** A router that listens on loopback can be in a fleet with its like on the same machine, and with nobody else. */
export function* seedsAreInReach({ listen, cluster }: Values, sources: Sources) {
  const { gossip } = listen;
  if (gossip === undefined) return;
  const own = `listen.gossip is ${addressText(gossip)}`;
  for (const [index, seed] of (cluster?.seeds ?? []).entries()) {
    if (seed.kind !== "address") continue;
    const address = parseAddress(seed.address);
    if (address === undefined || !isPlain(address) || isLoopback(address) === isLoopback(gossip)) continue;
    const path = ["cluster", "seeds", index];
    const [what, hint] = isLoopback(gossip)
      ? [`${own}, which ${seed.address} cannot reach`, "listen where other machines can reach it"]
      : [
          `${sources.called(path)} names ${seed.address}, which on every machine is that machine itself`,
          "name other machines by an address that all of them can reach",
        ];
    yield sources.problem(path, what, hint);
  }
}

/** Of a name only the DNS knows where it leads. */
const isPlain = (address: Address): boolean => isIP(address.host) > 0 || isLoopback(address);

export function* advertiseIsReachable({ listen, cluster }: Values, sources: Sources) {
  const advertise = cluster?.advertise;
  if (listen.gossip === undefined || advertise === undefined || isLoopback(listen.gossip)) return;
  if (!isLoopback(advertise)) return;
  const path = ["cluster", "advertise"];
  yield sources.problem(
    path,
    `${sources.called(path)} is ${advertise.host}, where every other router finds itself`,
    "write an address of this machine that the others can reach, or leave it out",
  );
}

/** The gossip would tell everybody of engines that nobody can ask. */
export function* peersReachPublic({ listen }: Values, sources: Sources) {
  if (listen.gossip === undefined || isLoopback(listen.gossip) || !isLoopback(listen.public)) return;
  yield sources.problem(
    ["listen", sources.written(["listen", "public"]) ? "public" : "gossip"],
    `${sources.called(["listen", "public"])} is ${addressText(listen.public)}, so no peer can send a request to this router`,
    'listen where they can reach it, such as public = "0.0.0.0:8010", or they will only send theirs elsewhere',
  );
}

/** A machine that nobody has named is called as others are, and of two hosts of one name one drops out. */
export function* nameTellsApart({ host, listen }: Values, sources: Sources) {
  if (listen.gossip === undefined || sources.written(["host", "name"])) return;
  if (!/^localhost(\.|$)/i.test(host.name)) return;
  yield sources.problem(
    ["host", "name"],
    `this machine calls itself ${host.name}, and so do others`,
    'write name = "gold-1", or what it is for you, under [host]; no two hosts of a fleet may have the same',
  );
}

/** Peers check the certificate as any client does; where it does not fit, they send nothing here. */
export function* certificateIsForPeers({ listen, cluster }: Values, sources: Sources, tls: TlsFiles) {
  if (listen.gossip === undefined) return;
  const host = cluster?.advertise?.host;
  const path = ["tls", "cert_file"];
  if (host === undefined) {
    const what = "peers call this router by its IP address, and only a certificate that names it will do";
    yield sources.problem(
      path,
      what,
      "write advertise under [cluster], with a name that the certificate has",
    );
    return;
  }
  const certificate = certificateOf(tls);
  const fits =
    certificate && (isIP(host) > 0 ? certificate.checkIP(host) : certificate.checkHost(host)) !== undefined;
  if (fits !== false) return;
  yield sources.problem(
    path,
    `${sources.called(path)}: the certificate is not for ${host}, where peers call this router`,
    "they will send it no request; have the certificate name it, or advertise a name that it has",
  );
}

/** Undefined: the listener will say what is wrong with it. */
function certificateOf({ cert }: TlsFiles): X509Certificate | undefined {
  try {
    return new X509Certificate(cert);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return undefined;
  }
}
