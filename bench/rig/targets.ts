// The programs that are measured side by side, each doing the same job on one core between two engines: how it is
// configured, started, recognised as ready, and stopped.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Subprocess } from "bun";
import { echoScript } from "./echo.ts";
import { pinned, targetCore } from "./machine.ts";
import { mockModel } from "./mock-engine.ts";
import { post } from "./requests.ts";
import { needTools } from "./tools.ts";

export interface Target {
  readonly name: TargetName;
  readonly port: number;
  readonly pid: number;
  /** From its start to its first answered chat. */
  readonly startMs: number;
  stop(): Promise<void>;
}

export type TargetName = "tierline" | "haproxy" | "nginx" | "echo";

export interface Surroundings {
  readonly engines: readonly [number, number];
  /** What the two engines call their model. */
  readonly model?: string;
  /** Instead of the built binary: to measure a revision, a flag or the sources. */
  readonly command?: readonly string[];
  /** tierline's gossip listener, on loopback. */
  readonly gossipPort?: number;
  /** Of tierline's configuration, beyond listeners and engines. */
  readonly config?: string;
  /** Beside this process's own variables. */
  readonly env?: Readonly<Record<string, string>>;
}

interface Recipe {
  /** The command that runs it in the foreground, its files written under `dir`. */
  prepare(dir: string, port: number, around: Surroundings): Promise<readonly string[]>;
}

const startLimitMs = 10_000;
const stopLimitMs = 10_000;
export const builtBinary = resolve(import.meta.dir, "../../dist/tierline");

/** A bench that fails must not leave a proxy spinning on the measured core. */
const running = new Set<Subprocess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGTERM");
});

const recipes: Readonly<Record<TargetName, Recipe>> = {
  // Everything on, as it comes: metrics, log, health checks, silence watch.
  tierline: {
    async prepare(dir, port, { engines, command, gossipPort, config: more = "" }) {
      const config = join(dir, "tierline.toml");
      const rows = engines.map(
        (engine) => `[[engine]]\ntier = "silver"\nkind = "vllm"\nurl = "http://127.0.0.1:${engine}"\n`,
      );
      const gossip = gossipPort === undefined ? "" : `gossip = "127.0.0.1:${gossipPort}"\n`;
      const head = `[listen]\npublic = "127.0.0.1:${port}"\nadmin = "127.0.0.1:0"\n${gossip}[state]\ndir = "${dir}/state"\n`;
      await Bun.write(config, `${head}${rows.join("")}${more}`);
      return [...(command ?? [builtBinary]), "serve", "--config", config];
    },
  },
  // Without an access log, which neither tierline nor a tuned proxy writes for every good request.
  haproxy: {
    async prepare(dir, port, { engines }) {
      const { haproxy } = needTools("haproxy");
      const config = join(dir, "haproxy.cfg");
      await Bun.write(
        config,
        `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 1s
  timeout client 120s
  timeout server 120s
  retries 2
  option redispatch
  # Else 45 ms are added to every first token, and an abandoned request runs on.
  option http-no-delay
  option abortonclose
  http-reuse always
frontend public
  bind 127.0.0.1:${port}
  default_backend engines
backend engines
  balance roundrobin
  option httpchk GET /health
  timeout check 5s
  default-server check inter 1s fall 3 rise 2
  server a 127.0.0.1:${engines[0]}
  server b 127.0.0.1:${engines[1]}
`,
      );
      return [haproxy, "-db", "-f", config];
    },
  },
  nginx: {
    async prepare(dir, port, { engines }) {
      const { nginx } = needTools("nginx");
      const config = join(dir, "nginx.conf");
      await Bun.write(
        config,
        `daemon off;
worker_processes 1;
pid ${dir}/nginx.pid;
error_log ${dir}/error.log;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${dir}/body;
  proxy_temp_path ${dir}/proxy;
  fastcgi_temp_path ${dir}/fastcgi;
  uwsgi_temp_path ${dir}/uwsgi;
  scgi_temp_path ${dir}/scgi;
  client_body_buffer_size 128k;
  keepalive_requests 10000000;
  upstream engines {
    server 127.0.0.1:${engines[0]} max_fails=2 fail_timeout=1s;
    server 127.0.0.1:${engines[1]} max_fails=2 fail_timeout=1s;
    keepalive 256;
    keepalive_requests 10000000;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://engines;
      proxy_http_version 1.1;
      proxy_set_header connection "";
      proxy_buffering off;
      proxy_read_timeout 120s;
    }
  }
}
`,
      );
      return [nginx, "-c", config, "-e", `${dir}/error.log`];
    },
  },
  echo: {
    prepare: async (_, port) => [process.execPath, echoScript, String(port)],
  },
};

/** @throws Error when it does not answer a chat within ten seconds; its output is in the message. */
export async function startTarget(name: TargetName, around: Surroundings): Promise<Target> {
  needTools("taskset");
  const dir = mkdtempSync(join(tmpdir(), `tierline-bench-${name}-`));
  mkdirSync(join(dir, "state"));
  const port = freePort();
  const log = join(dir, "output.log");
  const command = pinned(targetCore, await recipes[name].prepare(dir, port, around));
  const startedAtMs = performance.now();
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...around.env },
    stdin: "ignore",
    stdout: Bun.file(log),
    stderr: Bun.file(`${log}.err`),
  });
  running.add(child);
  const stop = async (): Promise<void> => {
    await end(child);
    rmSync(dir, { recursive: true, force: true });
  };
  while (!(await answers(port, around.model ?? mockModel))) {
    if (child.exitCode === null && performance.now() - startedAtMs < startLimitMs) continue;
    const output = `${await Bun.file(log).text()}${await Bun.file(`${log}.err`).text()}`;
    await stop();
    throw new Error(`${name} does not answer: ${output.slice(-2_000)}`);
  }
  return { name, port, pid: child.pid, startMs: performance.now() - startedAtMs, stop };
}

/** nginx and HAProxy want to be told a number; taken by nobody else in the instant between. */
function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

async function answers(port: number, model: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const request = post({ model, max_tokens: 1, messages: [{ role: "user", content: "Hello" }] });
  try {
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void socket.write(request),
        data: (_, bytes) => resolve(bytes.toString("latin1", 9, 12) === "200"),
        close: () => resolve(false),
        connectError: () => resolve(false),
      },
    });
    const answered = await promise;
    socket.terminate();
    if (!answered) await Bun.sleep(1);
    return answered;
  } catch {
    await Bun.sleep(1);
    return false;
  }
}

async function end(child: Subprocess): Promise<void> {
  child.kill("SIGTERM");
  const patience = setTimeout(() => child.kill("SIGKILL"), stopLimitMs);
  await child.exited;
  clearTimeout(patience);
  running.delete(child);
}
