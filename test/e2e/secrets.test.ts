// A router that was given every kind of secret, and everything that can be got out of it: none of them is in any of it. What
// it prints while the other tests run is looked through when it stops (test/support/tierline.ts).

import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAws } from "../../playground/aws.ts";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { awsEnv, sageMakerToml, tale } from "../support/bronze.ts";
import { messages } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { leaksIn, secretsGiven } from "../support/secrets-given.ts";
import { binary, engineToml, startTierline } from "../support/tierline.ts";
import { certificate, privateKey } from "../support/tls-identity.ts";

setDefaultTimeout(30_000);

const ends = cleanup();

const wrongKey = "sk-nobody-has-this-one";
const wrongToken = "neither-is-this-a-token";

test("nothing that a router prints, answers or exposes holds a secret that it was given, nor a wrong one that it was sent", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tierline-secrets-"));
  const put = (name: string, text: string): string => {
    const file = join(dir, name);
    writeFileSync(file, text);
    return JSON.stringify(file);
  };
  const engine = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  const aws = ends(startAws());
  const keys = put("keys", "lobby:sk-lobby-0001\nstory:sk-story-0002\n");
  const config = `${engineToml("gold", engine.url, `api_key_file = ${put("engine-key", "sk-engine-0003\n")}`)}
${sageMakerToml()}
[auth]
mode = "keys"
keys_file = ${keys}
admin_token_file = ${put("admin-token", "admin-token-0004\n")}
[tls]
cert_file = ${put("cert.pem", certificate)}
key_file = ${put("key.pem", privateKey)}
[cluster]
fleet = "test"
secret_file = ${put("gossip.key", "gossip-secret-0005\ngossip-secret-0006\n")}
advertise = "localhost"
`;
  const env = { ...awsEnv(aws), AWS_ACCESS_KEY_ID: "AKIATIERLINE", AWS_SECRET_ACCESS_KEY: "aws-secret-0007" };
  const listen = 'public = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\ngossip = "127.0.0.1:0"';
  const insecure = (url: string, init: RequestInit = {}) =>
    fetch(url, { ...init, tls: { rejectUnauthorized: false } });
  const router = ends(
    await startTierline({ config: `${config}[log]\nlevel = "trace"\n`, env, listen, reach: insecure }),
  );
  const secrets = [...secretsGiven(config, env), wrongKey, wrongToken];
  expect(secrets).toContain("sk-lobby-0001");
  expect(secrets).toContain("aws-secret-0007");
  expect(secrets.length).toBeGreaterThan(10);

  const seen = new Map<string, string>();
  const ask = async (what: string, url: string, init: RequestInit = {}): Promise<number> => {
    const response = await insecure(url, init);
    const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    seen.set(what, `${response.status}\n${headers}\n${await response.text()}`);
    return response.status;
  };
  const bearer = (key: string) => ({ authorization: `Bearer ${key}`, "content-type": "application/json" });
  const body = JSON.stringify({ model: "gold", messages, max_tokens: 1 });
  const chats = `${router.url}/v1/chat/completions`;

  expect(await ask("a chat", chats, { method: "POST", headers: bearer("sk-lobby-0001"), body })).toBe(200);
  expect(await ask("a wrong key", chats, { method: "POST", headers: bearer(wrongKey), body })).toBe(401);
  expect(
    await ask("a wrong model", chats, {
      method: "POST",
      headers: bearer("sk-story-0002"),
      body: JSON.stringify({ model: "nobody-has-it", messages }),
    }),
  ).toBe(404);
  expect(
    await ask("no JSON", chats, { method: "POST", headers: bearer("sk-story-0002"), body: "{sk-story-0002" }),
  ).toBe(400);
  engine.fault({ kind: "status", status: 500 });
  await ask("a broken engine", chats, { method: "POST", headers: bearer("sk-lobby-0001"), body });
  engine.fault();
  for (const order of ["a job", "a job without credentials"]) {
    const placed = await insecure(`${router.url}/v1/jobs`, {
      method: "POST",
      headers: bearer("sk-story-0002"),
      body: JSON.stringify({ request: tale() }),
    });
    expect(placed.status).toBe(202);
    const { id } = (await placed.json()) as { id: string };
    await ask(order, `${router.url}/v1/jobs/${id}?wait=20`, { headers: bearer("sk-story-0002") });
    expect(seen.get(order)).toContain('"succeeded"');
    aws.expireCredentials();
  }

  for (const path of ["/health", "/metrics", "/readyz", "/v1/models", "/v1/npc/archetypes", "/v1/jobs"])
    await ask(path, `${router.url}${path}`, { headers: bearer("sk-lobby-0001") });
  const admin = ["config", "fleet", "explain?sla=realtime", "cache/stats", "cache/config", "jobs"];
  for (const path of admin) {
    expect(await ask(path, `${router.adminUrl}/api/${path}`, { headers: bearer(wrongToken) })).toBe(401);
    const status = await ask(`its ${path}`, `${router.adminUrl}/api/${path}`, {
      headers: bearer("admin-token-0004"),
    });
    expect([path, status]).toEqual([path, 200]);
  }
  const gossip = String(router.log.find(({ msg }) => msg === "ready")?.["gossip"]);
  await ask("gossip", `${gossip}/gossip`, { method: "POST", body: "gossip-secret-0005" });

  const run = async (...args: string[]): Promise<void> => {
    const child = Bun.spawn([binary, ...args], {
      cwd: dir,
      env: { PATH: process.env["PATH"] ?? "", AWS_EC2_METADATA_DISABLED: "true", ...env },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, errors] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    seen.set(args.join(" "), out + errors);
  };
  const file = join(router.dir, "tierline.toml");
  await run("check-config", file);
  await run("print-config", "--config", file);
  await run("print-config", "--effective", "--json", "--config", file);
  await run("status", "--config", file);
  await run("explain", "--sla", "realtime", "--config", file);

  // Files that are broken in every way, and a reload that is refused for each.
  const spoilt: Readonly<Record<string, string>> = {
    keys: "lobby:sk-lobby-0001\nlobby sk-story-0002\nlobby:sk lobby\nsk-engine-0003\n",
    "engine-key": "sk-engine-0003 sk-engine-0003\n",
    "admin-token": "admin-token-0004 admin-token-0004\n",
    "gossip.key": "gossip-secret-0005 gossip\n\n\ngossip-secret-0006\n1\n2\n",
    "key.pem": privateKey.replaceAll("-----BEGIN", "-----"),
  };
  for (const [name, text] of Object.entries(spoilt)) put(name, text);
  await run("check-config", file);
  expect(seen.get(`check-config ${file}`)).toContain("line");
  router.signal("SIGHUP");
  await router.logged(({ msg }) => msg === "reload rejected, kept old config");

  const printed = JSON.stringify(router.log) + router.stderr();
  expect(seen.size).toBeGreaterThan(25);
  for (const [what, text] of [...seen, ["what it logged", printed] as const])
    expect([what, ...leaksIn(text, secrets)]).toEqual([what]);
});

test("a secret in what a router has printed would be seen", () => {
  const dir = mkdtempSync(join(tmpdir(), "tierline-secrets-"));
  const file = join(dir, "keys");
  writeFileSync(file, "# of the lobby\nlobby:sk-lobby-0001\n");
  const secrets = secretsGiven(`[auth]\nmode = "keys"\nkeys_file = "${file}"\n`, {});
  expect(secrets).toEqual(["sk-lobby-0001"]);
  expect(leaksIn('{"msg":"bad key sk-lobby-0001"}', secrets)).toEqual(["sk…"]);
  expect(leaksIn('{"msg":"bad key of lobby"}', secrets)).toEqual([]);
});
