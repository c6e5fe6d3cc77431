// What one setting demands of another. The schema looks at values one by one; this looks at them together.

import type { Address } from "../base/address.ts";
import { addressText, isEveryInterface, isLoopback } from "../base/address.ts";
import { tiers } from "../fleet/endpoint.ts";
import { slaClasses } from "../routing/sla.ts";
import {
  advertiseIsReachable,
  clusterNeedsGossip,
  gossipNeedsFleet,
  gossipNeedsSecret,
  nameTellsApart,
  peersReachPublic,
  seedsAreInReach,
} from "./cluster-rules.ts";
import {
  actionsDiffer,
  archetypeNamesAreNames,
  archetypesAreFew,
  defaultIsAnAction,
  edgesAscend,
  featuresAreOneThing,
  modelsLeadSomewhere,
  oneofValuesDiffer,
  situationsFit,
} from "./intent-rules.ts";
import {
  bronzeAliasesNameItsModels,
  bronzeNeedsRunner,
  jobsNeedBronze,
  localNeedsNoPlace,
  manifestsNeedInput,
  sageMakerHasItsPlace,
} from "./job-rules.ts";
import { burstNeedsRate, keyNamesAreNames, keyRulesNeedKeys } from "./key-rules.ts";
import type { ConfigProblem } from "./problem.ts";
import type { Values } from "./schema.ts";
import type { Sources } from "./sources.ts";

export interface Rule {
  /** The tables that it looks at; where one of them holds a refused value, the rule keeps quiet. */
  readonly reads: readonly (keyof Values)[];
  readonly severity: "error" | "warning";
  readonly check: (values: Values, sources: Sources) => Iterable<ConfigProblem>;
}

export const rules: readonly Rule[] = [
  { reads: ["listen", "auth"], severity: "error", check: openPublicNeedsMode },
  { reads: ["listen", "auth"], severity: "error", check: openAdminNeedsToken },
  { reads: ["listen"], severity: "error", check: listenersDiffer },
  { reads: ["auth"], severity: "error", check: keysNeedFile },
  { reads: ["auth"], severity: "warning", check: keysFileNeedsMode },
  { reads: ["auth"], severity: "error", check: keyNamesAreNames },
  { reads: ["auth"], severity: "error", check: keyRulesNeedKeys },
  { reads: ["auth"], severity: "warning", check: burstNeedsRate },
  { reads: ["tls"], severity: "error", check: tlsNeedsBoth },
  { reads: ["engine"], severity: "error", check: engineNamesDiffer },
  { reads: ["engine"], severity: "warning", check: engineUrlsDiffer },
  { reads: ["engine", "listen", "tier"], severity: "warning", check: someEngine },
  { reads: ["aliases"], severity: "error", check: aliasesAreNames },
  { reads: ["aliases", "engine", "listen", "tier"], severity: "warning", check: aliasesLeadSomewhere },
  { reads: ["sla"], severity: "error", check: rungsDiffer },
  { reads: ["sla"], severity: "error", check: firstByteWithinTotal },
  { reads: ["intents"], severity: "error", check: archetypeNamesAreNames },
  { reads: ["intents"], severity: "error", check: archetypesAreFew },
  { reads: ["intents"], severity: "error", check: actionsDiffer },
  { reads: ["intents"], severity: "error", check: defaultIsAnAction },
  { reads: ["intents"], severity: "error", check: featuresAreOneThing },
  { reads: ["intents"], severity: "error", check: edgesAscend },
  { reads: ["intents"], severity: "error", check: oneofValuesDiffer },
  { reads: ["intents"], severity: "error", check: situationsFit },
  { reads: ["listen", "cluster"], severity: "error", check: gossipNeedsFleet },
  { reads: ["listen", "cluster"], severity: "error", check: gossipNeedsSecret },
  { reads: ["listen", "cluster"], severity: "warning", check: clusterNeedsGossip },
  { reads: ["listen", "cluster"], severity: "warning", check: seedsAreInReach },
  { reads: ["listen", "cluster"], severity: "warning", check: advertiseIsReachable },
  { reads: ["listen"], severity: "warning", check: peersReachPublic },
  { reads: ["host", "listen"], severity: "warning", check: nameTellsApart },
  { reads: ["intents", "aliases", "engine", "listen"], severity: "warning", check: modelsLeadSomewhere },
  { reads: ["tier"], severity: "error", check: bronzeNeedsRunner },
  { reads: ["tier"], severity: "error", check: sageMakerHasItsPlace },
  { reads: ["tier"], severity: "error", check: manifestsNeedInput },
  { reads: ["tier"], severity: "warning", check: localNeedsNoPlace },
  { reads: ["tier", "jobs"], severity: "warning", check: jobsNeedBronze },
  { reads: ["tier", "aliases"], severity: "warning", check: bronzeAliasesNameItsModels },
];

function* openPublicNeedsMode({ listen }: Values, sources: Sources) {
  if (isLoopback(listen.public) || sources.written(["auth", "mode"])) return;
  yield sources.problem(
    ["listen", "public"],
    `${sources.called(["listen", "public"])} is ${addressText(listen.public)}, which other machines can reach, but auth.mode is not written`,
    'write mode = "keys" under [auth] and name a keys file, or mode = "none" if anybody may call',
  );
}

function* openAdminNeedsToken({ listen, auth }: Values, sources: Sources) {
  if (isLoopback(listen.admin) || sources.written(["auth", "admin_token_file"]) || auth.admin_token_file)
    return;
  yield sources.problem(
    ["listen", "admin"],
    `${sources.called(["listen", "admin"])} is ${addressText(listen.admin)}, which other machines can reach, but there is no admin token`,
    "write admin_token_file under [auth], or listen on 127.0.0.1",
  );
}

function* listenersDiffer({ listen }: Values, sources: Sources) {
  const pairs = [
    ["public", "admin"],
    ["public", "gossip"],
    ["admin", "gossip"],
  ] as const;
  for (const [left, right] of pairs) {
    const address = listen[right];
    if (address === undefined || !collide(listen[left], address)) continue;
    yield sources.problem(
      ["listen", sources.written(["listen", right]) ? right : left],
      `listen.${left} and listen.${right} both take port ${address.port}`,
      "give each a port of its own; a flood on one must not silence the other",
    );
  }
}

function collide(left: Address, right: Address): boolean {
  if (left.port !== right.port || left.port === 0) return false;
  return left.host === right.host || isEveryInterface(left) || isEveryInterface(right);
}

function* keysNeedFile({ auth }: Values, sources: Sources) {
  if (auth.mode !== "keys" || auth.keys_file !== undefined) return;
  yield sources.problem(
    ["auth", "mode"],
    `${sources.called(["auth", "mode"])} is "keys", but no keys file is named`,
    "write keys_file under [auth], or hand the file over with systemd's LoadCredential=keys:FILE; to check a file for the unit, say CREDENTIALS_DIRECTORY=/etc/tierline",
  );
}

function* keysFileNeedsMode({ auth }: Values, sources: Sources) {
  if (auth.mode !== "none" || auth.keys_file === undefined) return;
  yield sources.problem(
    ["auth", "keys_file"],
    `${sources.called(["auth", "keys_file"])} is written, but auth.mode is "none": nobody is asked for a key`,
    'write mode = "keys" under [auth]',
  );
}

function* tlsNeedsBoth({ tls }: Values, sources: Sources) {
  if ((tls.cert_file === undefined) === (tls.key_file === undefined)) return;
  const [has, lacks] = tls.key_file === undefined ? ["cert_file", "key_file"] : ["key_file", "cert_file"];
  yield sources.problem(
    ["tls", has],
    `${sources.called(["tls", has])} is written, but tls.${lacks} is not`,
    "HTTPS needs both; leave both out for plain HTTP",
  );
}

function* engineNamesDiffer({ engine }: Values, sources: Sources) {
  const first = new Map<string, number>();
  for (const [index, { name }] of engine.entries()) {
    const earlier = first.get(name);
    if (earlier === undefined) first.set(name, index);
    else {
      const { line } = sources.problem(["engine", earlier, "name"], "");
      yield sources.problem(
        ["engine", index, "name"],
        `two engines are named ${JSON.stringify(name)}`,
        `the first is on line ${line}; each needs a name of its own`,
      );
    }
  }
}

function* engineUrlsDiffer({ engine }: Values, sources: Sources) {
  const first = new Map<string, string>();
  for (const [index, { name, url }] of engine.entries()) {
    const { origin } = new URL(url);
    const earlier = first.get(origin);
    if (earlier === undefined) first.set(origin, name);
    else {
      yield sources.problem(
        ["engine", index, "url"],
        `engine ${JSON.stringify(name)} has the same address as ${JSON.stringify(earlier)}`,
        "one engine written twice is given twice its slots",
      );
    }
  }
}

function* someEngine({ engine, listen, tier }: Values) {
  // In a fleet it may be a door to the others' engines, and jobs on SageMaker need none.
  if (engine.length > 0 || listen.gossip !== undefined || tier.bronze.runner === "sagemaker") return;
  yield {
    message: "there is no [[engine]], so every request will be refused with no_endpoint",
    hint: 'write [[engine]] with tier, kind and url, such as "gold", "vllm" and "http://127.0.0.1:8000"',
  };
}

function* aliasesAreNames({ aliases }: Values, sources: Sources) {
  const taken: readonly string[] = [...tiers, ...slaClasses];
  for (const name of Object.keys(aliases)) {
    if (taken.includes(name)) {
      const kind = slaClasses.some((sla) => sla === name) ? "an SLA class" : "a tier";
      yield sources.keyProblem(
        ["aliases", name],
        `the alias ${name} has the name of ${kind}`,
        "callers can already say it as a model; give the alias another name",
      );
    } else if (!/^\S{1,128}$/.test(name)) {
      const what = `the alias ${JSON.stringify(name)} is no name for a model`;
      yield sources.keyProblem(["aliases", name], what, "1 to 128 characters without spaces");
    }
  }
}

function* aliasesLeadSomewhere({ aliases, engine, listen, tier: { bronze } }: Values, sources: Sources) {
  // A peer may have what this host has not.
  if (listen.gossip !== undefined) return;
  for (const [name, { tier, model }] of Object.entries(aliases)) {
    if (tier === "bronze" && bronze.runner !== undefined) continue;
    const serving = engine.filter((one) => one.tier === tier);
    if (serving.length === 0) {
      yield sources.problem(
        ["aliases", name, "tier"],
        `the alias ${name} means ${tier}, which has no engine here`,
        "requests for it go to the next tier of their ladder, where there is one",
      );
    } else if (model !== undefined && serving.every(({ models }) => models && !models.includes(model))) {
      yield sources.problem(
        ["aliases", name, "model"],
        `the alias ${name} means ${model}, which no ${tier} engine lists under models`,
        `add it to the engine that serves it, or correct the name`,
      );
    }
  }
}

function* rungsDiffer({ sla }: Values, sources: Sources) {
  for (const name of slaClasses) {
    for (const [index, rung] of sla[name].ladder.entries()) {
      if (sla[name].ladder.indexOf(rung) === index) continue;
      const called = sources.called(["sla", name, "ladder"]);
      yield sources.problem(
        ["sla", name, "ladder", index],
        `${called} names ${rung} twice`,
        "a request climbs each tier once",
      );
    }
  }
}

function* firstByteWithinTotal({ sla }: Values, sources: Sources) {
  for (const name of slaClasses) {
    const { first_byte_ms, total_ms } = sla[name];
    if (first_byte_ms <= total_ms) continue;
    const path = ["sla", name, "first_byte_ms"];
    yield sources.problem(
      path,
      `${sources.called(path)} is ${first_byte_ms}, longer than sla.${name}.total_ms, ${total_ms}`,
      "the first byte is a part of the whole: shorten it, or allow more for the whole",
    );
  }
}
