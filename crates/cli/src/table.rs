//! Reports as tables for people.

use std::fmt::Write as _;

use ahoy_client::calls::CallReport;
use ahoy_client::capture::CaptureReport;
use ahoy_client::devices::{Devices, SoundDevice};
use ahoy_client::doctor::{Check, DoctorReport, Severity};
use ahoy_client::loopback::{LoopbackReport, SpreadReport};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

/// Sections of a table: a title row and lines of name and value.
struct Sheet {
    table: Table,
}

impl Sheet {
    fn new() -> Self {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
        Self { table }
    }

    fn row(&mut self, name: &str, value: impl Into<String>, note: impl Into<String>) {
        let value = Cell::new(value.into()).set_alignment(CellAlignment::Right);
        self.table.add_row(vec![Cell::new(name), value, Cell::new(note.into())]);
    }
}

fn ms(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |v| format!("{v:.1} ms"))
}

fn spread(s: &SpreadReport) -> String {
    match (s.p95, s.max) {
        (Some(p95), Some(max)) => format!("95 %: {p95:.1}, max {max:.1} ms"),
        (_, _) => String::new(),
    }
}

/// The report of a loopback call.
pub(crate) fn loopback(report: &LoopbackReport) -> String {
    let mut sheet = Sheet::new();
    let setup = &report.setup_ms;
    sheet.row(
        "Set-up",
        ms(setup.total),
        format!("connected {}, first packet {}", ms(setup.connected), ms(setup.first_packet)),
    );
    if let Some(path) = &report.path {
        let secured = path.srtp.as_deref().unwrap_or("DTLS-SRTP");
        sheet.row("Path", path.protocol.clone(), format!("{} → {}, {secured}", path.local, path.remote));
    }
    video(&mut sheet, report);
    audio(&mut sheet, report);
    if let Some(p50) = report.av_offset_ms.p50 {
        sheet.row("Lip sync", format!("{p50:.1} ms"), spread(&report.av_offset_ms));
    }
    let metrics = format!("of one core; measuring took {:.2} more", report.metrics_cpu_cores);
    sheet.row("CPU", format!("{:.2}", report.cpu_cores), metrics);
    sheet.row(
        "Memory",
        format!("{:.0} MB", report.peak_rss_mb),
        format!("at most; {} threads", report.threads),
    );
    let mut text = format!("{}\n", sheet.table);
    verdict(&mut text, report);
    text
}

fn video(sheet: &mut Sheet, report: &LoopbackReport) {
    let Some(v) = &report.video else { return };
    sheet.row("Video", format!("{}×{}", v.width, v.height), v.source.clone());
    let lost = format!(
        "captured {}, encoded {}, sent {}, received {}, decoded {}",
        v.frames_captured, v.frames_encoded, v.frames_sent, v.frames_received, v.frames_decoded
    );
    sheet.row("  frames shown", v.frames_rendered.to_string(), lost);
    sheet.row(
        "  frame rate",
        format!("{:.1} fps", v.fps),
        format!("{} freezes, {:.0} ms", v.freezes, v.freeze_ms),
    );
    let packets = format!(
        "{} packets, {} lost, {} sent again",
        v.packets_sent, v.packets_lost, v.packets_retransmitted
    );
    sheet.row("  bitrate", format!("{:.0} kbit/s", v.bitrate_kbps), packets);
    let psnr = v.psnr_y_db.map_or_else(|| "–".to_owned(), |p| format!("{p:.1} dB"));
    let ssim = v.ssim.map_or_else(String::new, |s| format!("PSNR of luma; SSIM {s:.4}"));
    sheet.row("  picture", psnr, ssim);
    sheet.row("  capture → screen", ms(v.latency_ms.p50), spread(&v.latency_ms));
    let s = &v.stages_ms;
    let stages = [
        ("wait", &s.wait),
        ("encode", &s.encode),
        ("network", &s.transport),
        ("jitter buffer", &s.jitter_buffer),
        ("decode", &s.decode),
        ("present", &s.present),
    ];
    let mut note = String::new();
    for (name, stage) in stages {
        if let Some(p50) = stage.p50 {
            let _ = write!(note, "{}{name} {p50:.1}", if note.is_empty() { "" } else { ", " });
        }
    }
    sheet.row("  of which", String::new(), note);
}

fn audio(sheet: &mut Sheet, report: &LoopbackReport) {
    let Some(a) = &report.audio else { return };
    sheet.row("Audio", format!("{:.0} kbit/s", a.bitrate_kbps), format!("{} → {}", a.source, a.sink));
    sheet.row("  mouth → ear", ms(a.delay_ms.p50), spread(&a.delay_ms));
    let lost = format!("{} packets, {} lost, {} underruns", a.packets_sent, a.packets_lost, a.underruns);
    sheet.row("  concealed", format!("{:.2} %", a.concealed_ratio * 100.0), lost);
}

fn verdict(text: &mut String, report: &LoopbackReport) {
    if report.cancelled {
        let _ =
            writeln!(text, "Ended by Ctrl-C after {:.1} s; the figures cover that time.", report.duration_s);
    }
    if report.ok {
        text.push_str("Good call.\n");
        return;
    }
    text.push_str("Not a good call:\n");
    for problem in &report.problems {
        let _ = writeln!(text, "  • {}", problem.message);
    }
}

/// What was captured.
pub(crate) fn capture(report: &CaptureReport) -> String {
    let mut sheet = Sheet::new();
    if let Some(v) = &report.video {
        sheet.row("Video", v.device.clone(), format!("delivers {}", v.native));
        let rate = format!("{:.1} per second, {} different from the one before", v.fps, v.changed);
        sheet.row("  frames", v.frames.to_string(), rate);
        sheet.row("  file", String::new(), v.file.display().to_string());
    }
    if let Some(a) = &report.audio {
        sheet.row("Audio", a.device.clone(), String::new());
        let level = a.level_dbfs.map_or_else(|| "silence".to_owned(), |db| format!("{db:.1} dBFS"));
        sheet.row("  length", format!("{:.2} s", a.seconds), level);
        sheet.row("  file", String::new(), a.file.display().to_string());
    }
    let mut text = if sheet.table.is_empty() { String::new() } else { format!("{}\n", sheet.table) };
    for problem in &report.problems {
        let _ = writeln!(text, "{problem}");
    }
    text
}

/// What can be captured from and played to, with what to write on the command line for each.
pub(crate) fn devices(found: &Devices) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "Cameras{}", if found.cameras.is_empty() { ": none" } else { "" });
    for camera in &found.cameras {
        let _ = writeln!(text, "  camera:{:<24} {}", camera.id, camera.name);
        for format in &camera.formats {
            let _ = writeln!(text, "  {:31} {format}", "");
        }
    }
    sound_devices(&mut text, "Microphones", "mic", &found.microphones);
    sound_devices(&mut text, "Speakers", "speaker", &found.speakers);
    for problem in &found.problems {
        let _ = writeln!(text, "{}", problem.message);
    }
    text
}

fn sound_devices(text: &mut String, title: &str, prefix: &str, devices: &[SoundDevice]) {
    let _ = writeln!(text, "{title}{}", if devices.is_empty() { ": none" } else { "" });
    for device in devices {
        let id = format!("{prefix}:{}", device.id);
        let default = if device.is_default { ", the default" } else { "" };
        let _ = writeln!(text, "  {id:<31} {} ({}{default})", device.name, device.backend);
    }
}

/// The report of a call with somebody.
pub(crate) fn call(report: &CallReport) -> String {
    let mut sheet = Sheet::new();
    let (setup, sent, received) = (&report.setup_ms, &report.sent, &report.received);
    sheet.row(
        "Set-up",
        ms(setup.first_frame.or(setup.first_packet)),
        format!("answered {}, connected {}", ms(setup.answered), ms(setup.dtls)),
    );
    if let Some(path) = &report.path {
        let secured = path.srtp.as_deref().unwrap_or("DTLS-SRTP");
        sheet.row("Path", path.protocol.clone(), format!("{} → {}, {secured}", path.local, path.remote));
    }
    sheet.row(
        "Picture sent",
        format!("{} frames", sent.frames),
        format!("{:.0} kbit/s, from {}", sent.video_kbps, named(&sent.camera)),
    );
    sheet.row(
        "Picture here",
        format!("{} frames", received.frames_shown),
        format!("{:.1} fps, {} freezes ({:.0} ms)", received.fps, received.freezes, received.freeze_ms),
    );
    sheet.row(
        "Sound sent",
        format!("{} packets", sent.audio_packets),
        format!("{:.0} kbit/s, from {}", sent.audio_kbps, named(&sent.microphone)),
    );
    sheet.row(
        "Sound here",
        format!("{} packets", received.audio_packets),
        format!("{:.2} % made up, at {}", received.concealed_ratio * 100.0, named(&received.speaker)),
    );
    sheet.row("CPU", format!("{:.2}", report.cpu_cores), "of one core");
    sheet.row("Memory", format!("{:.0} MB", report.peak_rss_mb), "at most");
    format!("{}\n", sheet.table)
}

fn named(device: &str) -> &str {
    if device.is_empty() { "nothing" } else { device }
}

/// What a check is about.
pub(crate) fn check(check: Check) -> &'static str {
    match check {
        Check::Name => "Name",
        Check::Server => "Server",
        Check::Clock => "Clock",
        Check::Session => "Session",
        Check::Udp => "UDP",
        Check::Relays => "Relays",
        Check::Nat => "Address translation",
        Check::Path => "Way of a call",
        Check::Call => "Call through the relay",
    }
}

/// What keeps calls from connecting, the worst first.
pub(crate) fn doctor(report: &DoctorReport) -> String {
    let mut text = String::new();
    for conclusion in &report.conclusions {
        let severity = match conclusion.severity {
            Severity::CallsImpossible => "No calls: ",
            Severity::SomeCallsFail => "Some calls fail: ",
            Severity::CallsWorkLessWell => "Calls work less well: ",
            Severity::Note => "",
        };
        let _ = writeln!(text, "{severity}{}\n  → {}", conclusion.what, conclusion.advice);
    }
    text
}
