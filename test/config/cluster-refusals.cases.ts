// What a cluster's settings can have wrong with them, and the exact words that they earn. A part of the manual in
// refusals.cases.ts.

import { certificate, privateKey } from "../support/tls-identity.ts";
import type { Refusal } from "./refusals.cases.ts";

export const gossipKey = { "/gossip.key": "0123456789abcdef\n" };

/** Seven lines without a complaint; what is added belongs to [cluster]. */
export const clustered = `[listen]
public = "10.0.1.10:8010"
gossip = "0.0.0.0:8012"
[auth]
mode = "none"
[cluster]
fleet = "prod"
secret_file = "/gossip.key"
`;

/** The same on loopback. */
const house = clustered.replace("10.0.1.10", "127.0.0.1").replace("0.0.0.0", "127.0.0.1");

const aSeed =
  'cluster.seeds must be a list of other routers\' gossip addresses, such as ["10.0.1.11:8012", "dns:tierline.internal:8012"]';
const advertise =
  'cluster.advertise must be where other machines reach this one, such as "10.0.1.10", "[2001:db8::1]" or "10.0.1.10:8010"';

export const clusterRefusals: readonly Refusal[] = [
  {
    situation: "a gossip listener without a cluster",
    text: '[listen]\ngossip = "127.0.0.1:8012"\n',
    says: [
      'tierline.toml:2:10: listen.gossip is written, but [cluster] has no fleet\n  write fleet = "NAME" under [cluster], the same on all routers that belong together',
      "tierline.toml:2:10: listen.gossip is written, but [cluster] has no secret_file\n  make a secret with `openssl rand -hex 32`, put it into a file on every router, and name that under [cluster]",
    ],
  },
  {
    situation: "a gossip listener from the environment, without a secret",
    text: '[cluster]\nfleet = "prod"\n',
    env: { TIERLINE_LISTEN_GOSSIP: "127.0.0.1:8012" },
    says: [
      "TIERLINE_LISTEN_GOSSIP is written, but [cluster] has no secret_file\n  make a secret with `openssl rand -hex 32`, put it into a file on every router, and name that under [cluster]",
    ],
  },
  {
    situation: "a gossip listener on another listener's port",
    text: house.replace("8012", "8011"),
    files: gossipKey,
    says: [
      "tierline.toml:3:10: listen.admin and listen.gossip both take port 8011\n  give each a port of its own; a flood on one must not silence the other",
    ],
  },
  {
    situation: "a fleet's name that no message could carry",
    text: clustered.replace('"prod"', '"body broker"'),
    files: gossipKey,
    says: [
      'tierline.toml:7:9: cluster.fleet must be a name of letters, digits, ".", "_" and "-", at most 64 long, the first a letter or a digit, not "body broker"',
    ],
  },
  {
    situation: "a secret that is not there",
    text: clustered,
    says: ["tierline.toml:8:15: cluster.secret_file: /gossip.key does not exist\n  make it, or name another"],
  },
  {
    situation: "a secret that is too short",
    text: clustered,
    files: { "/gossip.key": "hush\n" },
    says: [
      "tierline.toml:8:15: cluster.secret_file: /gossip.key line 1 is shorter than 16 bytes\n  one line with the secret of the fleet, such as the output of `openssl rand -hex 32`; during a change two, the one to sign with first",
    ],
  },
  {
    situation: "seeds that are none",
    text: `${clustered}seeds = ["10.0.1.11", "http://10.0.1.11:8012", "dns:tierline.internal", "ec2-tag:fleet=prod", "0.0.0.0:8012"]\n`,
    files: gossipKey,
    says: [
      `tierline.toml:9:10: ${aSeed}, not "10.0.1.11"\n  add the port of the gossip listener there, which is 8012 by custom`,
      `tierline.toml:9:23: ${aSeed}, not "http://10.0.1.11:8012"\n  leave out the scheme: HOST:PORT`,
      `tierline.toml:9:48: ${aSeed}, not "dns:tierline.internal"\n  add the port of the gossip listener there, which is 8012 by custom`,
      `tierline.toml:9:73: ${aSeed}, not "ec2-tag:fleet=prod"\n  seeds by EC2 tag come with a later version of tierline; until then name hosts, or "dns:NAME:PORT"`,
      `tierline.toml:9:95: ${aSeed}, not "0.0.0.0:8012"`,
    ],
  },
  {
    situation: "more seeds than make sense",
    text: `${clustered}seeds = [${Array.from({ length: 65 }, (_, n) => `"10.0.1.${n}:8012"`).join()}]\n`,
    files: gossipKey,
    says: [
      `tierline.toml:9:9: ${aSeed}, not ["10.0.1.0:8012","10.0.1.1:8012","10.0.1.2:8012","10.0.1.3:8…\n  there are 65; 64 is the most`,
    ],
  },
  {
    situation: "an advertised address that nobody can call",
    text: `${clustered}advertise = "0.0.0.0:8010"\n`,
    files: gossipKey,
    says: [
      `tierline.toml:9:13: ${advertise}, not "0.0.0.0:8010"\n  that means every address of a machine, and nobody can call it`,
    ],
  },
];

const forPeers = clustered.replace("[auth]", '[tls]\ncert_file = "/cert"\nkey_file = "/key"\n[auth]');
export const tlsFiles = { ...gossipKey, "/cert": certificate, "/key": privateKey };

export const clusterWarnings: readonly Refusal[] = [
  {
    situation: "a machine that is called as any other is",
    text: clustered,
    files: gossipKey,
    machine: { name: "localhost.localdomain", toldBy: "host" },
    says: [
      'this machine calls itself localhost.localdomain, and so do others\n  write name = "gold-1", or what it is for you, under [host]; no two hosts of a fleet may have the same',
    ],
  },
  {
    situation: "a certificate, and no name by which peers could call",
    text: forPeers,
    files: tlsFiles,
    says: [
      "tierline.toml:5:13: peers call this router by its IP address, and only a certificate that names it will do\n  write advertise under [cluster], with a name that the certificate has",
    ],
  },
  ...["10.0.1.10", "gold-1.internal", "[2001:db8::1]"].map(
    (advertise): Refusal => ({
      situation: `a certificate that is not for ${advertise}`,
      text: `${forPeers}advertise = "${advertise}"\n`,
      files: tlsFiles,
      says: [
        `tierline.toml:5:13: tls.cert_file: the certificate is not for ${advertise.replace(/[[\]]/g, "")}, where peers call this router\n  they will send it no request; have the certificate name it, or advertise a name that it has`,
      ],
    }),
  ),
  {
    situation: "a cluster without a gossip listener, whose secret is not even read",
    text: '[cluster]\nseeds = ["10.0.1.11:8012"]\nsecret_file = "/nowhere"\n',
    says: [
      'tierline.toml:2:9: cluster.seeds is written, but listen.gossip is not: this router stays alone\n  write gossip = "0.0.0.0:8012" under [listen], or take the cluster out',
    ],
  },
  {
    situation: "a seed that every machine takes for itself",
    text: `${clustered}seeds = ["10.0.1.11:8012", "localhost:8012", "gold-2.internal:8012"]\n`,
    files: gossipKey,
    says: [
      "tierline.toml:9:28: cluster.seeds names localhost:8012, which on every machine is that machine itself\n  name other machines by an address that all of them can reach",
    ],
  },
  {
    situation: "a seed that cannot reach a listener on loopback",
    text: `${house}seeds = ["127.0.0.1:8013", "10.0.1.11:8012", "gold-2.internal:8012"]\n`,
    files: gossipKey,
    says: [
      "tierline.toml:9:28: listen.gossip is 127.0.0.1:8012, which 10.0.1.11:8012 cannot reach\n  listen where other machines can reach it",
    ],
  },
  {
    situation: "an advertised address that every machine takes for itself",
    text: `${clustered}advertise = "127.0.0.1"\n`,
    files: gossipKey,
    says: [
      "tierline.toml:9:13: cluster.advertise is 127.0.0.1, where every other router finds itself\n  write an address of this machine that the others can reach, or leave it out",
    ],
  },
  {
    situation: "a public listener that no peer can reach",
    text: clustered.replace('public = "10.0.1.10:8010"\n', ""),
    files: gossipKey,
    says: [
      'tierline.toml:2:10: listen.public is 127.0.0.1:8010, so no peer can send a request to this router\n  listen where they can reach it, such as public = "0.0.0.0:8010", or they will only send theirs elsewhere',
    ],
  },
];
