//! One end of a call to oneself is run without the other, as beside another program.

use ahoy_client::loopback::{DirectPath, LoopbackConfig, LoopbackReport, OtherEnd, Side, run_one};
use ahoy_client::{Stamping, VideoSourceSpec};
use tokio::sync::mpsc;

use crate::browser::media::write_clip;
use crate::support::small_call;

/// A call of two ends that know nothing of each other but what they say.
fn call_apart(config: &LoopbackConfig) -> [LoopbackReport; 2] {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (to_callee, from_caller) = mpsc::channel(64);
    let (to_caller, from_callee) = mpsc::channel(64);
    let (callee, caller) =
        (OtherEnd { tell: to_callee, said: from_callee }, OtherEnd { tell: to_caller, said: from_caller });
    let (mut there, mut back) = (DirectPath, DirectPath);
    let reports = runtime.block_on(async {
        tokio::join!(
            run_one(config, Side::Caller, callee, &mut there, |_| {}),
            run_one(config, Side::Callee, caller, &mut back, |_| {}),
        )
    });
    [reports.0.unwrap(), reports.1.unwrap()]
}

#[test]
fn loopback_ends_apart_each_report_their_half_and_the_receiver_knows_the_clip() {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("stamped.y4m");
    write_clip(&clip);
    let config = LoopbackConfig {
        video: Some(VideoSourceSpec::File(clip)),
        stamping: Stamping::Off,
        ..small_call(4.0)
    };
    let [caller, callee] = call_apart(&config);
    let (sent, received) = (caller.video.as_ref().unwrap(), callee.video.as_ref().unwrap());
    assert!(sent.frames_sent > 60 && sent.frames_rendered == 0, "{sent:#?}");
    assert!(received.frames_rendered > 60 && received.frames_sent == 0, "{received:#?}");
    assert!(received.ssim_seen.is_some_and(|ssim| ssim > 0.9), "{received:#?}");
    assert_eq!(sent.ssim_seen, None, "nothing is shown there");
    // Between chirps nothing is sent.
    assert!(caller.audio.as_ref().unwrap().packets_sent > 50, "{caller:#?}");
    assert!(callee.audio.as_ref().unwrap().packets_received > 50, "{callee:#?}");
    assert!(callee.path.is_some() && caller.path.is_some());
}
