//! One file per subcommand.

pub(crate) mod capture;
pub(crate) mod devices;
pub(crate) mod loopback;

use tokio::sync::watch;

/// Becomes true when the user presses Ctrl-C. A second Ctrl-C ends the program as usual.
fn cancelled_by_ctrl_c() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            // Nobody listens any more when the command has ended at this very moment.
            let _ = sender.send(true);
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
    receiver
}
