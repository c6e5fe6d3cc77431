// Who plays, how often they ask, and what they may expect: the same for whatever stands between them and the engines.

export const cast = {
  npcs: 1_000,
  /** Each has its part of the NPCs, and a host that it goes to first. */
  gameServers: 3,
  ticksPerSecond: 60,
  /** Of one NPC. */
  intentsPerSecond: 2,
  players: 200,
  /** Between a line that was heard and the next, evenly between these. */
  thinkMs: [3_000, 9_000],
  dialogueTokens: 30,
  /** What players and NPCs say in passing: a line that has to come at once. */
  oneLinersPerSecond: 40,
  oneLinerTokens: 8,
  questsPerSecond: 1,
  questTokens: 120,
} as const;

/** What counts as answered, in milliseconds, as the caller sees it; from the first try on. */
export const sla = {
  /** One frame at 60 Hz; routers are told `intentDeadlineMs`. */
  intentMs: 16,
  intentDeadlineMs: 14,
  /** Whole. */
  oneLinerMs: 250,
  /** To the first word; and then all of it, unbroken. */
  firstWordMs: 2_000,
} as const;

/** Who has waited so long gives up. */
export const patience = {
  oneLinerMs: 2_000,
  firstWordMs: 8_000,
  dialogueMs: 30_000,
  questMs: 60_000,
} as const;

export const engines = {
  gold: { model: "npc-3b", port: 8000, msPerToken: 9, slots: 64 },
  silver: { model: "storyteller-7b", port: 8001, msPerToken: 25, slots: 24 },
} as const;

export type Tier = keyof typeof engines;
export const tiers = ["gold", "silver"] as const satisfies readonly Tier[];

export const callClasses = ["intents", "realtime", "interactive", "quests"] as const;
export type CallClass = (typeof callClasses)[number];
