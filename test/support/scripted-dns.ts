// A DNS that says what a test tells it to, or nothing at all, and remembers what it was asked.

import type { DnsResolver } from "../../src/host/discovery.ts";

/** By `srv NAME`, `v4 NAME` or `v6 NAME`. What is not there is answered as a server does who knows that it is not. */
type Script = Record<string, readonly unknown[] | "silent" | `E${string}`>;

export interface ScriptedDns {
  readonly asked: string[];
  script: Script;
  cancelled: number;
  resolver(): DnsResolver;
}

export function scriptedDns(script: Script): ScriptedDns {
  const dns: ScriptedDns = { asked: [], script, cancelled: 0, resolver };

  function resolver(): DnsResolver {
    const given: ((error: Error) => void)[] = [];
    const answer = (question: string): Promise<readonly unknown[]> => {
      dns.asked.push(question);
      const told = dns.script[question] ?? "ENOTFOUND";
      const failure = (code: string) => Object.assign(new Error(code), { code });
      if (told === "silent") return new Promise((_, reject) => given.push(reject));
      return typeof told === "string" ? Promise.reject(failure(told)) : Promise.resolve(told);
    };
    return {
      srv: async (name) => (await answer(`srv ${name}`)).filter(isTarget),
      v4: async (name) => (await answer(`v4 ${name}`)).map(String),
      v6: async (name) => (await answer(`v6 ${name}`)).map(String),
      cancel() {
        dns.cancelled += 1;
        for (const reject of given.splice(0)) reject(Object.assign(new Error(), { code: "ECANCELLED" }));
      },
    };
  }
  return dns;
}

const isTarget = (one: unknown): one is { name: string; port: number } =>
  typeof one === "object" && one !== null && "name" in one && "port" in one;
