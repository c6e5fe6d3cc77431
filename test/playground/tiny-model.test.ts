// The generated model file: its form, and that it is the same wherever it is made.

import { expect, test } from "bun:test";
import { tinyModelBytes, tinyModelFile } from "../../playground/tiny-model.ts";

test("the file begins as GGUF version 3 and weighs about half a megabyte", () => {
  const bytes = tinyModelBytes(1);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  expect(Buffer.from(bytes.subarray(0, 4)).toString()).toBe("GGUF");
  expect(view.getUint32(4, true)).toBe(3);
  expect(bytes.length).toBeGreaterThan(500_000);
  expect(bytes.length).toBeLessThan(540_000);
});

test("the same seed gives the same bytes, another seed others", () => {
  expect(Buffer.compare(tinyModelBytes(1), tinyModelBytes(1))).toBe(0);
  expect(Buffer.compare(tinyModelBytes(1), tinyModelBytes(2))).not.toBe(0);
});

test("the file is named by its content and written once", async () => {
  const path = await tinyModelFile();
  const { lastModified } = Bun.file(path);
  expect(await tinyModelFile()).toBe(path);
  expect(Bun.file(path).lastModified).toBe(lastModified);
});
