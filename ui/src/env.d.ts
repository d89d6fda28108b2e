/** The version in the workspace's Cargo.toml, put in by vite.config.ts. */
declare const __AHOY_VERSION__: string;
