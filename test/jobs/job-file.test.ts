import { Database } from "bun:sqlite";
import { afterAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { jobFileName } from "../../src/jobs/job-file.ts";
import { migrate, schemaSteps, versionOf } from "../../src/jobs/schema.ts";
import { openJobStore } from "../../src/jobs/sqlite-store.ts";
import type { JobStore } from "../../src/jobs/store.ts";
import { cleanup } from "../support/cleanup.ts";
import { jobPlace, newJob, roomy } from "../support/job-place.ts";
import { needsRight } from "../support/needs-tool.ts";

const own = cleanup();
const place = () => own(jobPlace());
const root = join(import.meta.dir, "../..");

describe("migrate", () => {
  test("makes a file of version 1 one of the next version and keeps its jobs", () => {
    const here = place();
    const store = here.open();
    store.accept(newJob(1), { caller: "lobby", key: "k", bodyHash: "aa" });
    store.close();
    const db = new Database(join(here.dir, jobFileName));
    const next = [...schemaSteps, "ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 7"];
    expect(versionOf(db)).toBe(schemaSteps.length);
    expect(migrate(db, next)).toBe("ready");
    expect(versionOf(db)).toBe(next.length);
    expect(db.query("SELECT id, priority FROM jobs").all()).toEqual([{ id: newJob(1).id, priority: 7 }]);
    expect(migrate(db, next)).toBe("ready");
    db.close();
  });

  test("leaves the version and the tables as they were where a step fails in its middle", () => {
    const db = new Database(":memory:");
    const broken = [...schemaSteps, "CREATE TABLE half (x); CREATE TABLE half (x);"];
    expect(() => migrate(db, broken)).toThrow("half");
    expect(versionOf(db)).toBe(schemaSteps.length);
    expect(db.query("SELECT name FROM sqlite_schema WHERE name = 'half'").all()).toEqual([]);
  });

  test("a file of a newer version is refused and left alone", () => {
    const here = place();
    here.open().close();
    const db = new Database(join(here.dir, jobFileName));
    db.run("PRAGMA user_version = 99");
    db.close();
    const opened = openJobStore(here.dir, roomy);
    expect(opened.ok === false && opened.trouble.kind).toBe("newer");
    expect(existsSync(join(here.dir, `${jobFileName}.set-aside`))).toBe(false);
  });
});

/** Each takes a file that was whole. */
const damages: readonly (readonly [what: string, damage: (path: string) => void])[] = [
  [
    "text instead of a database",
    (path) => writeFileSync(path, "not a database at all, but long enough".repeat(50)),
  ],
  ["a file cut in its middle", (path) => cut(path, 0.5)],
  ["zeroes over its header", (path) => scribble(path, 0, 100)],
  ["zeroes over a page of a table", (path) => scribble(path, 4096, 4096)],
];

describe("a damaged file is set aside and an empty one begun, with", () => {
  for (const [what, damage] of damages) {
    test(what, () => {
      const here = place();
      const store = here.open();
      for (let at = 0; at < 200; at += 1) store.accept(newJob(at));
      store.close();
      const path = join(here.dir, jobFileName);
      damage(path);
      const damaged = readFileSync(path);
      const again = here.open();
      expect(again.setAside).toBe(`${path}.set-aside`);
      expect(readFileSync(`${path}.set-aside`).equals(damaged)).toBe(true);
      expect(again.list({ limit: 10 })).toEqual({ kind: "found", value: { jobs: [], hasMore: false } });
      expect(again.accept(newJob(1)).kind).toBe("stored");
      again.close();
      expect(here.open().setAside).toBeUndefined();
    });
  }
});

test("a damaged file that cannot be set aside is refused, and not said to be gone at the next start", () => {
  const here = place();
  here.open().close();
  scribble(join(here.dir, jobFileName), 0, 100);
  const inTheWay = join(here.dir, `${jobFileName}.set-aside`);
  mkdirSync(inTheWay);
  writeFileSync(join(inTheWay, "file"), "");
  const opened = openJobStore(here.dir, roomy);
  expect(opened.ok === false && opened.trouble).toMatchObject({
    kind: "cannot-open",
    message: expect.stringContaining("could not be set aside"),
  });
});

/** More than is read whole at a start; what is behind the jobs takes no room on the disk. */
function swell(path: string): void {
  const file = openSync(path, "r+");
  ftruncateSync(file, 300 * 1024 * 1024);
  closeSync(file);
}

describe("of a file that is too large to be read whole at each start", () => {
  /** A hundred requests of 400 kB: nearly every page is part of one. */
  function large() {
    const here = place();
    const store = here.open();
    for (let at = 0; at < 100; at += 1) store.accept(newJob(at, { request: Buffer.alloc(400_000, 1) }));
    store.close();
    const path = join(here.dir, jobFileName);
    swell(path);
    return { here, path };
  }

  const readAll = (store: JobStore) =>
    new Set(
      Array.from({ length: 100 }, (_, at) => store.toDo(newJob(at).id)).map((answer) =>
        answer.kind === "unavailable" ? answer.trouble.kind : answer.kind,
      ),
    );

  test("damage that shows when its jobs are counted sets it aside at once", () => {
    const { here, path } = large();
    // The first pages are those of the tables and indexes themselves.
    scribble(path, 4096, 12 * 4096);
    const store = here.open();
    expect(store.setAside).toBe(`${path}.set-aside`);
    expect(store.accept(newJob(1)).kind).toBe("stored");
  });

  test("damage that shows while running sets it aside at the next start, and not at the one after", () => {
    const { here, path } = large();
    scribble(path, 5000 * 4096, 4096);
    const first = here.open();
    expect([first.setAside, readAll(first)]).toEqual([undefined, new Set(["found", "corrupt"])]);
    first.close();
    // The end of the log has cut off what is behind the jobs.
    swell(path);
    const second = here.open();
    expect(second.setAside).toBe(`${path}.set-aside`);
    second.accept(newJob(1));
    second.close();
    const third = here.open();
    expect([third.setAside, third.get(newJob(1).id)]).toMatchObject([
      undefined,
      { kind: "found", value: {} },
    ]);
  });

  test("damage that is not there when it is looked for costs no job", () => {
    const { here, path } = large();
    writeFileSync(`${path}.damaged`, "");
    const store = here.open();
    expect([store.setAside, readAll(store)]).toEqual([undefined, new Set(["found"])]);
    expect(existsSync(`${path}.damaged`)).toBe(false);
  });
});

test("damage that shows while running is an answer, not an exception", () => {
  const here = place();
  const first = here.open();
  for (let at = 0; at < 2000; at += 1) first.accept(newJob(at, { request: Buffer.alloc(3000) }));
  first.close();
  const store = here.open();
  const path = join(here.dir, jobFileName);
  for (let page = 20; page < 1500; page += 1) scribble(path, page * 4096, 4096);
  const answers = Array.from({ length: 2000 }, (_, at) => store.toDo(newJob(at).id));
  const kinds = new Set(
    answers.map((answer) => (answer.kind === "unavailable" ? answer.trouble.kind : "found")),
  );
  expect(kinds.has("corrupt")).toBe(true);
});

test("a bound on the file refuses new jobs early, lets those inside end, and takes new ones after a sweep", () => {
  const store = place().open({ queuedMost: 10_000, bytesMost: 1024 * 1024 });
  const ids: string[] = [];
  for (let at = 0; ; at += 1) {
    const answer = store.accept(newJob(at, { request: Buffer.alloc(8000) }));
    if (answer.kind === "unavailable") {
      expect(answer.trouble.kind).toBe("disk-full");
      break;
    }
    ids.push(newJob(at).id);
  }
  expect(ids.length).toBeGreaterThan(50);
  const ending = ids.slice(0, 20);
  for (const id of ending) {
    const move = { to: "done", result: Buffer.alloc(12_000), endedAtMs: 1 } as const;
    expect(store.move(id, 0, move).kind).toBe("moved");
  }
  expect(store.accept(newJob(100_000)).kind).toBe("unavailable");
  expect(store.sweep(1, 1000)).toEqual({ kind: "found", value: ending.length });
  expect(store.accept(newJob(100_000)).kind).toBe("stored");
});

test("a folder that is none, and one that is not there, are refused with words for the operator", () => {
  const here = place();
  writeFileSync(join(here.dir, "file"), "");
  for (const dir of [join(here.dir, "file"), join(here.dir, "missing")]) {
    const opened = openJobStore(dir, roomy);
    expect(opened.ok === false && opened.trouble.kind).toBe("cannot-open");
    expect(opened.ok === false && opened.trouble.message).toContain("Let this user write to state.dir.");
  }
});

test("a second store on one file is refused, and the first goes on", () => {
  const here = place();
  const store = here.open();
  const second = openJobStore(here.dir, roomy);
  expect(second.ok === false && second.trouble.kind).toBe("in-use");
  expect(store.accept(newJob(1)).kind).toBe("stored");
});

/** A disk of its own, of 2 MB, that the child fills, empties and makes read-only. */
function onOwnDisk(dir: string) {
  const script = `mount -t tmpfs -o size=2m none ${dir} && trap '' XFSZ && exec ${process.execPath} ${root}/test/support/job-disk.ts ${dir}`;
  return Bun.spawnSync(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]);
}

const trial = jobPlace();
const mayMount = Bun.spawnSync([
  "unshare",
  "--user",
  "--map-root-user",
  "--mount",
  "mount",
  "-t",
  "tmpfs",
  "none",
  trial.dir,
]);
afterAll(trial.stop);

test.skipIf(!needsRight(mayMount.success ? undefined : "tmpfs cannot be mounted here"))(
  "a full disk, a broken one and a read-only one refuse jobs, keep what was accepted, and take jobs again once mended",
  () => {
    const ran = onOwnDisk(place().dir);
    expect(ran.stderr.toString()).toBe("");
    expect(JSON.parse(ran.stdout.toString())).toEqual({
      full: "disk-full",
      endWhileFull: "disk-full",
      readWhileFull: "found",
      afterRoom: "stored",
      endAfterRoom: "moved",
      broken: "device",
      readWhileBroken: "found",
      afterBroken: "stored",
      startReadOnly: "read-only",
      lost: 0,
    });
  },
);

function cut(path: string, share: number): void {
  const file = openSync(path, "r+");
  ftruncateSync(file, Math.floor(readFileSync(path).length * share) + 17);
  closeSync(file);
}

function scribble(path: string, at: number, bytes: number): void {
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(bytes), 0, bytes, at);
  closeSync(file);
}
