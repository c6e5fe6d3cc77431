// Situations and the exact words that they earn, position included. Read it as the manual of our error messages.

import type { Machine } from "../../src/config/machine.ts";
import { engine } from "./load-text.ts";

export interface Refusal {
  readonly situation: string;
  readonly text: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly machine?: Machine;
  readonly says: readonly string[];
}

const keyed = '[auth]\nmode = "keys"\nkeys_file = "/keys"\n';
const oneKey = { "/keys": "lobby:k\n" };

export const refusals: readonly Refusal[] = [
  // The text is no TOML.
  {
    situation: "text without quotes",
    text: "[[engine]]\ntier = gold\n",
    says: ['tierline.toml:2:8: gold is not a TOML value\n  text stands in quotes: tier = "gold"'],
  },
  {
    situation: "a size without quotes",
    text: "[limits]\n  body_bytes = 4MB # small\n",
    says: ['tierline.toml:2:16: 4MB is not a TOML value\n  text stands in quotes: body_bytes = "4MB"'],
  },
  {
    situation: "a key without a value",
    text: "[host]\nname =\n[log]\n",
    says: ["tierline.toml:2:6: the key has no value"],
  },
  {
    situation: "a table written twice",
    text: '[log]\nlevel = "info"\n[log]\n',
    says: [
      "tierline.toml:3:2: this is written twice\n  keep one of the two; each engine of a list starts with [[engine]]",
    ],
  },
  {
    situation: "a key written twice",
    text: "[drain]\ndeadline_ms = 5\ndeadline_ms = 6\n",
    says: [
      "tierline.toml:3:1: this is written twice\n  keep one of the two; each engine of a list starts with [[engine]]",
    ],
  },
  {
    situation: "a bracket missing",
    text: "[log\n",
    says: ["tierline.toml:1:4: the ] that ends the table's name is missing"],
  },
  {
    situation: "a quote missing",
    text: '[log]\nlevel = "info\n',
    says: ["tierline.toml:2:14: the quote that ends the text is missing"],
  },

  // Nobody knows the key.
  {
    situation: "a slip in a key",
    text: '[listen]\npulbic = "127.0.0.1:1"\n',
    says: ["tierline.toml:2:1: unknown key pulbic in [listen]\n  did you mean public?"],
  },
  {
    situation: "a slip in a table",
    text: '[engin]\nurl = "x"\n',
    says: ["tierline.toml:1:2: unknown table [engin]\n  did you mean [[engine]]?"],
  },
  {
    situation: "a slip in a table within a table",
    text: "[sla.realtim]\n",
    says: ["tierline.toml:1:6: unknown table [sla.realtim]\n  did you mean [sla.realtime]?"],
  },
  {
    situation: "a key in another table than its own",
    text: `${engine}body_bytes = 3\n`,
    says: ["tierline.toml:5:1: unknown key body_bytes in [[engine]]\n  body_bytes belongs in [limits]"],
  },
  {
    situation: "a key like no other",
    text: "[drain]\nwheelbarrow = 3\n",
    says: ["tierline.toml:2:1: unknown key wheelbarrow in [drain]\n  known here: deadline_ms"],
  },
  {
    situation: "a key outside every table",
    text: 'url = "x"\n',
    says: ["tierline.toml:1:1: unknown key url outside every table\n  url belongs in [[engine]]"],
  },
  {
    situation: "a slip inside an inline table",
    text: `${engine}[aliases]\nfast = { teir = "gold" }\n`,
    says: [
      'tierline.toml:6:8: [aliases.fast] has no tier\n  add tier = "gold", or what it is for you',
      "tierline.toml:6:10: unknown key teir in [aliases.fast]\n  did you mean tier?",
    ],
  },
  {
    situation: "a key misspelt in the table of a caller's key",
    text: `${keyed}[auth.key.lobby]\nrequest_per_second = 3\n`,
    files: oneKey,
    says: [
      "tierline.toml:5:1: unknown key request_per_second in [auth.key.lobby]\n  did you mean requests_per_second?",
    ],
  },

  // The value is none.
  {
    situation: "an engine without anything",
    text: "[[engine]]\n",
    says: [
      '[[engine]] has no tier\n  add tier = "gold", or what it is for you',
      '[[engine]] has no kind\n  add kind = "vllm", or what it is for you',
      '[[engine]] has no url\n  add url = "http://127.0.0.1:8000", or what it is for you',
    ].map((says) => `tierline.toml:1:3: ${says}`),
  },
  {
    situation: "a slip in one of the choices",
    text: engine.replace("vllm", "vlm"),
    says: [
      'tierline.toml:3:8: engine.kind must be one of "vllm", "tensorrt-llm", "llama-cpp", "openai", not "vlm"\n  did you mean "vllm"?',
    ],
  },
  {
    situation: "an engine on bronze",
    text: engine.replace("gold", "bronze"),
    says: ['tierline.toml:2:8: engine.tier must be one of "gold", "silver", not "bronze"'],
  },
  {
    situation: "an engine's URL with a path",
    text: engine.replace(":8000", ":8000/v1"),
    says: [
      'tierline.toml:4:7: engine.url must be the address of a server, such as "http://127.0.0.1:8000", not "http://127.0.0.1:8000/v1"\n  leave out what follows the port: tierline adds the paths, /v1 among them',
    ],
  },
  {
    situation: "an engine's URL without a scheme",
    text: engine.replace("http://", ""),
    says: [
      'tierline.toml:4:7: engine.url must be the address of a server, such as "http://127.0.0.1:8000", not "127.0.0.1:8000"\n  start it with http:// or https://',
    ],
  },
  {
    situation: "a port without an address",
    text: "[listen]\npublic = 8010\n",
    says: [
      'tierline.toml:2:10: listen.public must be an address with a port, such as "127.0.0.1:8010" or "[::1]:8010", not 8010\n  say on which address: 127.0.0.1 for this machine, 0.0.0.0 for all',
    ],
  },
  {
    situation: "a drain as long as a service manager's patience",
    text: "[drain]\ndeadline_ms = 10_000\n",
    says: [
      "tierline.toml:2:15: drain.deadline_ms must be a whole number of milliseconds from 0 to 9999, not 10000",
    ],
  },
  {
    situation: "a size in nobody's unit",
    text: '[limits]\nbody_bytes = "4 heaps"\n',
    says: [
      'tierline.toml:2:14: limits.body_bytes must be a size from "1KB" to "1GiB", such as "4MB" or "512KiB", not "4 heaps"',
    ],
  },
  {
    situation: "no tier on a rung",
    text: '[sla.realtime]\nladder = ["gold",\n  "platinum"]\n',
    says: [
      'tierline.toml:3:3: sla.realtime.ladder must be a list of tiers, such as ["gold", "silver"], not "platinum"',
    ],
  },
  {
    situation: "one engine's brackets missing",
    text: '[engine]\nurl = "x"\n',
    says: [
      "tierline.toml:1:2: engine must be a list of tables, not a table\n  write [[engine]] above the settings of each",
    ],
  },
  {
    situation: "text where a table should be",
    text: `${engine}[aliases]\nfast = "gold"\n`,
    says: ['tierline.toml:6:8: aliases.fast must be a table, not "gold"\n  such as { tier = "gold" }'],
  },
  {
    situation: "two errors in two tables",
    text: '[log]\nlevel = "inof"\n[tls]\ncert_file = "c"\n',
    files: { c: "-----BEGIN CERTIFICATE-----" },
    says: [
      'tierline.toml:2:9: log.level must be one of "trace", "debug", "info", "warn", "error", "fatal", "silent", not "inof"\n  did you mean "info"?',
      "tierline.toml:4:13: tls.cert_file is written, but tls.key_file is not\n  HTTPS needs both; leave both out for plain HTTP",
    ],
  },

  // The environment and flags.
  {
    situation: "a bad value in the environment",
    text: "",
    env: { TIERLINE_SLA_REALTIME_TOTAL_MS: "soon" },
    says: [
      'TIERLINE_SLA_REALTIME_TOTAL_MS must be a whole number of milliseconds from 1 to 600000, not "soon"',
    ],
  },
  {
    situation: "bad values in variables that are older than tierline",
    text: "",
    env: {
      DISABLE_RESULT_CACHE: "maybe",
      CACHE_MAX_SIZE: "1.5",
      CACHE_MAX_MEMORY_MB: "lots",
      CACHE_TTL_SECONDS: "0",
    },
    says: [
      'DISABLE_RESULT_CACHE must be true or false, not "maybe"',
      "CACHE_TTL_SECONDS must be a number of seconds from 0.001 to 31536000, not 0",
      'CACHE_MAX_SIZE must be a whole number from 1 to 10000000, not "1.5"',
      'CACHE_MAX_MEMORY_MB must be a number of megabytes from 0.001 to 1000000, not "lots"',
    ],
  },
  {
    situation: "a share that is none",
    text: "[intents]\nengine_share = 1.5\n",
    says: ["tierline.toml:2:16: intents.engine_share must be a number above 0 and at most 1, not 1.5"],
  },
  {
    situation: "a key of a cache outside its table",
    text: "[cache]\nenabled = false\n",
    says: ["tierline.toml:2:1: unknown key enabled in [cache]\n  enabled belongs in [cache.result]"],
  },
  {
    situation: "a bad flag",
    text: "",
    flags: { public: "8010" },
    says: [
      '--public must be an address with a port, such as "127.0.0.1:8010" or "[::1]:8010", not "8010"\n  say on which address: 127.0.0.1 for this machine, 0.0.0.0 for all',
    ],
  },
  {
    situation: "an open address from the environment without auth.mode",
    text: "",
    env: { TIERLINE_LISTEN_PUBLIC: "0.0.0.0:8010" },
    says: [
      'TIERLINE_LISTEN_PUBLIC is 0.0.0.0:8010, which other machines can reach, but auth.mode is not written\n  write mode = "keys" under [auth] and name a keys file, or mode = "none" if anybody may call',
    ],
  },

  // One setting demands another.
  {
    situation: "an open public address without auth.mode",
    text: '[listen]\npublic = "0.0.0.0:8010"\n',
    says: [
      'tierline.toml:2:10: listen.public is 0.0.0.0:8010, which other machines can reach, but auth.mode is not written\n  write mode = "keys" under [auth] and name a keys file, or mode = "none" if anybody may call',
    ],
  },
  {
    situation: "an open admin address without a token",
    text: '[listen]\nadmin = "[::]:8011"\n',
    says: [
      "tierline.toml:2:9: listen.admin is [::]:8011, which other machines can reach, but there is no admin token\n  write admin_token_file under [auth], or listen on 127.0.0.1",
    ],
  },
  {
    situation: "two listeners on one port",
    text: '[listen]\nadmin = "127.0.0.1:8010"\n',
    says: [
      "tierline.toml:2:9: listen.public and listen.admin both take port 8010\n  give each a port of its own; a flood on one must not silence the other",
    ],
  },
  {
    situation: "an SLA class misspelt, and a limit of nothing",
    text: `${keyed}[auth.key.lobby]\nsla = ["async", "realtme"]\nrequests_per_second = 0\nburst = 1.5\n`,
    files: oneKey,
    says: [
      'tierline.toml:5:17: auth.key.lobby.sla must be a list of SLA classes, such as ["interactive", "async"], not "realtme"\n  did you mean "realtime"?',
      "tierline.toml:6:23: auth.key.lobby.requests_per_second must be a number above 0 and at most 1000000, not 0",
      "tierline.toml:7:9: auth.key.lobby.burst must be a whole number from 1 to 1000000, not 1.5",
    ],
  },
  {
    situation: "limits of no key by name",
    text: `${keyed}[auth.key]\nsla = ["async"]\n`,
    files: oneKey,
    says: [
      'tierline.toml:5:7: auth.key.sla must be a table, not ["async"]\n  give it a table with a name: [auth.key.NAME]',
    ],
  },
  {
    situation: "limits of a name that no key can have",
    text: `${keyed}[auth.key."the lobby"]\nrequests_per_second = 3\n`,
    files: oneKey,
    says: [
      'tierline.toml:4:11: [auth.key."the lobby"] is no name that a key can have\n  names in the keys file are letters, digits, ".", "_" and "-", at most 64 long',
    ],
  },
  {
    situation: "limits of keys that nobody is asked for",
    text: "[auth.key.lobby]\nrequests_per_second = 3\n[auth.key.ci]\nrequests_per_second = 3\n",
    says: [
      'tierline.toml:1:11: [auth.key.lobby] is written, but auth.mode is "none": nobody is asked for a key, so it would hold nobody to anything\n  write mode = "keys" and keys_file under [auth], or take it out',
    ],
  },
  {
    situation: "keys asked for and none named",
    text: '[auth]\nmode = "keys"\n',
    says: [
      'tierline.toml:2:8: auth.mode is "keys", but no keys file is named\n  write keys_file under [auth], or hand the file over with systemd\'s LoadCredential=keys:FILE; to check a file for the unit, say CREDENTIALS_DIRECTORY=/etc/tierline',
    ],
  },
  {
    situation: "a keys file that is not there",
    text: '[auth]\nmode = "keys"\nkeys_file = "/keys"\n',
    says: ["tierline.toml:3:13: auth.keys_file: /keys does not exist\n  make it, or name another"],
  },
  {
    situation: "a keys file that may not be read",
    text: '[auth]\nmode = "keys"\nkeys_file = "/keys"\n',
    files: { "/keys": "unreadable" },
    says: [
      "tierline.toml:3:13: auth.keys_file: /keys may not be read by this user\n  let the user that runs tierline read it",
    ],
  },
  {
    situation: "a systemd credential that is not there",
    text: '[auth]\nmode = "keys"\n',
    env: { CREDENTIALS_DIRECTORY: "/run/credentials" },
    says: [
      "tierline.toml:1:2: auth.keys_file: /run/credentials/keys does not exist\n  make it, or name another",
    ],
  },
  {
    situation: "a token file with two words",
    text: '[auth]\nadmin_token_file = "/token"\n',
    files: { "/token": "open sesame\n" },
    says: [
      "tierline.toml:2:20: auth.admin_token_file: /token holds no secret that can be sent\n  it must hold the secret alone, on one line, without spaces",
    ],
  },
  {
    situation: "a certificate that is none",
    text: '[tls]\ncert_file = "c"\nkey_file = "k"\n',
    files: { c: "hello", k: "-----BEGIN PRIVATE KEY-----" },
    says: ["tierline.toml:2:13: tls.cert_file: c is not PEM\n  it must hold -----BEGIN CERTIFICATE-----"],
  },
  {
    situation: "two engines of one name",
    text: `${engine}name = "a"\n${engine.replace("8000", "8001")}name = "a"\n`,
    says: [
      'tierline.toml:10:8: two engines are named "a"\n  the first is on line 5; each needs a name of its own',
    ],
  },
  {
    situation: "an alias with a tier's name, and one with an SLA class's",
    text: `${engine}[aliases]\nsilver = { tier = "gold" }\nasync = { tier = "gold" }\n`,
    says: [
      "tierline.toml:6:1: the alias silver has the name of a tier\n  callers can already say it as a model; give the alias another name",
      "tierline.toml:7:1: the alias async has the name of an SLA class\n  callers can already say it as a model; give the alias another name",
    ],
  },
  {
    situation: "what JavaScript has for every object, where people choose the names",
    text: [
      `${engine}${keyed}[auth.key.__proto__]\nrequests_per_second = 3\n`,
      '[aliases]\n__proto__ = { tier = "gold" }\n',
      "[intents.archetype.__proto__]\nprompt = 3\n",
      '[intents.archetype.guard]\nprompt = "A guard."\nactions = ["a", "b"]\ndefault = "a"\n',
      "feature.__proto__ = { bool = true }\n",
    ].join(""),
    files: oneKey,
    says: [
      ["8:11", "auth.key.__proto__"],
      ["11:1", "aliases.__proto__"],
      ["12:20", "intents.archetype.__proto__"],
      ["18:9", "intents.archetype.guard.feature.__proto__"],
    ].map(
      ([place, name]) =>
        `tierline.toml:${place}: ${name} is a name that nothing can have\n  JavaScript keeps it for itself; take another`,
    ),
  },
  {
    situation: "what JavaScript has for every object, where names are given",
    text: "[sla.__proto__]\ntotal_ms = 3\n[tier.gold]\n__proto__ = 3\n[__proto__]\n",
    says: [
      "tierline.toml:1:6: unknown table [sla.__proto__]\n  known here: realtime, interactive, async",
      "tierline.toml:4:1: unknown key __proto__ in [tier.gold]\n  known here: target_p95_ms, balancer, hedge",
      "tierline.toml:5:2: unknown table [__proto__]\n  known here: [host], [listen], [auth], [limits], [log], [metrics], [tls], [cors], [[engine]], [aliases], [sla], [tier], [intents], [cache], [cluster], [jobs], [state], [drain]",
    ],
  },
  {
    situation: "a rung twice",
    text: '[sla.realtime]\nladder = ["gold", "gold"]\n',
    says: ["tierline.toml:2:19: sla.realtime.ladder names gold twice\n  a request climbs each tier once"],
  },
  {
    situation: "a first byte later than the last",
    text: "[sla.realtime]\nfirst_byte_ms = 3000\n",
    says: [
      "tierline.toml:2:17: sla.realtime.first_byte_ms is 3000, longer than sla.realtime.total_ms, 2000\n  the first byte is a part of the whole: shorten it, or allow more for the whole",
    ],
  },
];

export const warnings: readonly Refusal[] = [
  {
    situation: "no engine at all",
    text: "",
    says: [
      'there is no [[engine]], so every request will be refused with no_endpoint\n  write [[engine]] with tier, kind and url, such as "gold", "vllm" and "http://127.0.0.1:8000"',
    ],
  },
  {
    situation: "an alias to a tier without engines",
    text: `${engine}[aliases]\nteller = { tier = "silver" }\n`,
    says: [
      "tierline.toml:6:19: the alias teller means silver, which has no engine here\n  requests for it go to the next tier of their ladder, where there is one",
    ],
  },
  {
    situation: "an alias to a model that nobody lists",
    text: `${engine}models = ["a"]\n[aliases]\nfast = { tier = "gold", model = "b" }\n`,
    says: [
      "tierline.toml:7:33: the alias fast means b, which no gold engine lists under models\n  add it to the engine that serves it, or correct the name",
    ],
  },
  {
    situation: "one engine written twice",
    text: `${engine}${engine}`,
    says: [
      'tierline.toml:8:7: engine "vllm-2" has the same address as "vllm"\n  one engine written twice is given twice its slots',
    ],
  },
  {
    situation: "a keys file that nobody is asked for",
    text: `${engine}[auth]\nkeys_file = "/keys"\n`,
    says: [
      'tierline.toml:6:13: auth.keys_file is written, but auth.mode is "none": nobody is asked for a key\n  write mode = "keys" under [auth]',
    ],
  },
  {
    situation: "limits of a key that is not there, be it a slip or a key that was taken away",
    text: `${engine}${keyed}[auth.key.loby]\nsla = ["async"]\n[auth.key.arena]\nsla = ["async"]\n`,
    files: oneKey,
    says: [
      "tierline.toml:8:11: [auth.key.loby] is for a key that /keys does not have, so it holds nobody to anything\n  did you mean lobby?",
      "tierline.toml:10:11: [auth.key.arena] is for a key that /keys does not have, so it holds nobody to anything\n  correct the name, or take the table out",
    ],
  },
  {
    situation: "limits of a key that is nearly there, by a name that JavaScript has for every object",
    text: `${engine}${keyed}[auth.key.constructr]\nsla = ["async"]\n`,
    files: { "/keys": "constructor:k\n" },
    says: [
      "tierline.toml:8:11: [auth.key.constructr] is for a key that /keys does not have, so it holds nobody to anything\n  did you mean constructor?",
    ],
  },
  {
    situation: "a burst without a rate",
    text: `${engine}${keyed}[auth.key.lobby]\nburst = 3\n`,
    files: oneKey,
    says: [
      "tierline.toml:9:9: auth.key.lobby.burst is written, but requests_per_second is not, so there is no limit\n  write requests_per_second beside it",
    ],
  },
  {
    situation: "an archetype that asks a model which nobody lists",
    text: `${engine}models = ["a"]
[intents.archetype.guard]
prompt = "A guard."
actions = ["patrol"]
default = "patrol"
model = "b"
[intents.archetype.merchant]
prompt = "A merchant."
actions = ["sell"]
default = "sell"
model = "silver"
[intents.archetype.dragon]
prompt = "A dragon."
actions = ["sleep"]
default = "sleep"
model = "npc-fast"
[aliases]
npc-fast = { tier = "gold" }
`,
    says: [
      "tierline.toml:10:9: the archetype guard asks b, which no engine lists under models\n  name a model, an alias or a tier; until then its default answers",
    ],
  },
  {
    situation: "a setting's two variables, both set",
    text: engine,
    env: { TIERLINE_CACHE_RESULT_MAX_ENTRIES: "5", CACHE_MAX_SIZE: "6" },
    says: [
      "CACHE_MAX_SIZE does nothing, because TIERLINE_CACHE_RESULT_MAX_ENTRIES is set too\n  take out one of the two",
    ],
  },
  {
    situation: "unknown variables",
    text: engine,
    env: {
      TIERLINE_LOG_LEVLE: "x",
      TIERLINE_ADMIN: "x",
      TIERLINE_CONFIG: "x",
      PATH: "x",
    },
    says: [
      "TIERLINE_LOG_LEVLE is no setting of tierline and does nothing\n  did you mean TIERLINE_LOG_LEVEL?",
    ],
  },
];
