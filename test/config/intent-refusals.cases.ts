// What an archetype can have wrong with it, and the exact words that it earns. A part of the manual in refusals.cases.ts.

import type { Refusal } from "./refusals.cases.ts";

const guard = `[intents.archetype.guard]
prompt = "A castle guard."
actions = ["patrol", "attack"]
default = "patrol"
`;

/** The features stand from line 6 on. */
const seeing = (...features: readonly string[]): string =>
  `${guard}[intents.archetype.guard.feature]\n${features.join("\n")}\n`;

/** An archetype that sees as many numbers as there are counts, each with so many buckets. */
const withBuckets = (name: string, ...counts: readonly number[]): string =>
  [
    guard.replace("guard", name),
    ...counts.map((count, index) => {
      const edges = Array.from({ length: count - 1 }, (_, edge) => edge);
      return `feature.f${index} = { buckets = [${edges.join(", ")}] }\n`;
    }),
  ].join("");

export const intentRefusals: readonly Refusal[] = [
  {
    situation: "an archetype without anything",
    text: "[intents.archetype.guard]\n",
    says: [
      'has no prompt\n  add prompt = "A castle guard. Keeps the gate, avoids needless fights.", or what it is for you',
      'has no actions\n  add actions = ["patrol", "flee"], or what it is for you',
      'has no default\n  add default = "patrol", or what it is for you',
    ].map((says) => `tierline.toml:1:20: [intents.archetype.guard] ${says}`),
  },
  {
    situation: "an archetype's settings without its name",
    text: '[intents.archetype]\nprompt = "A guard."\n',
    says: [
      'tierline.toml:2:10: intents.archetype.prompt must be a table, not "A guard."\n  give it a table with a name: [intents.archetype.NAME]',
    ],
  },
  {
    situation: "an archetype with a slip in its table's name",
    text: guard.replace("archetype", "archetypes"),
    says: ["tierline.toml:1:10: unknown table [intents.archetypes]\n  did you mean [intents.archetype]?"],
  },
  {
    situation: "an archetype without a default, when its actions are known",
    text: guard.replace(/default.*\n/, ""),
    says: [
      'tierline.toml:1:20: [intents.archetype.guard] has no default\n  add default = "patrol", or another of its actions: "attack"',
    ],
  },
  {
    situation: "an empty prompt",
    text: guard.replace("A castle guard.", " "),
    says: [
      'tierline.toml:2:10: intents.archetype.guard.prompt must be text that is not empty, of at most 16 KB, not " "',
    ],
  },
  {
    situation: "a prompt like a novel",
    text: guard.replace('"A castle guard."', `"""\n${"é".repeat(8001)}"""`),
    says: [
      `tierline.toml:2:10: intents.archetype.guard.prompt must be text that is not empty, of at most 16 KB, not "${"é".repeat(59)}…\n  this is 17 KB long`,
    ],
  },
  {
    situation: "no actions",
    text: guard.replace('"patrol", "attack"', ""),
    says: [
      'tierline.toml:3:11: intents.archetype.guard.actions must be a list of 1 to 20 different actions, such as ["patrol", "flee"], not []',
    ],
  },
  {
    situation: "more actions than an engine tells the odds of",
    text: guard.replace('"attack"', Array.from({ length: 20 }, (_, n) => `"a${n}"`).join()),
    says: [
      'tierline.toml:3:11: intents.archetype.guard.actions must be a list of 1 to 20 different actions, such as ["patrol", "flee"], not ["patrol","a0","a1","a2","a3","a4","a5","a6","a7","a8","a9",…\n  there are 21; 20 is the most',
    ],
  },
  {
    situation: "an action with a space around it, and one of no letters",
    text: guard.replace('"attack"', '"attack ", ""'),
    says: [
      ["22", '"attack "'],
      ["33", '""'],
    ].map(([column, written]) => {
      return `tierline.toml:3:${column}: intents.archetype.guard.actions must be a list of 1 to 20 different actions, such as ["patrol", "flee"], not ${written}\n  1 to 64 characters on one line, no space around them`;
    }),
  },
  {
    situation: "an action twice",
    text: guard.replace("attack", "patrol"),
    says: [
      'tierline.toml:3:22: intents.archetype.guard.actions names "patrol" twice\n  the odds are told of each action once',
    ],
  },
  {
    situation: "a default with a slip",
    text: guard.replace('default = "patrol"', 'default = "patorl"'),
    says: [
      'tierline.toml:4:11: intents.archetype.guard.default is "patorl", which is none of its actions\n  did you mean "patrol"?',
    ],
  },
  {
    situation: "a default that is like none of its actions",
    text: guard.replace('default = "patrol"', 'default = "sing"'),
    says: [
      'tierline.toml:4:11: intents.archetype.guard.default is "sing", which is none of its actions\n  its actions: patrol, attack',
    ],
  },
  {
    situation: "a temperature above all scales",
    text: `${guard}temperature = 2.1\n`,
    says: ["tierline.toml:5:15: intents.archetype.guard.temperature must be a number from 0 to 2, not 2.1"],
  },
  {
    situation: "names that are no names",
    text: `${guard.replace("guard", '"1st"')}feature."far off" = { bool = true }\n`,
    says: [
      'tierline.toml:1:20: the archetype "1st" has no name that clients can rely on\n  letters, digits, _ and -, a letter first, at most 64',
      'tierline.toml:5:9: the feature "far off" of 1st has no name that clients can rely on\n  letters, digits, _ and -, a letter first, at most 64',
    ],
  },
  {
    situation: "a feature that is not a table",
    text: seeing("threat = [0.2]"),
    says: [
      "tierline.toml:6:10: intents.archetype.guard.feature.threat must be a table, not [0.2]\n  such as { buckets = [0.2, 0.5, 0.8] }",
    ],
  },
  {
    situation: "a setting of the archetype below the features' header",
    text: seeing('pick = "sample"'),
    says: [
      'tierline.toml:6:8: intents.archetype.guard.feature.pick must be a table, not "sample"\n  pick belongs in [intents.archetype.guard]: write it above [intents.archetype.guard.feature]',
    ],
  },
  {
    situation: "a slip within a feature",
    text: seeing("threat = { bucket = [0.2] }"),
    says: [
      'tierline.toml:6:1: intents.archetype.guard.feature.threat says nothing of its values\n  write buckets = [0.5] for a number, bool = true, or oneof = ["a", "b"]',
      "tierline.toml:6:12: unknown key bucket in [intents.archetype.guard.feature.threat]\n  did you mean buckets?",
    ],
  },
  {
    situation: "a feature that is two things",
    text: seeing("threat = { bool = true, buckets = [1] }"),
    says: [
      "tierline.toml:6:1: intents.archetype.guard.feature.threat has buckets and bool\n  a feature is one of them: keep that, or make it two features",
    ],
  },
  {
    situation: "a feature that is nothing",
    text: seeing("threat = {}"),
    says: [
      'tierline.toml:6:1: intents.archetype.guard.feature.threat says nothing of its values\n  write buckets = [0.5] for a number, bool = true, or oneof = ["a", "b"]',
    ],
  },
  {
    situation: "a feature that is not to be",
    text: seeing("alerted = { bool = false }"),
    says: [
      "tierline.toml:6:20: intents.archetype.guard.feature.alerted.bool must be true, not false\n  take it out instead",
    ],
  },
  {
    situation: "a unit of what has none",
    text: seeing('weather = { oneof = ["rain"], unit = "mm" }'),
    says: [
      "tierline.toml:6:31: intents.archetype.guard.feature.weather has a unit, but is oneof\n  only numbers, written as buckets, have a unit: take it out",
    ],
  },
  {
    situation: "edges out of order, and an edge twice",
    text: seeing("a = { buckets = [1, 3, 2] }", "b = { buckets = [1, 1] }"),
    says: [
      "tierline.toml:6:24: intents.archetype.guard.feature.a.buckets goes from 3 to 2, and edges must rise\n  in order: [1, 2, 3]",
      "tierline.toml:7:21: intents.archetype.guard.feature.b.buckets goes from 1 to 1, and edges must rise\n  in order: [1]",
    ],
  },
  {
    situation: "an edge without end, and no edges",
    text: seeing("a = { buckets = [1, inf] }", "b = { buckets = [] }"),
    says: [
      "tierline.toml:6:21: intents.archetype.guard.feature.a.buckets must be a list of 1 to 255 ascending numbers, such as [0.2, 0.5, 0.8], not Infinity\n  the lowest and the highest bucket have no end anyway",
      "tierline.toml:7:17: intents.archetype.guard.feature.b.buckets must be a list of 1 to 255 ascending numbers, such as [0.2, 0.5, 0.8], not []",
    ],
  },
  {
    situation: "more buckets than make sense",
    text: withBuckets("guard", 257),
    says: [
      "tierline.toml:5:26: intents.archetype.guard.feature.f0.buckets must be a list of 1 to 255 ascending numbers, such as [0.2, 0.5, 0.8], not [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,…\n  there are 256; 255 is the most",
    ],
  },
  {
    situation: "a word twice",
    text: seeing('weather = { oneof = ["rain", "fog", "rain"] }'),
    says: [
      'tierline.toml:6:37: intents.archetype.guard.feature.weather.oneof names "rain" twice\n  each value is one situation: take one of the two out',
    ],
  },
  {
    situation: "no words, and an empty one",
    text: seeing("a = { oneof = [] }", 'b = { oneof = ["x", ""] }'),
    says: [
      'tierline.toml:6:15: intents.archetype.guard.feature.a.oneof must be a list of 1 to 256 different texts, such as ["clear", "rain"], not []',
      'tierline.toml:7:21: intents.archetype.guard.feature.b.oneof must be a list of 1 to 256 different texts, such as ["clear", "rain"], not ""\n  1 to 64 characters on one line, no space around them',
    ],
  },
  {
    situation: "one archetype with more situations than a number can name",
    text: withBuckets("guard", 256, 256, 256, 256, 256, 256, 33),
    says: [
      "tierline.toml:1:20: the archetype guard has 9,288,674,231,451,648 situations, and 9,007,199,254,740,992 is the most\n  leave out features, or give them fewer buckets: their numbers multiply",
    ],
  },
  {
    situation: "archetypes that have more situations together, where each fits by itself",
    text:
      withBuckets("a", 256, 256, 256, 256, 256, 256, 31) +
      withBuckets("b", 256, 256, 256, 256, 256, 256) +
      withBuckets("c"),
    says: [
      "tierline.toml:22:20: the archetype c has 1 situation, and those before it leave 0 of 9,007,199,254,740,992\n  leave out features, or give them fewer buckets: their numbers multiply",
    ],
  },
  {
    situation: "situations beyond all counting",
    text: withBuckets("guard", ...Array.from({ length: 32 }, () => 256)),
    says: [
      "tierline.toml:1:20: the archetype guard has 1.2e+77 situations, and 9,007,199,254,740,992 is the most\n  leave out features, or give them fewer buckets: their numbers multiply",
    ],
  },
  {
    situation: "more features than make sense",
    text: seeing(...Array.from({ length: 33 }, (_, n) => `f${n} = { bool = true }`)),
    says: [
      "tierline.toml:38:1: the archetype guard has 33 features, and 32 is the most\n  leave out what does not change its mind: every feature multiplies the situations",
    ],
  },
  {
    situation: "more archetypes than make sense",
    text: Array.from({ length: 1025 }, (_, n) => guard.replace("guard", `n${n}`)).join(""),
    says: [
      "tierline.toml:4097:20: there are 1025 archetypes, and 1024 is the most\n  let kinds of NPC that act alike share one",
    ],
  },
];
