// The variables that the AWS SDK reads by itself: set for one test file, and as they were afterwards.

import { afterAll } from "bun:test";

/** Everything that could lead the SDK to a real account is taken away too. */
export function awsVariables(wanted: Readonly<Record<string, string>>): void {
  const before = Object.entries(process.env).filter(([name]) => name.startsWith("AWS_"));
  const clear = (): void => {
    for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) delete process.env[name];
  };
  clear();
  const nowhere = { AWS_CONFIG_FILE: "/nonexistent", AWS_SHARED_CREDENTIALS_FILE: "/nonexistent" };
  Object.assign(process.env, nowhere, wanted);
  afterAll(() => {
    clear();
    Object.assign(process.env, Object.fromEntries(before));
  });
}
