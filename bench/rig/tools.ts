// The programs a bench needs and does not install: where they are, or how to get them.

const packages = { haproxy: "haproxy", nginx: "nginx", taskset: "util-linux" } as const;

export type Tool = keyof typeof packages;

const extraPath = ["/usr/sbin", "/usr/local/sbin"];

function findTool(name: string): string | undefined {
  const path = [process.env["PATH"] ?? "", ...extraPath].join(":");
  return Bun.which(name, { PATH: path }) ?? undefined;
}

/** Ends the process with a sentence when one is missing. */
export function needTools<Name extends Tool>(...names: Name[]): Record<Name, string> {
  const found: Partial<Record<Tool, string>> = {};
  const missing: Tool[] = [];
  for (const name of names) {
    const path = findTool(name);
    if (path === undefined) missing.push(name);
    else found[name] = path;
  }
  if (missing.length > 0) {
    console.error(
      `Missing: ${missing.join(", ")}. On Debian or Ubuntu: apt-get install ${missing.map((name) => packages[name]).join(" ")}`,
    );
    process.exit(2);
  }
  return found as Record<Name, string>;
}
