//! The `ahoy-server` executable.

#![forbid(unsafe_code)]

fn main() -> anyhow::Result<()> {
    Ok(())
}
