// The tables of the job file, and how an older file becomes one of today. A step that has been released never changes:
// what comes later is another step.

import type { Database } from "bun:sqlite";
import { unfinishedStates } from "./job.ts";

/**
 * Bytes live apart from the row that changes: SQLite writes a row anew at each change, whole. `ulid` gives the order of
 * lists and is how a page ends, also when its last job is gone.
 */
const first = `
  CREATE TABLE jobs (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    ulid TEXT NOT NULL UNIQUE,
    owner TEXT,
    kind TEXT NOT NULL,
    model TEXT NOT NULL,
    ttl_ms INTEGER NOT NULL,
    accepted_at_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    recoveries INTEGER NOT NULL,
    output_key TEXT NOT NULL,
    inference_id TEXT,
    failure_location TEXT,
    error_code TEXT,
    error_message TEXT,
    ended_at_ms INTEGER
  ) STRICT;
  CREATE INDEX jobs_by_state ON jobs (state, ulid);
  CREATE INDEX jobs_by_owner ON jobs (owner, state, ulid);
  CREATE INDEX jobs_ended ON jobs (ended_at_ms) WHERE ended_at_ms IS NOT NULL;
  CREATE TABLE requests (n INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
  CREATE TABLE results (n INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
  CREATE TABLE idempotency (
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (caller, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX idempotency_by_job ON idempotency (n);
  CREATE TABLE run (only INTEGER PRIMARY KEY CHECK (only = 1), clean INTEGER NOT NULL) STRICT;
  INSERT INTO run VALUES (1, 1);
`;

export const schemaSteps: readonly string[] = [first];

/** `unfinished` in the words of a query. */
export const unfinishedSql = unfinishedStates.map((state) => `'${state}'`).join(", ");

export type Migrated = "ready" | "newer";

/** Each step whole or not at all, with its number. */
export function migrate(db: Database, steps: readonly string[] = schemaSteps): Migrated {
  const version = versionOf(db);
  if (version > steps.length) return "newer";
  for (const [index, step] of steps.entries()) {
    if (index < version) continue;
    db.transaction(() => {
      db.run(step);
      db.run(`PRAGMA user_version = ${index + 1}`);
    })();
  }
  return "ready";
}

export function versionOf(db: Database): number {
  return db.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version ?? 0;
}
