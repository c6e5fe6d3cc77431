// Picking single series out of an exposition.

import { describe, expect, test } from "bun:test";
import { maxOf, sumOf } from "../../src/engines/prometheus-text.ts";

describe("sumOf", () => {
  test("reads a series without labels, in the first line, in the last one, and without a line end", () => {
    expect(sumOf("a 1\nb 2\n", "a")).toBe(1);
    expect(sumOf("a 1\nb 2\n", "b")).toBe(2);
    expect(sumOf("a 1\nb 2", "b")).toBe(2);
  });

  test("does not take a longer name, a comment or a label for the series", () => {
    expect(sumOf("a_total 1\n", "a")).toBeUndefined();
    expect(sumOf("x_a 1\n", "a")).toBeUndefined();
    expect(sumOf("# HELP a 1\n# TYPE a gauge\n", "a")).toBeUndefined();
    expect(sumOf('b{name="a 1"} 2\n', "a")).toBeUndefined();
  });

  test("is not fooled by braces and quotes inside a label's value", () => {
    expect(sumOf('a{name="}} 9 \\" {",other="x"} 4\n', "a")).toBe(4);
  });

  test("reads what comes before a timestamp or an exemplar", () => {
    expect(sumOf('a{x="1"} 5 1795222404000\n', "a")).toBe(5);
    expect(sumOf('a 5 # {trace="x"} 0.6\n', "a")).toBe(5);
  });

  test("reads exponents and leaves out NaN and infinities", () => {
    expect(sumOf("a 1.5e+03\n", "a")).toBe(1500);
    expect(sumOf('a{i="0"} NaN\na{i="1"} 2\n', "a")).toBe(2);
    expect(sumOf("a +Inf\n", "a")).toBeUndefined();
  });

  test("takes the first name that has a sample", () => {
    expect(sumOf("old 1\nnew 2\n", "new", "old")).toBe(2);
    expect(sumOf("old 1\n", "new", "old")).toBe(1);
  });

  test("says undefined for a row that is cut off", () => {
    for (const cut of ["a", "a ", "a{", 'a{x="', 'a{x="}', "a{}"]) expect(sumOf(cut, "a")).toBeUndefined();
  });
});

test("maxOf takes the largest of a series, and undefined of none", () => {
  expect(maxOf('a{i="0"} 0.2\na{i="1"} 0.7\na{i="2"} 0.1\n', "a")).toBe(0.7);
  expect(maxOf("b 1\n", "a")).toBeUndefined();
});
