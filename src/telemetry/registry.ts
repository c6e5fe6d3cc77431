// A Prometheus registry: counters, gauges and histograms, written so that counting allocates nothing.
// Label values come from closed lists, never from callers, so the number of series is bounded by design.

import type { Histogram } from "../base/histogram.ts";
import { createHistogram } from "../base/histogram.ts";

export interface Counter {
  add(amount: number): void;
}

/** One metric with its labels; a member is made at its first use, and kept until it is forgotten. */
export interface Family<Member> {
  with(...labels: readonly string[]): Member;
  /** Drops every member that has this value for the label; whoever holds one counts for nobody. */
  forget(label: string, value: string): void;
}

export interface Registry {
  counter(name: string, help: string, labels: readonly string[]): Family<Counter>;
  histogram(
    name: string,
    help: string,
    labels: readonly string[],
    bounds: readonly number[],
  ): Family<Histogram>;
  /** Read when somebody asks: `collect` calls `set` once for each series. */
  gauge(
    name: string,
    help: string,
    labels: readonly string[],
    collect: Collect,
    type?: "gauge" | "counter",
  ): void;
  /** The text exposition format, version 0.0.4. */
  expose(): string;
}

export type Collect = (set: (value: number, ...labels: readonly string[]) => void) => void;

export function createRegistry(): Registry {
  const writers: (() => string)[] = [];

  return {
    counter(name, help, labels) {
      const { family, members } = createFamily(labels, () => {
        let value = 0;
        const add = (amount: number): void => {
          value += amount;
        };
        return { add, value: () => value };
      });
      writers.push(() => {
        const lines = members().map(({ key, member }) => `${name}${key} ${member.value()}`);
        return block(name, help, "counter", lines);
      });
      return family;
    },
    histogram(name, help, labels, bounds) {
      const { family, members } = createFamily(labels, () => createHistogram(bounds));
      writers.push(() => {
        const lines = members().flatMap(({ labelled, member }) => histogramLines(name, labelled, member));
        return block(name, help, "histogram", lines);
      });
      return family;
    },
    gauge(name, help, labels, collect, type = "gauge") {
      writers.push(() => {
        const lines: string[] = [];
        collect((value, ...values) => lines.push(`${name}${braces(pairs(labels, values))} ${value}`));
        return block(name, help, type, lines);
      });
    },
    expose: () => writers.map((write) => write()).join(""),
  };
}

interface Member<M> {
  readonly labelled: string;
  readonly key: string;
  readonly values: readonly string[];
  readonly member: M;
}

/** Label values lead through nested maps, because a joined key would be a new string at every count. */
interface Node<M> {
  readonly below: Map<string, Node<M>>;
  leaf?: M;
}

function createFamily<M>(labels: readonly string[], create: () => M) {
  const root: Node<M> = { below: new Map() };
  let all: Member<M>[] = [];

  const family: Family<M> = {
    with(...values) {
      let node = root;
      for (const value of values) {
        let next = node.below.get(value);
        if (next === undefined) {
          next = { below: new Map() };
          node.below.set(value, next);
        }
        node = next;
      }
      if (node.leaf === undefined) {
        if (values.length !== labels.length) throw new Error(`expected the labels ${labels.join(", ")}`);
        node.leaf = create();
        const labelled = pairs(labels, values);
        all.push({ labelled, key: braces(labelled), values, member: node.leaf });
      }
      return node.leaf;
    },
    forget(label, value) {
      const at = labels.indexOf(label);
      if (at < 0) throw new Error(`expected one of the labels ${labels.join(", ")}`);
      all = all.filter(({ values }) => values[at] !== value);
      cut(root, at, value);
    },
  };
  if (labels.length === 0) family.with();
  return { family, members: () => all };
}

/** Takes the value out of the maps of the label at this depth. */
function cut<M>({ below }: Node<M>, depth: number, value: string): void {
  if (depth === 0) below.delete(value);
  else for (const node of below.values()) cut(node, depth - 1, value);
}

function histogramLines(name: string, labelled: string, histogram: Histogram): string[] {
  const prefix = labelled === "" ? "" : `${labelled},`;
  const lines: string[] = [];
  let cumulated = 0;
  histogram.bounds.forEach((bound, index) => {
    cumulated += histogram.counts[index] ?? 0;
    lines.push(`${name}_bucket{${prefix}le="${bound}"} ${cumulated}`);
  });
  lines.push(`${name}_bucket{${prefix}le="+Inf"} ${histogram.count}`);
  lines.push(
    `${name}_sum${braces(labelled)} ${histogram.sum}`,
    `${name}_count${braces(labelled)} ${histogram.count}`,
  );
  return lines;
}

function block(name: string, help: string, type: string, lines: readonly string[]): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.map((line) => `${line}\n`).join("")}`;
}

function pairs(labels: readonly string[], values: readonly string[]): string {
  return labels.map((label, index) => `${label}="${escapeLabel(values[index] ?? "")}"`).join(",");
}

const braces = (labelled: string): string => (labelled === "" ? "" : `{${labelled}}`);

const escapeLabel = (value: string): string =>
  value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
