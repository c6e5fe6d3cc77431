# tierline in a container: one binary, no shell, no root.
#   docker build -t tierline .
#   docker run --network=host -v ./tierline.toml:/etc/tierline/tierline.toml:ro -v tierline:/var/lib/tierline tierline
# Host networking because the engine listens on loopback, and a peer must reach the address that is advertised.

FROM oven/bun:1.4.5 AS build
WORKDIR /build
# The dependencies alone first: they change less often than the sources.
COPY package.json bun.lock bunfig.toml ./
COPY playground/no-gpu playground/no-gpu
RUN bun install --frozen-lockfile --production
COPY tsconfig.json ./
COPY scripts scripts
COPY src src
# There is no repository in here to read the commit from.
ARG REVISION=unknown
RUN BUILD_REVISION="$REVISION" bun scripts/build.ts && install -d -m 0700 /state

# The binary needs glibc and nothing more.
FROM gcr.io/distroless/base-nossl-debian12:nonroot
COPY --from=build /build/dist/tierline /usr/local/bin/tierline
# A new volume takes over the owner of the directory that it covers.
COPY --from=build --chown=nonroot:nonroot /state /var/lib/tierline
ENV STATE_DIRECTORY=/var/lib/tierline
WORKDIR /
USER nonroot
EXPOSE 8010 8011 8012
# The drain's 8 s must fit into the time between SIGTERM and SIGKILL: docker's 10 s do.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/tierline"]
CMD ["serve"]
