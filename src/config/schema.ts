// The one table of settings: what exists, what it may be, what it is when nobody says. The check, the defaults,
// the environment's names, print-config and docs/configuration.md are all read off it.

import { z } from "zod";
import { cacheBounds } from "../base/cache-bounds.ts";
import { engineKinds } from "../engines/engine.ts";
import { namePattern } from "../fleet/advert.ts";
import { tiers } from "../fleet/endpoint.ts";
import { actionsMost, picks } from "../intents/archetype.ts";
import type { JobRunner } from "../jobs/runner.ts";
import { balancerNames } from "../routing/balancers/balancers.ts";
import { slaClasses } from "../routing/sla.ts";
import { logLevels } from "../telemetry/log.ts";
import { optional, section, setting } from "./declare.ts";
import {
  address,
  advertised,
  byteSize,
  choice,
  filePath,
  finiteNumber,
  folderPath,
  listOf,
  longText,
  maybeEmptyListOf,
  number,
  numberAboveZero,
  onlyTrue,
  origin,
  s3Place,
  seed,
  serverUrl,
  share,
  text,
  wholeNumber,
  word,
  yesNo,
  yesNoReversed,
} from "./kinds.ts";
import type { Table } from "./path.ts";

/** As JobRunner has them. */
const jobRunners = ["sagemaker", "local"] as const satisfies readonly JobRunner["name"][];

/** An engine sits on a GPU; bronze is not a place for one, only the last rung of a ladder. */
const engineTiers = ["gold", "silver"] as const satisfies readonly (typeof tiers)[number][];

/** No request lives longer than ten minutes, whatever its caller asks for. */
const longestMs = 600_000;

const longestKeptMs = cacheBounds.ttlSeconds.to * 1000;

/** Of one feature. Each bucket multiplies the situations, and with them the misses: more is a slip. */
const bucketsMost = 256;

/** As adverts carry it, which is also what a label and a header can hold. */
const name = () =>
  text(
    'a name of letters, digits, ".", "_" and "-", at most 64 long, the first a letter or a digit',
    namePattern,
  );

const ladder = (fallback: readonly (typeof tiers)[number][]) =>
  setting(listOf(choice(tiers), 'a list of tiers, such as ["gold", "silver"]'), {
    about:
      "The tiers that a request of this class may climb, first choice first. A tier without engines is skipped.",
    fallback,
  });

const sla = (
  about: string,
  fallback: { ladder: readonly (typeof tiers)[number][]; firstByteMs: number; totalMs: number },
) =>
  section(about, {
    ladder: ladder(fallback.ladder),
    first_byte_ms: setting(wholeNumber(1, longestMs, "milliseconds"), {
      about:
        "How long one attempt may take until the first byte of its answer. Not written, it is never more than `total_ms`.",
      fallback: fallback.firstByteMs,
    }),
    total_ms: setting(wholeNumber(1, longestMs, "milliseconds"), {
      about: "How long a request may take until its last byte, where the caller sets no deadline.",
      fallback: fallback.totalMs,
    }),
  });

const tier = (about: string, targetP95Ms: number) =>
  section(about, {
    target_p95_ms: setting(wholeNumber(1, longestMs, "milliseconds"), {
      about:
        "The latency that this tier is meant to keep at the 95th percentile. Shown beside what it does keep.",
      fallback: targetP95Ms,
    }),
    balancer: setting(choice(balancerNames), {
      about: "How to choose among this host's engines of the tier that all have room.",
      fallback: "least-pressure",
    }),
    hedge: setting(yesNo(), {
      about:
        "Whether a stream or an NPC's question whose first byte is unusually late is asked a second time, of another endpoint of the tier that has room. The first answer counts. Pays from the budget of the retries.",
      fallback: true,
    }),
  });

const engine = section("One inference engine on this host; write the table once for each.", {
  name: setting(name(), {
    about: "Its name in logs, metrics and `explain`, after the host's: `gold-1/vllm`.",
    otherwise: "the kind, then `vllm-2`, `vllm-3`, …",
    example: "vllm",
  }),
  tier: setting(choice(engineTiers), { about: "The tier that it serves.", example: "gold" }),
  kind: setting(choice(engineKinds), { about: "The software that it is.", example: "vllm" }),
  url: setting(serverUrl(), {
    about: "Where it listens: scheme, host and port. The paths are the router's to choose.",
    example: "http://127.0.0.1:8000",
  }),
  models: optional(
    listOf(text("the name of a model", /^\S+$/), 'a list of model names, such as ["qwen-3b"]'),
    {
      about: "The models that it serves.",
      otherwise: "what the engine lists",
      example: ["Qwen/Qwen2.5-3B-Instruct-AWQ"],
    },
  ),
  max_concurrent: setting(wholeNumber(1, 65_536), {
    about: "Slots: requests that it works on at once. Utilisation is measured on them.",
    fallback: 64,
  }),
  max_queue: setting(wholeNumber(0, 65_536), {
    about: "Places in its waiting room, which is ordered by deadline.",
    fallback: 64,
  }),
  api_key_file: optional(filePath(), {
    about: "A file with the key that the engine asks for. Callers' own keys never reach it.",
    otherwise: "no key is sent",
    example: "/etc/tierline/engine-key",
  }),
});

const alias = section("A model name that callers may use, and what it means here.", {
  tier: setting(choice(tiers), { about: "The tier to try first.", example: "gold" }),
  model: optional(text("the name of a model", /^\S+$/), {
    about: "The model to ask for.",
    otherwise: "whatever the tier serves",
    example: "Qwen/Qwen2.5-7B-Instruct",
  }),
  sla: optional(choice(slaClasses), {
    about: "The SLA class of such requests, where the caller names none.",
    otherwise: "the tier's own: gold is realtime, silver interactive, bronze async",
    example: "interactive",
  }),
});

const feature = section(
  "One thing that an NPC of the archetype sees, by exactly one of `buckets`, `bool` and `oneof`; at most 32 of them. " +
    "Their order is the order of the situation code. Names are letters, digits, `_` and `-`, a letter first, at most 64 long.",
  {
    buckets: optional(
      listOf(
        finiteNumber(),
        `a list of 1 to ${bucketsMost - 1} ascending numbers, such as [0.2, 0.5, 0.8]`,
        bucketsMost - 1,
      ),
      {
        about:
          "A number, by the edges of its buckets: n edges make n + 1 buckets, and an edge belongs to the upper one.",
        example: [0.2, 0.5, 0.8],
      },
    ),
    unit: optional(word("a unit of measure"), {
      about: "What the numbers count, for the prompt. Only with `buckets`.",
      example: "m",
    }),
    bool: optional(onlyTrue(), { about: "Yes or no.", example: true }),
    oneof: optional(
      listOf(
        word("a value"),
        `a list of 1 to ${bucketsMost} different texts, such as ["clear", "rain"]`,
        bucketsMost,
      ),
      { about: "One of a few words.", example: ["clear", "rain", "fog"] },
    ),
  },
);

const archetype = section(
  "A kind of NPC: what it sees and what it may do. At most 1024 of them; names as those of features.",
  {
    prompt: setting(longText(16), {
      about:
        "The stable part of the prompt: who the NPC is and what it is after. What it sees and its actions are added.",
      example: "A castle guard. Keeps the gate, avoids needless fights.",
    }),
    actions: setting(
      listOf(
        word("an action"),
        `a list of 1 to ${actionsMost} different actions, such as ["patrol", "flee"]`,
        actionsMost,
      ),
      {
        about: "What it may do. Each is a letter in the engine's answer, and vLLM tells the odds of 20.",
        example: ["patrol", "flee"],
      },
    ),
    default: setting(text("the name of one of its actions", /./), {
      about: "The action when no answer is known in time; one of `actions`.",
      example: "patrol",
      whenMissing: defaultHint,
    }),
    pick: setting(choice(picks), {
      about:
        "`best`: the likeliest action. `sample`: drawn from the odds, seeded by the NPC, so that a crowd differs.",
      fallback: "best",
    }),
    temperature: setting(number(0, 2), {
      about: "Of the engine's sampling; it shapes the odds that `sample` draws from.",
      fallback: 0,
    }),
    model: optional(text("the name of a model", /^\S+$/), {
      about: "Whom to ask: a model, an alias or a tier.",
      otherwise: "whatever the ladder of `realtime` serves",
      example: "gold",
    }),
    ttl_ms: optional(wholeNumber(1, longestKeptMs, "milliseconds"), {
      about: "How long an answer of its is fresh.",
      otherwise: "`ttl_ms` of `[intents]`",
      example: 1000,
    }),
    stale_ms: optional(wholeNumber(0, longestKeptMs, "milliseconds"), {
      about: "How much longer it still answers, while a new one is fetched behind.",
      otherwise: "`stale_ms` of `[intents]`",
      example: 10_000,
    }),
    feature: z.record(z.string(), feature),
  },
  `[intents.archetype.guard]
prompt = """
A castle guard. Keeps the gate, avoids needless fights."""
actions = ["patrol", "investigate", "attack", "flee"]
default = "patrol"

[intents.archetype.guard.feature]
threat = { buckets = [0.2, 0.5, 0.8] }
player_distance = { buckets = [2, 5, 10, 20], unit = "m" }
alerted = { bool = true }
weather = { oneof = ["clear", "rain", "fog"] }`,
);

/** The default can only be one of these, so they are worth repeating. */
function defaultHint({ actions }: Table): string | undefined {
  const known = Array.isArray(actions) ? actions.filter((action) => typeof action === "string") : [];
  const [first, ...others] = known.map((action) => JSON.stringify(action));
  if (first === undefined) return undefined;
  return `add default = ${first}${others.length === 0 ? "" : `, or another of its actions: ${others.join(", ")}`}`;
}

/** A list of more is no longer written by hand; and who knows one host is told of the others. */
const seedsMost = 64;

const cluster = section(
  "The routers that act as one; any of them answers for all. Without `listen.gossip` this router stays alone. " +
    "[Operations](operations.md#a-fleet) has the steps.",
  {
    fleet: optional(name(), {
      about: "The name of the fleet, the same on all its routers. Two fleets never merge.",
      otherwise: "must be written where `listen.gossip` is",
      example: "bodybroker-prod",
    }),
    seeds: setting(
      maybeEmptyListOf(
        seed(),
        'a list of other routers\' gossip addresses, such as ["10.0.1.11:8012", "dns:tierline.internal:8012"]',
        seedsMost,
      ),
      {
        about:
          "Where to look for the other routers: `HOST:PORT`, or `dns:NAME:PORT` for all that the DNS says of a full name, be it SRV records, which bring their own ports, or addresses. All routers may have the same list; one that can be reached is enough.",
        fallback: [],
      },
    ),
    advertise: optional(advertised(), {
      about:
        "The host where the others reach this router, and the port of its public listener where that is another one outside. With `[tls]` they call `https://` there, so write a name that the certificate has.",
      otherwise: "the address of this machine that leads to the seeds, and the ports that it listens on",
      example: "10.0.1.10",
    }),
    secret_file: optional(filePath(), {
      about:
        "A file with the secret of the fleet, the same on all its routers; during a change two lines, the one to sign with first. Read again on SIGHUP.",
      otherwise: "`$CREDENTIALS_DIRECTORY/gossip.key`, else it must be written where `listen.gossip` is",
      example: "/etc/tierline/gossip.key",
    }),
  },
);

const bronze = section(
  "Work that may take minutes. Without a runner there are no jobs, and SLA `async` is refused. " +
    "A job is durable on this host's disk; with `manifests` it survives the loss of the host as well.",
  {
    runner: optional(choice(jobRunners), {
      about:
        "Who does it. `sagemaker`: an endpoint for asynchronous inference, which may scale from zero. `local`: the engines of this fleet, while hardly anybody needs them.",
      otherwise: "there are no jobs",
      example: "sagemaker",
    }),
    endpoint: optional(text("the name of a SageMaker endpoint", /^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/), {
      about: "The SageMaker endpoint.",
      otherwise: "must be written where the runner is `sagemaker`",
      example: "story-bronze",
    }),
    region: optional(text('an AWS region, such as "us-east-1"', /^[a-z]{2,}(-[a-z]+)+-\d+$/), {
      about: "The AWS region of the endpoint and the buckets.",
      otherwise: "must be written where the runner is `sagemaker`",
      example: "us-east-1",
    }),
    output: optional(s3Place(), {
      about: "Where the endpoint puts results: its own `S3OutputPath`.",
      otherwise: "must be written where the runner is `sagemaker`",
      example: "s3://bucket/results",
    }),
    input: optional(s3Place(), {
      about: "Where requests over 128,000 bytes go, and with `manifests` all of them.",
      otherwise: "a request over 126,976 bytes is refused with 413",
      example: "s3://bucket/inputs",
    }),
    manifests: optional(s3Place(), {
      about:
        "Where each job is written down before it is accepted, so that another host of the fleet finishes it if this one is lost. The same on all hosts.",
      otherwise: "a job is as durable as this host's disk",
      example: "s3://bucket/manifests",
    }),
    models: optional(
      listOf(text("the name of a model", /^\S+$/), 'a list of model names, such as ["story-70b"]'),
      {
        about: "The models of the endpoint; the first is asked for where a caller names none.",
        otherwise:
          "must be written where the runner is `sagemaker`; with `local` it is what the fleet serves",
        example: ["story-70b"],
      },
    ),
  },
);

const jobs = section("Jobs that are accepted and not yet forgotten. Needs `[tier.bronze]`.", {
  max_queued: setting(wholeNumber(1, 100_000), {
    about:
      "Jobs that have not ended; one more is refused with 429. Each costs some memory, and its request disk. Where there is more than one key, none may have more than half of them.",
    fallback: 10_000,
  }),
  retention_hours: setting(wholeNumber(1, 720, "hours"), {
    about: "How long a job and its result are kept after its end.",
    fallback: 24,
  }),
});

/** What one router can be asked in a second, many times over. */
const requestsMost = 1_000_000;

const key = section(
  "What the keys of one name in `keys_file` may do; a name without a table may do everything. Each router of a fleet counts " +
    "for itself what comes to it, so a caller that goes to three hosts may ask three times as often. " +
    "[Operations](operations.md#keys-and-limits) has more.",
  {
    sla: optional(listOf(choice(slaClasses), 'a list of SLA classes, such as ["interactive", "async"]'), {
      about:
        "The SLA classes that it may use; anything else is answered 403. NPC intents are `realtime`, jobs are `async`.",
      otherwise: "all of them",
      example: ["interactive", "async"],
    }),
    requests_per_second: optional(numberAboveZero(requestsMost), {
      about:
        "Requests under `/v1/` that it may make, and frames on its WebSockets; one more is answered 429. A fraction is one in so many seconds.",
      otherwise: "as many as it likes",
      example: 200,
    }),
    burst: optional(wholeNumber(1, requestsMost), {
      about: "Of those, how many may come at once after a pause.",
      otherwise: "what comes in a second, at least 1",
      example: 400,
    }),
  },
  `[auth]
mode = "keys"
keys_file = "/etc/tierline/keys"

[auth.key.lobby]
sla = ["realtime", "interactive"]
requests_per_second = 200`,
);

export const configSchema = z.strictObject({
  host: section("This machine.", {
    name: setting(name(), {
      about:
        "Its name in the fleet, where no two hosts may have the same: of two, the one that started first drops out.",
      otherwise: "the EC2 instance id, elsewhere the host name",
      example: "gold-1",
    }),
    zone: optional(name(), {
      about: "Where it stands. Among peers with equal room those of the same zone are preferred.",
      otherwise: "the EC2 availability zone, elsewhere none",
      example: "us-east-1a",
    }),
  }),
  listen: section("Where the router listens. Port 0 takes a free one.", {
    public: setting(address(), {
      about: "For game clients. An address that other machines can reach needs `auth.mode` written out.",
      fallback: "127.0.0.1:8010",
      flag: "public",
    }),
    admin: setting(address(), {
      about: "For operators: `/api/*`, health, metrics. Not on loopback it needs `auth.admin_token_file`.",
      fallback: "127.0.0.1:8011",
      flag: "admin-listen",
    }),
    gossip: optional(address(), {
      about:
        "For the other routers of the fleet. Needs `fleet` and `secret_file` of `[cluster]`, and `listen.public` where they can reach it.",
      otherwise: "no cluster",
      example: "0.0.0.0:8012",
    }),
  }),
  auth: section("Who may call.", {
    mode: setting(choice(["keys", "none"]), {
      about: "`keys`: a caller needs one of the keys in `keys_file`. `none`: anybody who can connect.",
      fallback: "none",
    }),
    keys_file: optional(filePath(), {
      about:
        "Callers' keys, one `name:key` a line, during a rotation two lines of one name. Read again on SIGHUP.",
      otherwise: "`$CREDENTIALS_DIRECTORY/keys` when mode is `keys`",
      example: "/etc/tierline/keys",
    }),
    admin_token_file: optional(filePath(), {
      about: "A file with the token that the admin listener asks for, on loopback too. Read again on SIGHUP.",
      otherwise: "no token, and then admin listens on loopback only",
      example: "/etc/tierline/admin-token",
    }),
    key: z.record(z.string(), key),
  }),
  limits: section("What one request may cost, and all of them together.", {
    body_bytes: setting(byteSize("1KB", "1GiB"), {
      about: "The largest request body; a larger one is answered 413.",
      fallback: "4MB",
    }),
    memory_bytes: optional(byteSize("64MB", "1000GB"), {
      about:
        "The memory that the process may take, its sockets' buffers included. At 85 % of it the caches are halved, at 92 % answers close their connections, at 95 % new requests are refused.",
      otherwise:
        "the lower of `MemoryHigh` and `MemoryMax` of its unit, or its container's limit, else none; where both are set the lower one counts",
      example: "1700MB",
    }),
  }),
  log: section("Logs are JSON lines on stdout.", {
    level: setting(choice(logLevels), {
      about: "The least important line that is written.",
      fallback: "info",
    }),
  }),
  metrics: section("Prometheus metrics, always on the admin listener.", {
    public: setting(yesNo(), { about: "Serve `/metrics` on the public listener too.", fallback: true }),
  }),
  tls: section(
    "HTTPS on the public listener. Without both files it speaks plain HTTP. In a fleet peers call that listener too, and check the certificate: " +
      "it must be for what `cluster.advertise` says, and from an authority that they know. One of your own they know by " +
      "`NODE_EXTRA_CA_CERTS=FILE` (PEM) in their environment.",
    {
      cert_file: optional(filePath(), {
        about: "The certificate and its chain, PEM.",
        otherwise: "plain HTTP",
        example: "/etc/tierline/tls/cert.pem",
      }),
      key_file: optional(filePath(), {
        about: "Its private key, PEM.",
        otherwise: "plain HTTP",
        example: "/etc/tierline/tls/key.pem",
      }),
    },
  ),
  cors: section("Which web pages may call from a browser.", {
    origins: setting(
      maybeEmptyListOf(origin(), 'a list of origins, such as ["http://localhost:3000"], or ["*"] for any'),
      {
        about: 'Origins that are let in; `["*"]` for any, `[]` for none.',
        fallback: ["http://localhost:3000"],
      },
    ),
  }),
  engine: z.array(engine),
  aliases: z.record(z.string(), alias),
  sla: section("Limits and ladders of the SLA classes.", {
    realtime: sla("Answers inside a frame or a few.", {
      ladder: ["gold", "silver", "bronze"],
      firstByteMs: 250,
      totalMs: 2000,
    }),
    interactive: sla("Dialogue; what a request without a class gets.", {
      ladder: ["silver", "gold", "bronze"],
      firstByteMs: 2000,
      totalMs: 120_000,
    }),
    async: sla(
      "Whenever: with `[tier.bronze]` it is accepted as a job; without, refused with 503 unless another rung of its ladder has an engine.",
      {
        ladder: ["bronze"],
        firstByteMs: longestMs,
        totalMs: longestMs,
      },
    ),
  }),
  tier: section("What is common to a tier's engines.", {
    gold: tier("Small models, answers inside a frame.", 16),
    silver: tier("Larger models, answers inside a breath.", 250),
    bronze,
  }),
  intents: section("NPC intents: what an NPC does now, answered from memory within a frame.", {
    deadline_ms: setting(wholeNumber(1, 10_000, "milliseconds"), {
      about:
        "How long an intent may take, where its caller sets no deadline. Then the archetype's default answers.",
      fallback: 14,
    }),
    ttl_ms: setting(wholeNumber(1, longestKeptMs, "milliseconds"), {
      about: "How long an answer is fresh.",
      fallback: 1000,
    }),
    stale_ms: setting(wholeNumber(0, longestKeptMs, "milliseconds"), {
      about: "How much longer it still answers, while a new one is fetched behind.",
      fallback: 10_000,
    }),
    max_entries: setting(wholeNumber(cacheBounds.entries.from, cacheBounds.entries.to), {
      about: "Situations that are remembered; the one that was not asked for longest goes first.",
      fallback: 1_000_000,
    }),
    max_bytes: setting(byteSize(`${cacheBounds.memoryMb.from}MB`, `${cacheBounds.memoryMb.to}MB`), {
      about: "The memory that they may take.",
      fallback: "256MB",
    }),
    engine_share: setting(share(), {
      about:
        "The share of an engine's slots that intents may hold together, one slot at least. The rest stays for dialogue.",
      fallback: 0.5,
    }),
    archetype: z.record(z.string(), archetype),
  }),
  cache: section("Caches of whole answers.", {
    result: section("Answers of async and of deterministic requests: not streamed, `temperature` 0.", {
      enabled: setting(yesNo(), {
        about:
          "Whether answers are kept at all. `DISABLE_RESULT_CACHE=true` (or `1`, `yes`) means false here.",
        fallback: true,
        alsoEnv: { name: "DISABLE_RESULT_CACHE", fromText: yesNoReversed },
      }),
      ttl_seconds: setting(number(cacheBounds.ttlSeconds.from, cacheBounds.ttlSeconds.to, "seconds"), {
        about: "How long an answer is kept.",
        fallback: 60,
        alsoEnv: { name: "CACHE_TTL_SECONDS" },
      }),
      max_entries: setting(wholeNumber(cacheBounds.entries.from, cacheBounds.entries.to), {
        about: "Answers that are kept; the one that was not asked for longest goes first.",
        fallback: 1000,
        alsoEnv: { name: "CACHE_MAX_SIZE" },
      }),
      max_memory_mb: setting(number(cacheBounds.memoryMb.from, cacheBounds.memoryMb.to, "megabytes"), {
        about: "The memory that they may take. A megabyte is 1,000,000 bytes.",
        fallback: 512,
        alsoEnv: { name: "CACHE_MAX_MEMORY_MB" },
      }),
    }),
  }),
  cluster: z.optional(cluster),
  jobs,
  state: section("What the router keeps on disk.", {
    dir: setting(folderPath(), {
      about: "Its folder, for one router only.",
      otherwise: "`$STATE_DIRECTORY`, else `./.tierline`",
      example: "/var/lib/tierline",
    }),
  }),
  drain: section("How the router leaves.", {
    deadline_ms: setting(wholeNumber(0, 9999, "milliseconds"), {
      about:
        "How long SIGTERM waits for what is in flight. Below ten seconds, which is what service managers grant.",
      fallback: 8000,
    }),
  }),
});

/** Values as the file names them, checked and with every default filled in. */
export type Values = z.output<typeof configSchema>;
