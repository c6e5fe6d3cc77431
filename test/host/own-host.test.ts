import { expect, test } from "bun:test";
import { networkInterfaces } from "node:os";
import { ownHost } from "../../src/host/own-host.ts";

const others = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .filter(({ internal, family }) => !internal && family === "IPv4")
  .map(({ address }) => address);

test("ownHost is where the router listens, if that is one address", async () => {
  expect(await ownHost("10.0.1.10", ["127.0.0.1:8012"])).toBe("10.0.1.10");
  expect(await ownHost("::1", [])).toBe("::1");
});

test("ownHost is the address on the way to the first peer that is written as an address of the same family", async () => {
  expect(await ownHost("0.0.0.0", ["gold-2.internal:8012", "[::1]:8012", "127.0.0.1:8012"])).toBe(
    "127.0.0.1",
  );
  expect(await ownHost("::", ["127.0.0.1:8012"])).toBe("127.0.0.1");
});

test.if(others.length > 0)(
  "ownHost is an address of this machine on the way to any other, or out",
  async () => {
    for (const address of others) expect(await ownHost("0.0.0.0", [`${address}:8012`])).toBe(address);
    const out = await ownHost("0.0.0.0", []);
    if (out !== undefined) expect(others).toContain(out);
  },
);

test("ownHost passes over what is no address, and asks nobody what it is", async () => {
  expect(await ownHost("0.0.0.0", ["", ":", "nobody.invalid:1", "[::zz]:1", "127.0.0.1:1"])).toBe(
    "127.0.0.1",
  );
});
