import { describe, expect, test } from "bun:test";
import { readKeys } from "../../src/config/keys-file.ts";

const form = "each line is name:key; empty lines and lines that start with # are skipped";

describe("readKeys", () => {
  test("reads a name and a key a line, and skips comments and empty lines", () => {
    expect(readKeys("# callers\r\nlobby:k1\r\n\n  ci:k:2  \n", "keys")).toEqual({
      ok: true,
      keys: [
        { name: "lobby", key: "k1" },
        { name: "ci", key: "k:2" },
      ],
    });
  });

  test("takes two keys of one name, the old and the new", () => {
    expect(readKeys("lobby:old\nci:k\nlobby:new\n", "keys")).toEqual({
      ok: true,
      keys: [
        { name: "lobby", key: "old" },
        { name: "ci", key: "k" },
        { name: "lobby", key: "new" },
      ],
    });
  });

  test.each([
    ["a line without a colon", "a:k\nsecret-without-name", 2, "this line has no colon", form],
    [
      "a name with spaces",
      "my secret:k",
      1,
      'the name before the colon is not made of letters, digits, ".", "_" and "-"',
      form,
    ],
    [
      "an empty key",
      "a:",
      1,
      "the key after the colon is empty or has a character that no header can carry",
      form,
    ],
    [
      "a key with a space",
      "a:secret key",
      1,
      "the key after the colon is empty or has a character that no header can carry",
      form,
    ],
    [
      "a name three times",
      "a:k1\nb:k2\na:k3\na:secret",
      4,
      "a third key of the name that is on the lines 1 and 3",
      "two are for a rotation, the old and the new: take the old one out, or give each caller a name of its own",
    ],
    [
      "a key twice",
      "a:secret\n\nb:secret",
      3,
      "the same key as on line 1",
      "a key must tell who its holder is; make a new one",
    ],
  ])("refuses %s by its line, and shows no key", (_, text, line, message, hint) => {
    expect(readKeys(text, "keys")).toEqual({
      ok: false,
      errors: [{ file: "keys", line, column: 1, message, hint }],
    });
    expect(JSON.stringify(readKeys(text, "keys"))).not.toContain("secret");
  });

  test("refuses a file without a key", () => {
    expect(readKeys("# nobody yet\n", "keys")).toMatchObject({
      ok: false,
      errors: [{ message: "there is no key in this file, so nobody could call" }],
    });
  });
});
