// The public listener over TLS, and the admin listener behind its token.

import { expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { messages } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { engineToml, startTierline } from "../support/tierline.ts";
import { certificate, privateKey } from "../support/tls-identity.ts";

const ends = cleanup();

test("with a certificate the public listener speaks TLS, and a chat comes through", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tierline-tls-"));
  writeFileSync(join(dir, "cert.pem"), certificate);
  writeFileSync(join(dir, "key.pem"), privateKey);
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  const tls = `[tls]\ncert_file = "${join(dir, "cert.pem")}"\nkey_file = "${join(dir, "key.pem")}"\n`;
  const router = ends(await startTierline({ config: engineToml("gold", gold.url) + tls }));
  expect(router.url).toStartWith("https://");
  const response = await fetch(`${router.url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "gold", messages, max_tokens: 1 }),
    tls: { ca: certificate, rejectUnauthorized: false },
  });
  expect(response.status).toBe(200);
});

test("where a token is set, the admin API asks for it, on loopback too; health and metrics do not", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tierline-token-"));
  writeFileSync(join(dir, "token"), "hush\n");
  const router = ends(
    await startTierline({ config: `[auth]\nadmin_token_file = "${join(dir, "token")}"\n` }),
  );
  const explain = (headers: Record<string, string>) => fetch(`${router.adminUrl}/api/explain`, { headers });
  expect((await explain({})).status).toBe(401);
  expect((await explain({ authorization: "Bearer hus" })).status).toBe(401);
  expect((await explain({ authorization: "Bearer hush" })).status).toBe(200);
  expect((await fetch(`${router.adminUrl}/metrics`)).status).toBe(200);
  expect((await fetch(`${router.adminUrl}/livez`)).status).toBe(200);
});

test("peers forward over TLS, and only to one whose certificate they can check", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tierline-tls-"));
  const put = (name: string, text: string): string => {
    const file = join(dir, name);
    writeFileSync(file, text);
    return file;
  };
  const tls = `[tls]\ncert_file = "${put("cert.pem", certificate)}"\nkey_file = "${put("key.pem", privateKey)}"\n`;
  const cluster = `[cluster]\nfleet = "test"\nsecret_file = "${put("gossip.key", "0123456789abcdef\n")}"\nadvertise = "localhost"\n`;
  const listen = 'public = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\ngossip = "127.0.0.1:0"';
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  const serving = ends(
    await startTierline({ name: "gold-1", listen, config: engineToml("gold", gold.url) + tls + cluster }),
  );
  const seed = new URL(String(serving.log.find(({ msg }) => msg === "ready")?.["gossip"])).host;
  const config = `${cluster}seeds = ["${seed}"]\n`;
  const body = JSON.stringify({ model: "gold", messages, max_tokens: 1 });

  const knowing = { NODE_EXTRA_CA_CERTS: join(dir, "cert.pem") };
  const door = ends(await startTierline({ name: "door-1", listen, config, env: knowing }));
  const answer = await fetch(`${door.url}/v1/chat/completions`, { method: "POST", body });
  expect(answer.status).toBe(200);
  expect(answer.headers.get("x-tierline-endpoint")).toBe("gold-1/vllm");

  const unknowing = ends(await startTierline({ name: "door-2", listen, config }));
  const refusal = await fetch(`${unknowing.url}/v1/chat/completions`, { method: "POST", body });
  expect(refusal.status).toBe(502);
  expect(await refusal.text()).toContain("self signed certificate");
});
