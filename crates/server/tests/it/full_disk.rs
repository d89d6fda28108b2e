//! What happens when the disk is full: nobody who could not be remembered gets in, and operators are told.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{PASSWORD, Place, Running};
use ahoy_server::identity::TokenCheck as _;
use ahoy_signal::account::{Devices, TokenGrant};
use ahoy_signal::{ErrorCode, paths};
use reqwest::{Method, StatusCode};

/// A disk of one megabyte. It is gone with this.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(at).status();
        assert!(mounted.unwrap().success());
        Self(at.to_owned())
    }
}

impl Drop for SmallDisk {
    #[expect(clippy::print_stderr, reason = "a test that is over can say it nowhere else")]
    fn drop(&mut self) {
        let gone = Command::new("umount").arg("--lazy").arg(&self.0).status();
        if !gone.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.0.display());
        }
    }
}

async fn ready(server: &Running) -> (StatusCode, String) {
    let answer = server.ask(Method::GET, paths::READY, None, None::<&()>).await;
    (answer.status, String::from_utf8(answer.body).unwrap())
}

/// Asks until the answer has this status: what is found out counts for a second.
async fn becomes(server: &Running, status: StatusCode) -> String {
    let begun = Instant::now();
    loop {
        let (now, text) = ready(server).await;
        if now == status {
            return text;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{now}: {text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_root_a_full_disk_lets_nobody_in_and_is_told() {
    let place = Place::sqlite();
    let config = place.config();
    let disk = SmallDisk::mount(&config.data_dir);
    let filler = config.data_dir.join("filler");
    let server = Running::start(config).await;
    let ada = server.sign_up("ada").await.grant;
    let spare = server.refresh(&ada).await;
    assert_eq!(ready(&server).await.0, StatusCode::OK);

    // Fill what is left, to the last byte.
    let full = std::fs::write(&filler, vec![0; 2 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    // SQLite writes into its log as long as that has room from before.
    let begun = Instant::now();
    while server.try_sign_in("ada", PASSWORD).await.status == StatusCode::OK {
        assert!(begun.elapsed() < Duration::from_secs(30), "the disk does not fill up");
    }
    for _ in 0..3 {
        assert_eq!(server.try_sign_in("ada", PASSWORD).await.refused(), ErrorCode::Unavailable);
    }
    let open = server.server.accounts().authenticator().open(&spare.access_token).await;
    assert_eq!(open.unwrap_err().code, ErrorCode::Unavailable, "a token that can't be used up opens nothing");
    assert_eq!(server.try_refresh(&spare).await.refused(), ErrorCode::Unavailable);
    let text = becomes(&server, StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(text.contains("degraded"), "{text}");
    // What is only read goes on.
    server.get(paths::DEVICES, &spare).await.read::<Devices>();
    assert!(server.server.accounts().authenticator().renew(&spare.access_token).is_ok());

    std::fs::remove_file(&filler).unwrap();
    becomes(&server, StatusCode::OK).await;
    server.try_sign_in("ada", PASSWORD).await.read::<TokenGrant>();
    let spare = server.refresh(&spare).await;
    assert!(server.server.accounts().authenticator().open(&spare.access_token).await.is_ok());
    server.server.stop().await;
    drop(disk);
}
