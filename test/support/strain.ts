// A host that is short of nothing.

import type { Strain } from "../../src/base/strain.ts";

export const noStrain: Strain = { closing: false, shedding: undefined, refused: () => undefined };
