// The one table of settings: what exists, what it may be, what it is when nobody says. The check, the defaults,
// the environment's names, print-config and docs/configuration.md are all read off it.

import { z } from "zod";
import { engineKinds } from "../engines/engine.ts";
import { tiers } from "../fleet/endpoint.ts";
import { balancerNames } from "../routing/balancers/balancers.ts";
import { slaClasses } from "../routing/sla.ts";
import { logLevels } from "../telemetry/log.ts";
import { optional, section, setting } from "./declare.ts";
import {
  address,
  byteSize,
  choice,
  filePath,
  folderPath,
  listOf,
  maybeEmptyListOf,
  origin,
  serverUrl,
  text,
  wholeNumber,
  yesNo,
} from "./kinds.ts";

/** An engine sits on a GPU; bronze is not a place for one, only the last rung of a ladder. */
const engineTiers = ["gold", "silver"] as const satisfies readonly (typeof tiers)[number][];

/** No request lives longer than ten minutes, whatever its caller asks for. */
const longestMs = 600_000;

const name = () =>
  text('a name of letters, digits, ".", "_" and "-", at most 64 long', /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);

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

export const configSchema = z.strictObject({
  host: section("This machine.", {
    name: setting(name(), { about: "Its name in the fleet.", otherwise: "the host name", example: "gold-1" }),
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
  }),
  auth: section("Who may call.", {
    mode: setting(choice(["keys", "none"]), {
      about: "`keys`: a caller needs one of the keys in `keys_file`. `none`: anybody who can connect.",
      fallback: "none",
    }),
    keys_file: optional(filePath(), {
      about: "Callers' keys, one `name:key` a line. Read again on SIGHUP.",
      otherwise: "`$CREDENTIALS_DIRECTORY/keys` when mode is `keys`",
      example: "/etc/tierline/keys",
    }),
    admin_token_file: optional(filePath(), {
      about: "A file with the token that the admin listener asks for, on loopback too. Read again on SIGHUP.",
      otherwise: "no token, and then admin listens on loopback only",
      example: "/etc/tierline/admin-token",
    }),
  }),
  limits: section("What one request may cost.", {
    body_bytes: setting(byteSize("1KB", "1GiB"), {
      about: "The largest request body; a larger one is answered 413.",
      fallback: "4MB",
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
  tls: section("HTTPS on the public listener. Without both files it speaks plain HTTP.", {
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
  }),
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
    async: sla("Whenever. Refused with 503 as long as no rung of its ladder has an engine.", {
      ladder: ["bronze"],
      firstByteMs: longestMs,
      totalMs: longestMs,
    }),
  }),
  tier: section("What is common to a tier's engines.", {
    gold: tier("Small models, answers inside a frame.", 16),
    silver: tier("Larger models, answers inside a breath.", 250),
  }),
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
