// A port for a program that must be told one. Somebody else may take it first; that is rare, and its start then fails.

export function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/** Until something answers there, whatever it says. */
export async function answersAt(url: string, mostMs: number): Promise<void> {
  for (const until = performance.now() + mostMs; performance.now() < until; await Bun.sleep(20)) {
    if (await fetch(url).then(Boolean, () => false)) return;
  }
  throw new Error(`Nobody answers at ${url}.`);
}
