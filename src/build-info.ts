// What this binary was built from. The build puts the values in; a run from source has none.

declare const BUILD_VERSION: string | undefined;
declare const BUILD_REVISION: string | undefined;
declare const BUILD_TARGET: string | undefined;

export interface BuildInfo {
  readonly version: string;
  /** The git commit. */
  readonly revision: string;
  readonly bun: string;
  /** As `bun build --target` names it. */
  readonly target: string;
}

// `typeof` is the one way to ask for a name that may not exist.
export const buildInfo: BuildInfo = {
  version: typeof BUILD_VERSION === "string" ? BUILD_VERSION : "0.0.0-source",
  revision: typeof BUILD_REVISION === "string" ? BUILD_REVISION : "unknown",
  bun: Bun.version,
  target: typeof BUILD_TARGET === "string" ? BUILD_TARGET : `bun-${process.platform}-${process.arch}`,
};
