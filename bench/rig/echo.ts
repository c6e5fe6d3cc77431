// The least that can answer JSON with JSON: what Bun.serve costs by itself. It says the body that it was sent.
//
//   bun bench/rig/echo.ts PORT

export const echoScript = import.meta.path;

if (import.meta.main) {
  Bun.serve({
    hostname: "127.0.0.1",
    port: Number(process.argv[2]),
    development: false,
    fetch: async (request) => Response.json(await request.json()),
  });
}
