// What the benches hold tierline to, and why. One table: the runners judge by it, docs/benchmarks.md prints it.
// Ratios and differences inside one round of one run, because absolute times move from machine to machine.

export type MeasureId = keyof typeof measures;

export interface Measure {
  readonly what: string;
  readonly unit: string;
  readonly digits: number;
}

/** Everything that is measured, of every contestant that it can be measured of. */
export const measures = {
  "chat-1k-rate": { what: "chat, 1 kB body, 32 at a time", unit: "req/s", digits: 0 },
  "chat-1k-cpu": { what: "CPU of that", unit: "s/1,000 req", digits: 4 },
  "chat-1k-busy": { what: "of its core used by that", unit: "share", digits: 2 },
  "chat-8k-rate": { what: "chat, 8 kB body, 32 at a time", unit: "req/s", digits: 0 },
  "chat-8k-cpu": { what: "CPU of that", unit: "s/1,000 req", digits: 4 },
  "chat-64k-rate": { what: "chat, 64 kB body, 32 at a time", unit: "req/s", digits: 0 },
  "chat-64k-cpu": { what: "CPU of that", unit: "s/1,000 req", digits: 4 },
  "latency-p50": { what: "chat, 1 kB, one at a time, p50", unit: "ms", digits: 3 },
  "latency-p99": { what: "the same, p99", unit: "ms", digits: 3 },
  "ttft-p50": { what: "first token of 32 streams at a time, p50", unit: "ms", digits: 3 },
  "ttft-p99": { what: "the same, p99", unit: "ms", digits: 3 },
  "chunk-cpu": { what: "CPU per relayed SSE event", unit: "µs", digits: 1 },
  "gone-mid-p99": { what: "client gone in mid-stream → engine's socket closed, p99", unit: "ms", digits: 2 },
  "gone-before-p99": { what: "client gone before the first byte → the same, p99", unit: "ms", digits: 2 },
  start: { what: "start to first answered chat", unit: "ms", digits: 0 },
  "rss-idle": { what: "resident memory, idle", unit: "MB", digits: 0 },
  "rss-million": { what: "resident memory after 1,000,000 chats", unit: "MB", digits: 0 },
  "hang-failures": { what: "failures while one of two engines hangs", unit: "of 1,400", digits: 0 },
  "cache-speed-up": { what: "mean speed-up by the result cache at 70 % repeats", unit: "times", digits: 2 },
  "cache-miss-cost": {
    what: "mean latency that the result cache costs, nothing asked twice, engine of 9 ms a token",
    unit: "%",
    digits: 2,
  },
  "cache-miss-rate-cost": {
    what: "req/s that the result cache costs, nothing asked twice",
    unit: "%",
    digits: 1,
  },
  "cache-miss-latency-cost": { what: "the same in p50, one at a time", unit: "%", digits: 1 },
  "intents-single": { what: "intents as JSON, one a request", unit: "intents/s of a core", digits: 0 },
  "intents-json-1": { what: "intents as JSON, batches of 1", unit: "intents/s of a core", digits: 0 },
  "intents-json-16": { what: "intents as JSON, batches of 16", unit: "intents/s of a core", digits: 0 },
  "intents-json-64": { what: "intents as JSON, batches of 64", unit: "intents/s of a core", digits: 0 },
  "intents-json-256": { what: "intents as JSON, batches of 256", unit: "intents/s of a core", digits: 0 },
  "intents-post-1": {
    what: "intents in frames over POST, batches of 1",
    unit: "intents/s of a core",
    digits: 0,
  },
  "intents-post-16": {
    what: "intents in frames over POST, batches of 16",
    unit: "intents/s of a core",
    digits: 0,
  },
  "intents-post-64": {
    what: "intents in frames over POST, batches of 64",
    unit: "intents/s of a core",
    digits: 0,
  },
  "intents-post-256": {
    what: "intents in frames over POST, batches of 256",
    unit: "intents/s of a core",
    digits: 0,
  },
  "intents-socket-1": {
    what: "intents in frames over WebSocket, batches of 1",
    unit: "intents/s of a core",
    digits: 0,
  },
  "intents-socket-16": {
    what: "intents in frames over WebSocket, batches of 16",
    unit: "intents/s of a core",
    digits: 0,
  },
  "intents-socket-64": {
    what: "intents in frames over WebSocket, batches of 64",
    unit: "intents/s of a core",
    digits: 0,
  },
  "intents-socket-256": {
    what: "intents in frames over WebSocket, batches of 256",
    unit: "intents/s of a core",
    digits: 0,
  },
  "intents-busy": { what: "of its core used by those, the least", unit: "share", digits: 2 },
  "half-single-p50": { what: "a hit as JSON at half of the most requests, p50", unit: "ms", digits: 3 },
  "half-single-p99": { what: "the same, p99", unit: "ms", digits: 3 },
  "half-single-max": { what: "the same, longest", unit: "ms", digits: 2 },
  "half-single-blind": { what: "of that perhaps the driver's own pause, longest", unit: "ms", digits: 2 },
  "half-socket-p50": {
    what: "a frame of 64 hits over WebSocket at half of the most frames, p50",
    unit: "ms",
    digits: 3,
  },
  "half-socket-p99": { what: "the same, p99", unit: "ms", digits: 3 },
  "half-socket-max": { what: "the same, longest", unit: "ms", digits: 2 },
  "half-socket-blind": { what: "of that perhaps the driver's own pause, longest", unit: "ms", digits: 2 },
  "hung-p50": { what: "an intent that nobody knows while every engine hangs, p50", unit: "ms", digits: 2 },
  "hung-p99": { what: "an intent that nobody knows while every engine hangs, p99", unit: "ms", digits: 2 },
  "hung-max": { what: "the same, longest", unit: "ms", digits: 2 },
  "hung-blind": { what: "of that perhaps the driver's own pause, longest", unit: "ms", digits: 2 },
  "look-up": { what: "one look-up among 100,000 entries, quietest of five", unit: "ns", digits: 0 },
  "intents-rss-idle": { what: "resident memory with archetypes, idle", unit: "MB", digits: 0 },
  "intents-rss-first": { what: "more of it after the first 100,000 entries", unit: "MB", digits: 0 },
  "intents-rss-next": { what: "more of it after the next 100,000 entries", unit: "MB", digits: 0 },
  "hang-return": { what: "healed engine used again after", unit: "s", digits: 2 },
  "gossip-10-cpu": { what: "gossip with 10 peers, CPU", unit: "% of a core", digits: 2 },
  "gossip-10-traffic": { what: "the same, both ways", unit: "Mbit/s", digits: 2 },
  "gossip-10-in": { what: "of that in", unit: "Mbit/s", digits: 2 },
  "gossip-10-out": { what: "and out", unit: "Mbit/s", digits: 2 },
  "gossip-10-requests": { what: "the same, requests both ways", unit: "a second", digits: 1 },
  "gossip-10-connections": { what: "the same, connections", unit: "open", digits: 0 },
  "gossip-10-memory": { what: "the same, resident memory", unit: "MB more", digits: 0 },
  "gossip-100-cpu": { what: "gossip with 100 peers, CPU", unit: "% of a core", digits: 2 },
  "gossip-100-traffic": { what: "the same, both ways", unit: "Mbit/s", digits: 2 },
  "gossip-100-in": { what: "of that in", unit: "Mbit/s", digits: 2 },
  "gossip-100-out": { what: "and out", unit: "Mbit/s", digits: 2 },
  "gossip-100-requests": { what: "the same, requests both ways", unit: "a second", digits: 1 },
  "gossip-100-connections": { what: "the same, connections", unit: "open", digits: 0 },
  "gossip-100-memory": { what: "the same, resident memory", unit: "MB more", digits: 0 },
  "gossip-500-cpu": { what: "gossip with 500 peers, CPU", unit: "% of a core", digits: 2 },
  "gossip-500-traffic": { what: "the same, both ways", unit: "Mbit/s", digits: 2 },
  "gossip-500-in": { what: "of that in", unit: "Mbit/s", digits: 2 },
  "gossip-500-out": { what: "and out", unit: "Mbit/s", digits: 2 },
  "gossip-500-requests": { what: "the same, requests both ways", unit: "a second", digits: 1 },
  "gossip-500-connections": { what: "the same, connections", unit: "open", digits: 0 },
  "gossip-500-memory": { what: "the same, resident memory", unit: "MB more", digits: 0 },
  "bronze-none-p99": { what: "chat, 1 kB, one at a time, without Bronze, p99", unit: "ms", digits: 3 },
  "bronze-well-p99": {
    what: "the same p99 while Bronze does ten jobs a second, over it",
    unit: "×",
    digits: 2,
  },
  "bronze-throttled-p99": { what: "the same p99 while Bronze throttles, over it", unit: "×", digits: 2 },
  "bronze-failing-p99": { what: "the same p99 while Bronze answers 500, over it", unit: "×", digits: 2 },
  "bronze-hanging-p99": { what: "the same p99 while Bronze says nothing, over it", unit: "×", digits: 2 },
  "bronze-resetting-p99": {
    what: "the same p99 while Bronze takes jobs and resets, over it",
    unit: "×",
    digits: 2,
  },
  "bronze-torn-p99": { what: "the same p99 while S3's answers break off, over it", unit: "×", digits: 2 },
  "bronze-no-keys-p99": { what: "the same p99 while no credentials, over it", unit: "×", digits: 2 },
  "bronze-gone-p99": { what: "the same p99 while nobody there at all, over it", unit: "×", digits: 2 },
} as const satisfies Record<string, Measure>;

export interface Budget {
  readonly measure: MeasureId;
  /** What is judged: our figure over the reference's, minus it, or alone. */
  readonly judge: "ratio" | "difference" | "plain";
  readonly against?: "haproxy" | "direct" | "echo" | "tierline";
  /** Of the reference, where that is another measure than ours. */
  readonly of?: MeasureId;
  readonly bound: "at least" | "at most";
  readonly limit: number;
  readonly reason: string;
}

export const budgets: readonly Budget[] = [
  {
    measure: "chat-1k-rate",
    judge: "ratio",
    against: "haproxy",
    bound: "at least",
    limit: 0.5,
    reason:
      "HAProxy is what one core can do without reading the request; a router that routes by body, counts and watches may cost as much again. The next target is 0.7.",
  },
  {
    measure: "chat-8k-rate",
    judge: "ratio",
    against: "haproxy",
    bound: "at least",
    limit: 0.45,
    reason: "A dialogue with its history: finding `model` must not cost a parse of everything else.",
  },
  {
    measure: "chat-64k-rate",
    judge: "ratio",
    against: "haproxy",
    bound: "at least",
    limit: 0.4,
    reason: "A full context window: what is left is copying bytes.",
  },
  {
    measure: "latency-p50",
    judge: "difference",
    against: "direct",
    bound: "at most",
    limit: 0.3,
    reason: "A token of Gold takes 9 ms of a frame's 16; the way there may take 2 % of it.",
  },
  {
    measure: "ttft-p50",
    judge: "difference",
    against: "direct",
    bound: "at most",
    limit: 0.5,
    reason: "Every event is passed on when it comes; waiting to fill a buffer would show here.",
  },
  {
    measure: "chunk-cpu",
    judge: "ratio",
    against: "haproxy",
    bound: "at most",
    limit: 1.5,
    reason: "A host with 64 streams of 100 tokens a second relays 6,400 events a second beside the engine.",
  },
  {
    measure: "gone-mid-p99",
    judge: "plain",
    bound: "at most",
    limit: 5,
    reason: "A player who walked away must not keep a slot of the GPU for another decode step.",
  },
  {
    measure: "gone-before-p99",
    judge: "plain",
    bound: "at most",
    limit: 5,
    reason: "The same while the request still waits for its first token.",
  },
  {
    measure: "start",
    judge: "plain",
    bound: "at most",
    limit: 100,
    reason: "A restart is shorter than a retry.",
  },
  {
    measure: "rss-idle",
    judge: "plain",
    bound: "at most",
    limit: 60,
    reason: "It shares the host with an engine that wants all the memory there is.",
  },
  {
    measure: "rss-million",
    judge: "plain",
    bound: "at most",
    limit: 90,
    reason: "What grows with requests served is a leak.",
  },
  {
    measure: "hang-failures",
    judge: "plain",
    bound: "at most",
    limit: 5,
    reason:
      "A hung engine still passes its health check. Silence is seen in about 250 ms and everything in flight is moved, inside the second that a client waits.",
  },
  {
    measure: "cache-speed-up",
    judge: "plain",
    bound: "at least",
    limit: 3,
    reason:
      "The three in ten that are new still wait for an engine, so 3.33 is what a free cache could give.",
  },
  {
    measure: "cache-miss-cost",
    judge: "plain",
    bound: "at most",
    limit: 1,
    reason:
      "What a question that nobody asked before pays, beside an engine that takes as long as engines do.",
  },
  {
    measure: "cache-miss-rate-cost",
    judge: "plain",
    bound: "at most",
    limit: 10,
    reason: "Writing the key, hashing it and keeping the answer, at the full speed of one core.",
  },
  {
    measure: "cache-miss-latency-cost",
    judge: "plain",
    bound: "at most",
    limit: 10,
    reason: "The same where nothing else waits; beside an engine that takes milliseconds it cannot be seen.",
  },
  {
    measure: "intents-single",
    judge: "ratio",
    against: "echo",
    bound: "at least",
    limit: 0.7,
    reason: "Bun.serve alone, saying back the JSON that it got: three tenths for knowing what it means.",
  },
  {
    measure: "intents-json-64",
    judge: "ratio",
    against: "tierline",
    of: "intents-single",
    bound: "at least",
    limit: 12,
    reason: "A game server asks for all its NPCs in a tick at once; the request around them is paid once.",
  },
  {
    measure: "intents-socket-64",
    judge: "ratio",
    against: "tierline",
    of: "intents-json-64",
    bound: "at least",
    limit: 3,
    reason: "What writing a frame instead of JSON is worth to a game that does.",
  },
  {
    measure: "intents-socket-64",
    judge: "ratio",
    against: "tierline",
    of: "intents-single",
    bound: "at least",
    limit: 40,
    reason: "The same, beside asking for one NPC at a time.",
  },
  {
    measure: "look-up",
    judge: "plain",
    bound: "at most",
    limit: 350,
    reason: "A batch of 64 looks up 64 times; beyond this it would show in the frame.",
  },
  {
    measure: "hung-p99",
    judge: "plain",
    bound: "at most",
    limit: 16,
    reason:
      "The deadline is 14 ms and the frame 16. 2,000 situations a second that are in no table, and no engine says a word: the default comes in time.",
  },
  {
    measure: "gossip-500-cpu",
    judge: "plain",
    bound: "at most",
    limit: 1,
    reason:
      "In the largest fleet that is promised, knowing everybody costs what a handful of chats a second do.",
  },
  {
    measure: "gossip-500-traffic",
    judge: "plain",
    bound: "at most",
    limit: 2,
    reason: "One part in twelve thousand of what a GPU host's network carries.",
  },
  {
    measure: "gossip-500-requests",
    judge: "plain",
    bound: "at most",
    limit: 17,
    reason:
      "Three exchanges every half second and a probe a second, each way, whatever the size of the fleet; and what does not fit into one message.",
  },
  {
    measure: "bronze-well-p99",
    judge: "plain",
    bound: "at most",
    limit: 1.25,
    reason:
      "Ten jobs a second are accepted, handed over and collected on the loop that answers players: each costs a sync of the disk and no chat more than that.",
  },
  {
    measure: "bronze-throttled-p99",
    judge: "plain",
    bound: "at most",
    limit: 1.25,
    reason: "Five hundred jobs wait; one call now and then learns for all that they still have to.",
  },
  {
    measure: "bronze-failing-p99",
    judge: "plain",
    bound: "at most",
    limit: 1.25,
    reason: "As throttled.",
  },
  {
    measure: "bronze-hanging-p99",
    judge: "plain",
    bound: "at most",
    limit: 1.25,
    reason: "A call that hangs holds a connection and nothing else.",
  },
  {
    measure: "bronze-resetting-p99",
    judge: "plain",
    bound: "at most",
    limit: 1.25,
    reason: "Each call may have been taken: looks come before any repeat.",
  },
  {
    measure: "bronze-torn-p99",
    judge: "plain",
    bound: "at most",
    limit: 1.25,
    reason: "Results that are there and cannot be read whole are looked for again.",
  },
  {
    measure: "bronze-no-keys-p99",
    judge: "plain",
    bound: "at most",
    limit: 1.25,
    reason: "The SDK asks the metadata service once for all.",
  },
  {
    measure: "bronze-gone-p99",
    judge: "plain",
    bound: "at most",
    limit: 1.25,
    reason: "A machine without a network to AWS has all of its players still.",
  },
];
