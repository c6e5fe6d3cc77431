// The faults that tierline is tested against: one row a scenario. The tests of a row bear "(fault NN)" in their titles.

export interface Fault {
  readonly number: number;
  readonly fault: string;
  /** What surviving it means, beside what always holds: the process stays up in bounded memory, every caller gets a
   * valid answer or an honest error by the deadline, and a metric names the cause. */
  readonly survives: string;
  /** What of it cannot be had on the machines that run the tests, and what is done instead. */
  readonly instead?: string;
  /** What of it is not reached, although its tests pass. */
  readonly short?: string;
}

export const faults: readonly Fault[] = [
  { number: 1, fault: "Engine killed while idle", survives: "next request served by peer or next tier" },
  {
    number: 2,
    fault: "Engine killed mid-stream",
    survives: "error event, **no clean terminator**, no retry",
  },
  {
    number: 3,
    fault: "Engine accepts, sends no headers",
    survives: "header timeout -> fallback; breaker opens in <= 3",
  },
  { number: 4, fault: "Slow first token", survives: "hedge or fallback only within budget" },
  { number: 5, fault: "50 % 500s", survives: "breaker per model; other models unaffected" },
  { number: 6, fault: "503/429 with retry-after", survives: "counted as load" },
  { number: 7, fault: "OOM-restart loop", survives: "slow start, <= 1 probe/s" },
  { number: 8, fault: "Truncated chunked, short CL, cut trailer", survives: "error surfaced" },
  { number: 9, fault: "Garbage, huge headers, gzip bomb", survives: "502, memory bounded" },
  { number: 10, fault: "Keep-alive closed exactly on reuse", survives: "0 client-visible failures in 10^5" },
  { number: 11, fault: "Half-open peer (NAT drop)", survives: "<= attempt timeout, then a fresh connection" },
  { number: 12, fault: "SYN black hole", survives: "<= 250 ms, then next" },
  {
    number: 13,
    fault: "Peer crash",
    survives: "dead everywhere within 8 s among ten hosts; nothing new goes there after 250 ms",
  },
  {
    number: 14,
    fault: "Peer SIGSTOP 1/2/4/10 s",
    survives: "no false dead <= 4 s; rejoins without a flap at 10 s",
  },
  {
    number: 15,
    fault: "Own event-loop stall",
    survives: "we accuse nobody (score), refuse overflow",
    instead:
      "Who stands still cannot refuse: its peers stop sending by themselves, and what they had sent it by then they answer elsewhere",
  },
  {
    number: 16,
    fault: "One-way partition A-/->B",
    survives: "indirect probe keeps B alive; A routes around",
  },
  {
    number: 17,
    fault: "Split 50/50 for 10 min",
    survives: "both halves serve; merged <= 5 s after heal, no manual step",
  },
  {
    number: 18,
    fault: "Link flaps every 2 s",
    survives: "<= 1 state change per 10 s",
    short:
      "A link between two changes nothing. Where all links of a host flap, it is once in 10 s on average: the damping begins with the third return, after up to five changes",
  },
  { number: 19, fault: "25 % loss + 100 ms jitter", survives: "0 false dead" },
  { number: 20, fault: "Same id/new IP, same IP/new id", survives: "newest incarnation wins <= 3 s" },
  { number: 21, fault: "Cloned AMI, duplicate id", survives: "detected, alarm, both serve locally" },
  {
    number: 22,
    fault: "Clock step +-1 h",
    survives: "no expiry or breaker change; job TTL on bounded wall clock",
  },
  { number: 23, fault: "Bad MAC, oversize, replay, wrong label", survives: "dropped, counted" },
  {
    number: 24,
    fault: "All seeds down at boot",
    survives: "serve locally at once, keep trying, last-known peers",
  },
  {
    number: 25,
    fault: "500 hosts boot together",
    survives: "joined <= 10 s, <= 50 conn/s per seed",
    short:
      "At their very first boot nobody knows how many they are, so all call at once, and one seed of three takes more than 50 in the first second; from the second boot on they spread, and with 64 seeds they spread from the first",
  },
  { number: 26, fault: "30 % of hosts killed", survives: "survivors shed; no cascade; <= 50 % ejected" },
  {
    number: 27,
    fault: "One idle host advertised (herd)",
    survives: "<= 2x its capacity reaches it",
    short:
      "The share of each router is worked out from news: until there is some, as when all fill up within one advert's time, more reaches it, and one slot cannot be divided, so that it may be asked for three times over",
  },
  { number: 28, fault: "Retry storm in total outage", survives: "<= 1.10x" },
  {
    number: 29,
    fault: "10x load spike",
    survives:
      "goodput at least 90 % of the peak; p99 of what is admitted at most 1.5 times that without load",
  },
  {
    number: 30,
    fault: "2,000 slow readers",
    survives:
      "<= 64 KB each in the process (Bun reports pressure only after ~4 MB of kernel buffer: `tcp_wmem` advice in docs); stalled > 10 s cut; others unaffected",
    short:
      "whole answers that nobody reads take more: they are gathered up to 256 kB, so that a cut one can be asked for again",
  },
  { number: 31, fault: "5,000 slowloris headers/bodies", survives: "real p99 +<= 10 %" },
  {
    number: 32,
    fault: "fd exhaustion",
    survives: "503 + `connection: close` above half of the limit, never spin",
  },
  { number: 33, fault: "1,000 disconnects/s", survives: "upstream cancelled, no leak" },
  {
    number: 34,
    fault: "Duplicate Host, CL.TE corpus, pipelining",
    survives: "4xx or correct, never desync; pipelining is closed, not answered (Bun)",
  },
  {
    number: 35,
    fault: "Router kill -9 under load",
    survives: "back <= 1 s, jobs resume, peers reroute",
    instead: "the 250 ms after which systemd starts it again come on top",
  },
  {
    number: 36,
    fault: "Power cut (files snapshotted at each fsync)",
    survives: "no acked job lost",
    instead:
      "no machine is switched off: the system calls that the store really makes are replayed up to random moments, what was synced whole and the rest in part",
  },
  { number: 37, fault: "Disk full, read-only, EIO", survives: "async 503, sync unaffected" },
  { number: 38, fault: "SQLite corrupt", survives: "quarantine, start empty, manifest replay" },
  {
    number: 39,
    fault: "SageMaker 500/503/throttle/slow/accept-then-reset",
    survives: "same key re-submitted, one result",
  },
  {
    number: 40,
    fault: "SageMaker at zero or no capacity",
    survives: "stays queued, honest status, expires at TTL",
  },
  { number: 41, fault: "Output never appears", survives: "`expired` at the bound" },
  { number: 42, fault: "IMDS or credentials expired", survives: "early refresh, jobs wait" },
  { number: 43, fault: "DNS down", survives: "peers by IP, AWS backs off" },
  { number: 44, fault: "Memory 85/92/95 %", survives: "cache -> keep-alive -> shed" },
  { number: 45, fault: "CPU starved by the engine", survives: "gossip <= 2 s stale, score rises" },
  {
    number: 46,
    fault: "SIGTERM in streams, twice, deadline hit",
    survives: "drain, then cut with an error event",
  },
  { number: 47, fault: "Mixed protocol versions", survives: "interoperate one version back" },
  { number: 48, fault: "Bad config reload", survives: "old config kept" },
  {
    number: 49,
    fault: "Poison request or job crashing engines",
    survives: "<= 3 tries fleet-wide, then quarantined",
  },
  { number: 50, fault: "One player floods", survives: "fair share holds" },
];
