// Continuous batching as vLLM does it, in time but not in arithmetic: who runs, who waits, when a token is due.
// The engine around it decides what the tokens say.

import type { Clock } from "../../src/base/clock.ts";

export interface SchedulerOptions {
  /** Decode time of one token for a sequence that runs alone. */
  readonly msPerToken: number;
  /** Prefill adds this per prompt token that no cache holds. */
  readonly msPerPromptToken: number;
  /** Sequences decoded together; the rest waits. */
  readonly maxRunning: number;
  /** A full batch decodes this much slower than a lone sequence: 0.5 = half as slow again. */
  readonly fullBatchSlowdown: number;
  /** Blocks of 16 tokens that the KV cache holds. */
  readonly kvBlocks: number;
  /** Whether `priority` orders the queue (lower first), as with vLLM's `--scheduling-policy priority`. */
  readonly byPriority: boolean;
}

interface SequenceSpec {
  readonly promptTokens: number;
  /** Of these, how many a prefix cache already holds. */
  readonly cachedTokens: number;
  /** How many tokens it will write, at least 1. */
  readonly tokens: number;
  readonly priority: number;
  onToken(index: number): void;
}

export interface SchedulerCounts {
  readonly running: number;
  readonly waiting: number;
  readonly kvUsage: number;
  readonly preemptions: number;
  readonly promptTokens: number;
  readonly generatedTokens: number;
  readonly peakRunning: number;
}

export interface Scheduler {
  /** Queues a sequence; the returned function aborts it and frees its place, and says whether it was still alive. */
  submit(spec: SequenceSpec): () => boolean;
  counts(): SchedulerCounts;
  /** No token is written until `resume`: what a stopped GPU worker looks like. */
  pause(): void;
  resume(): void;
  stop(): void;
}

interface Sequence {
  readonly spec: SequenceSpec;
  readonly arrival: number;
  written: number;
  dueAt: number;
  state: "waiting" | "running" | "ended";
}

export const tokensPerBlock = 16;
/** Timers fire on whole milliseconds; a token this close to its time is due. */
const dueSlackMs = 0.5;

export function createScheduler(options: SchedulerOptions, clock: Clock): Scheduler {
  const waiting: Sequence[] = [];
  const running: Sequence[] = [];
  let blocksUsed = 0;
  let arrivals = 0;
  let preemptions = 0;
  let promptTokens = 0;
  let generatedTokens = 0;
  let peakRunning = 0;
  let pausedAt: number | undefined;
  let ticking = false;
  let disarm = (): void => {};
  let timerAt = Number.POSITIVE_INFINITY;

  const comesBefore = (a: Sequence, b: Sequence): boolean =>
    options.byPriority && a.spec.priority !== b.spec.priority
      ? a.spec.priority < b.spec.priority
      : a.arrival < b.arrival;

  const enqueue = (sequence: Sequence): void => {
    sequence.state = "waiting";
    let at = waiting.length;
    while (at > 0) {
      const before = waiting[at - 1];
      if (before === undefined || comesBefore(before, sequence)) break;
      at -= 1;
    }
    waiting.splice(at, 0, sequence);
  };

  const admit = (now: number): void => {
    for (
      let head = waiting[0];
      head !== undefined && running.length < options.maxRunning;
      head = waiting[0]
    ) {
      const blocks = blocksOf(head);
      if (blocksUsed + blocks > options.kvBlocks && running.length > 0) return;
      waiting.shift();
      running.push(head);
      head.state = "running";
      blocksUsed += blocks;
      peakRunning = Math.max(peakRunning, running.length);
      const toCompute = head.spec.promptTokens + head.written - head.spec.cachedTokens;
      promptTokens += head.written === 0 ? head.spec.promptTokens : 0;
      // The prefill is a forward pass like any other, and its last position gives the first token.
      head.dueAt = now + stepMs() + toCompute * options.msPerPromptToken;
    }
  };

  const stepMs = (): number => {
    const fullness = options.maxRunning > 1 ? (running.length - 1) / (options.maxRunning - 1) : 0;
    return options.msPerToken * (1 + options.fullBatchSlowdown * Math.max(0, fullness));
  };

  const leave = (sequence: Sequence): void => {
    const from = sequence.state === "running" ? running : waiting;
    const at = from.indexOf(sequence);
    if (at >= 0) from.splice(at, 1);
    if (sequence.state === "running") blocksUsed -= blocksOf(sequence);
    sequence.state = "ended";
  };

  /** Makes room for one block by sending the latest arrival back to the queue; its tokens are recomputed later. */
  const preemptOther = (than: Sequence): boolean => {
    const victim = running.findLast((sequence) => sequence !== than);
    if (victim === undefined) return false;
    leave(victim);
    preemptions += 1;
    enqueue(victim);
    return true;
  };

  const write = (sequence: Sequence): void => {
    const before = blocksOf(sequence);
    sequence.written += 1;
    generatedTokens += 1;
    const grown = blocksOf(sequence) - before;
    if (grown > 0) {
      while (blocksUsed + grown > options.kvBlocks && preemptOther(sequence));
      blocksUsed += grown;
    }
    if (sequence.written >= sequence.spec.tokens) leave(sequence);
    else sequence.dueAt += stepMs();
    sequence.spec.onToken(sequence.written - 1);
  };

  const tick = (): void => {
    if (ticking || pausedAt !== undefined) return;
    ticking = true;
    for (;;) {
      const now = clock.now();
      admit(now);
      const due = running.filter((sequence) => sequence.dueAt <= now + dueSlackMs);
      if (due.length === 0) break;
      for (const sequence of due) if (sequence.state === "running") write(sequence);
    }
    ticking = false;
    arm();
  };

  const arm = (): void => {
    let earliest = Number.POSITIVE_INFINITY;
    for (const sequence of running) earliest = Math.min(earliest, sequence.dueAt);
    if (earliest === timerAt) return;
    disarm();
    timerAt = earliest;
    if (earliest === Number.POSITIVE_INFINITY) return;
    disarm = clock.after(Math.max(0, earliest - clock.now()), () => {
      timerAt = Number.POSITIVE_INFINITY;
      tick();
    });
  };

  return {
    submit(spec) {
      arrivals += 1;
      const sequence: Sequence = { spec, arrival: arrivals, written: 0, dueAt: 0, state: "waiting" };
      enqueue(sequence);
      tick();
      return () => {
        if (sequence.state === "ended") return false;
        leave(sequence);
        tick();
        return true;
      };
    },
    counts: () => ({
      running: running.length,
      waiting: waiting.length,
      kvUsage: Math.min(1, blocksUsed / options.kvBlocks),
      preemptions,
      promptTokens,
      generatedTokens,
      peakRunning,
    }),
    pause() {
      pausedAt ??= clock.now();
      disarm();
      timerAt = Number.POSITIVE_INFINITY;
    },
    resume() {
      if (pausedAt === undefined) return;
      const pausedMs = clock.now() - pausedAt;
      pausedAt = undefined;
      for (const sequence of running) sequence.dueAt += pausedMs;
      tick();
    },
    stop() {
      disarm();
      running.length = 0;
      waiting.length = 0;
    },
  };
}

function blocksOf(sequence: Sequence): number {
  return Math.ceil((sequence.spec.promptTokens + sequence.written) / tokensPerBlock);
}
