// Builds what decides about file transfers (crates/transfer-web) for browsers, into ui/wasm/transfer.wasm.

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const TARGET = 'wasm32-unknown-unknown';
const built = here('wasm/target');

// A build script may be what runs this: what its cargo has said to it is not meant for this one.
const foreign = (name) =>
  (/^(CARGO|RUST|DEP|OUT_DIR|TARGET|HOST|PROFILE|OPT_LEVEL|DEBUG|NUM_JOBS)(_|$)/.test(name) ||
    /^RUSTC|^RUSTDOC|^RUSTFLAGS/.test(name)) &&
  !['CARGO_HOME', 'RUSTUP_HOME', 'RUSTUP_TOOLCHAIN', 'CARGO_NET_OFFLINE'].includes(name) &&
  !/^CARGO_(REGISTRIES|REGISTRY|HTTP|NET|SOURCE)_/.test(name);
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign(name)));

// rustup fetches what rust-toolchain.toml names only together with a toolchain, not to one that is there.
const run = (program, ...given) =>
  spawnSync(program, given, { cwd: here('..'), env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
const sysroot = run('rustc', '--print', 'sysroot').stdout?.trim();
if (sysroot && !existsSync(`${sysroot}/lib/rustlib/${TARGET}`)) run('rustup', 'target', 'add', TARGET);

mkdirSync(built, { recursive: true });
const arguments_ = ['build', '--release', '--locked', '--target', TARGET, '--package', 'ahoy-transfer-web'];
const { status, error } = spawnSync('cargo', arguments_, {
  cwd: here('..'),
  env: {
    ...env,
    // Of its own, since another cargo may hold the usual one.
    CARGO_TARGET_DIR: built,
    CARGO_BUILD_BUILD_DIR: built,
    CARGO_INCREMENTAL: '0',
    // BLAKE3 four times as fast; browsers have had it for years.
    RUSTFLAGS: '-C target-feature=+simd128',
  },
  stdio: ['ignore', 'inherit', 'inherit'],
});
if (error) throw new Error(`cargo can't be run: install Rust from https://rustup.rs (${error.message})`);
if (status !== 0) {
  throw new Error(`cargo can't build for browsers. Where Rust is not rustup's: install the target ${TARGET}`);
}
copyFileSync(`${built}/${TARGET}/release/ahoy_transfer_web.wasm`, here('wasm/transfer.wasm'));
