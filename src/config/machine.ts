// What a machine says of itself, for what nobody has written: a name, and perhaps where it stands.

import { hostname } from "node:os";

export interface Machine {
  readonly name: string;
  readonly zone?: string;
  readonly toldBy: "host" | "ec2";
  /** Why EC2, which should know, did not tell. */
  readonly untold?: string;
}

export const thisHost = (): Machine => ({ name: hostname(), toldBy: "host" });
