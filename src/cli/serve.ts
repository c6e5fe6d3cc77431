// `tierline serve`: the router itself. Everything it does is in app.ts, which only this command loads.

import type { ConfigFlags } from "../config/layers.ts";
import { settings } from "../config/settings.ts";
import type { Command, Option } from "./command.ts";
import { configOption } from "./command.ts";

const flagSettings = settings.flatMap(({ flag, pattern, about }) =>
  flag === undefined ? [] : [{ flag, name: pattern.join("."), about }],
);

export const serve: Command = {
  name: "serve",
  about: "Run the router on this host",
  options: {
    config: configOption,
    ...Object.fromEntries(
      flagSettings.map(({ flag, name }): [string, Option] => [
        flag,
        { value: "ADDRESS", about: `instead of ${name}` },
      ]),
    ),
  },
  example: "serve --config /etc/tierline/tierline.toml",
  async run(given, io) {
    const flags: ConfigFlags = Object.fromEntries(
      flagSettings.flatMap(({ flag }) => {
        const value = given.text(flag);
        return value === undefined ? [] : [[flag, value]];
      }),
    );
    const configPath = given.text("config");
    const app = await import("../app.ts");
    return app.serve({ ...(configPath === undefined ? {} : { configPath }), flags, env: io.env });
  },
};
