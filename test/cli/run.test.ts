import { describe, expect, test } from "bun:test";
import { commands } from "../../src/cli/commands.ts";
import { tierline } from "./fake-terminal.ts";

const good = '[[engine]]\ntier = "gold"\nkind = "vllm"\nurl = "http://127.0.0.1:8000"\n';

describe("the command line", () => {
  test("alone is a usage error that lists every command", async () => {
    const { exit, out, err } = await tierline([]);
    expect(exit).toBe(2);
    expect(out).toBe("");
    for (const { name, about } of commands) expect(err).toMatch(new RegExp(`  ${name} +${about}`));
  });

  test.each([["help"], ["--help"], ["-h"]])("with %s prints the commands and exits 0", async (arg) => {
    const { exit, out } = await tierline([arg]);
    expect(exit).toBe(0);
    expect(out).toContain("Usage: tierline COMMAND");
  });

  test.each(commands.map(({ name }) => [name]))(
    "%s --help shows every option and an example",
    async (name) => {
      const command = commands.find((one) => one.name === name);
      const words = name.split(" ");
      const { exit, out } = await tierline([...words, "--help"]);
      expect(exit).toBe(0);
      for (const option of Object.keys(command?.options ?? {})) expect(out).toContain(`--${option}`);
      expect(out).toContain(`Example: tierline ${name}`);
      expect(await tierline(["help", ...words])).toMatchObject({ exit: 0, out });
      expect(await tierline([...words, "-h"])).toMatchObject({ exit: 0, out });
    },
  );

  test.each([
    [["serv"], 'tierline has no command "serv". Did you mean tierline serve?'],
    [["frobnicate"], 'tierline has no command "frobnicate". See tierline help.'],
    [["help", "drian"], 'tierline has no command "drian". Did you mean tierline drain?'],
    [["cach"], 'tierline has no command "cach". Did you mean tierline cache?'],
    [["cache"], "Usage: tierline cache COMMAND [OPTION…]"],
    [["cache", "stat"], 'tierline cache has no command "stat". Did you mean tierline cache stats?'],
    [["help", "cache", "all"], 'tierline cache has no command "all". See tierline cache --help.'],
    [["cache", "stats", "--limit", "4"], "tierline cache stats: there is no option --limit"],
    [["version", "--jsn"], "tierline version: there is no option --jsn; did you mean --json?"],
    [["version", "x"], 'tierline version: "x" is one argument too many'],
    [["version", "--json=yes"], "tierline version: --json takes no value"],
    [["check-config", "a", "b"], 'tierline check-config: "b" is one argument too many'],
    [["print-config", "--config"], "tierline print-config: --config needs a value"],
    [
      ["explain"],
      "tierline explain: say what for: --sla CLASS, one of realtime, interactive, async, or --model NAME.",
    ],
  ])("refuses %p as usage", async (args, says) => {
    const { exit, out, err } = await tierline(args);
    expect(exit).toBe(2);
    expect(out).toBe("");
    expect(err.split("\n")[0]).toBe(says);
  });

  test.each([
    [["explain", "--sla", "fast"], '"fast" is no SLA class; there are realtime, interactive, async.\n'],
    [
      ["drain", "--admin", "8011"],
      '"8011" is not the address of a router; write it like http://127.0.0.1:8011.\n',
    ],
  ])("refuses what %p means with 64", async (args, err) => {
    expect(await tierline(args)).toEqual({ exit: 64, out: "", err });
  });
});

test.each([[["cache", "--help"]], [["help", "cache"]]])(
  "%p lists the commands that begin so, and exits 0",
  async (args) => {
    const { exit, out } = await tierline(args);
    expect(exit).toBe(0);
    for (const word of ["stats", "config", "clear", "entries"]) expect(out).toContain(`  cache ${word} `);
  },
);

describe("version", () => {
  test("says what the binary is, as text and as JSON", async () => {
    const { out } = await tierline(["version", "--json"]);
    const { version, revision, bun, target } = JSON.parse(out);
    expect(bun).toBe(Bun.version);
    expect(await tierline(["version"])).toEqual({
      exit: 0,
      out: `tierline ${version} (revision ${revision}, Bun ${bun}, ${target})\n`,
      err: "",
    });
  });
});

describe("check-config", () => {
  test("says what a good file holds", async () => {
    expect(await tierline(["check-config", "a.toml"], { files: { "a.toml": good } })).toEqual({
      exit: 0,
      out: "a.toml is good: 1 engine, 0 aliases, 0 archetypes.\n",
      err: "",
    });
  });

  test("says of a door to a fleet, which has no engine, that it is good, and in which fleet it is", async () => {
    const door = `[listen]
gossip = "127.0.0.1:8012"
[cluster]
fleet = "prod"
secret_file = "gossip.key"
seeds = ["127.0.0.1:8013"]
`;
    const files = { "a.toml": door, "gossip.key": "0123456789abcdef" };
    expect(await tierline(["check-config", "a.toml"], { files })).toEqual({
      exit: 0,
      out: "a.toml is good: 0 engines, 0 aliases, 0 archetypes, fleet prod with 1 seed.\n",
      err: "",
    });
  });

  test.each([
    ['runner = "local"', "jobs on this fleet"],
    [
      'runner = "sagemaker"\nendpoint = "story"\nregion = "us-east-1"\noutput = "s3://bucket/results"\nmodels = ["story-70b"]',
      "jobs on story",
    ],
  ])("says where jobs are done with %j: %s", async (bronze, words) => {
    const files = { "a.toml": `${good}\n[tier.bronze]\n${bronze}\n` };
    expect(await tierline(["check-config", "a.toml"], { files })).toMatchObject({
      exit: 0,
      out: `a.toml is good: 1 engine, 0 aliases, 0 archetypes, ${words}.\n`,
    });
  });

  test("exits 78 with place, message and hint for each error", async () => {
    const files = { "a.toml": '[log]\nlevle = "info"\n[drain]\ndeadline_ms = "x"\n' };
    const { exit, out, err } = await tierline(["check-config", "a.toml"], { files });
    expect(exit).toBe(78);
    expect(out).toBe("");
    expect(err).toBe(
      "a.toml:2:1: unknown key levle in [log]\n  did you mean level?\n" +
        'a.toml:4:15: drain.deadline_ms must be a whole number of milliseconds from 0 to 9999, not "x"\n' +
        "2 errors in the configuration.\n",
    );
  });

  test("prints the same as JSON, each error with all five keys", async () => {
    const files = { "a.toml": "[log]\nlevle = 1\n" };
    const env = { TIERLINE_LOG_LEVEL: "x" };
    const { exit, out } = await tierline(["check-config", "--json", "a.toml"], { files, env });
    expect(exit).toBe(78);
    expect(JSON.parse(out).errors).toEqual([
      expect.objectContaining({ file: null, line: null, column: null, hint: null }),
      {
        file: "a.toml",
        line: 2,
        column: 1,
        message: "unknown key levle in [log]",
        hint: "did you mean level?",
      },
    ]);
  });

  test("takes the file from $TIERLINE_CONFIG, and a missing one is 78", async () => {
    const env = { TIERLINE_CONFIG: "a.toml" };
    expect(await tierline(["check-config"], { env, files: { "a.toml": good } })).toMatchObject({ exit: 0 });
    expect(await tierline(["check-config"], { env })).toMatchObject({ exit: 78 });
  });
});

describe("print-config", () => {
  test("prints what holds and who said so", async () => {
    const env = { TIERLINE_LOG_LEVEL: "warn" };
    const { exit, out } = await tierline(["print-config", "--config", "a.toml"], {
      files: { "a.toml": good },
      env,
    });
    expect(exit).toBe(0);
    expect(out).toContain('level = "warn" # env TIERLINE_LOG_LEVEL\n');
    expect(out).toContain('kind = "vllm" # file:3\n');
    expect(out).toContain('public = "127.0.0.1:8010" # default\n');
  });

  test("--default leaves file and environment aside", async () => {
    const env = { TIERLINE_LOG_LEVEL: "warn", TIERLINE_CONFIG: "missing.toml" };
    const { exit, out } = await tierline(["print-config", "--default", "--json"], { env });
    expect(exit).toBe(0);
    expect(JSON.parse(out).log.level).toEqual({ value: "info", origin: "default" });
  });

  test("of a bad file prints its errors and exits 78", async () => {
    const { exit, out, err } = await tierline(["print-config", "--config", "a.toml"], {
      files: { "a.toml": "x" },
    });
    expect({ exit, out, err }).toEqual({
      exit: 78,
      out: "",
      err: "a.toml:1:1: a = is missing after the key\n",
    });
  });
});
