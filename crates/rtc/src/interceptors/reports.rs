//! Sender reports (RFC 3550 section 6.4.1) that pair RTP time with the time of *capture*, and what comes back in
//! receiver reports.
//!
//! The library's own reports pair it with the time of sending, which would show up as audio and video being apart by
//! the difference of their encoders' delays.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rtc::interceptor::{Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;

use super::tap::LocalStreams;
use super::{Outbox, Stage};

/// Until the first report the receiver can't play audio and video in step.
const FIRST_REPORT_AFTER: Duration = Duration::from_millis(100);
/// The rhythm of the reports after it; clocks drift by microseconds in that time.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Seconds from the NTP epoch (1900) to the Unix epoch.
const NTP_TO_UNIX: u64 = 2_208_988_800;

/// Makes sender reports for the local streams and reads the other side's reports about them.
pub(crate) struct SenderReportStage {
    wall: WallClock,
    local: Arc<LocalStreams>,
    streams: HashMap<u32, SentStream>,
    next: Option<Instant>,
}

struct SentStream {
    clock_rate: u32,
    packets: u32,
    octets: u32,
}

impl SenderReportStage {
    pub(crate) fn new(local: Arc<LocalStreams>) -> Self {
        Self { wall: WallClock::start(), local, streams: HashMap::new(), next: None }
    }

    fn learn(&self, report: &ReceptionReport, now: Instant) {
        let Some(stream) = self.local.get(report.ssrc) else { return };
        let lost = f64::from(report.fraction_lost) / 256.0;
        // RFC 3550 section 6.4.1: round trip = arrival - last report - delay since it, all in 1/65536 s.
        let arrival = (self.wall.ntp(now) >> 16) as u32;
        let round_trip = (report.last_sender_report != 0).then(|| {
            let units = arrival.wrapping_sub(report.last_sender_report).wrapping_sub(report.delay);
            Duration::from_secs_f64(f64::from(units) / 65_536.0)
        });
        // A round trip of more than a minute is a report about something else.
        stream.reported(lost, round_trip.filter(|d| *d < Duration::from_secs(60)));
    }
}

impl Stage for SenderReportStage {
    fn inbound(&mut self, packet: TaggedPacket, _own: &mut Outbox) -> Option<TaggedPacket> {
        if let Packet::Rtcp(packets) = &packet.message.packet {
            for rtcp in packets {
                let any = rtcp.as_any();
                let reports = any.downcast_ref::<ReceiverReport>().map(|r| &r.reports);
                let reports = reports.or_else(|| any.downcast_ref::<SenderReport>().map(|r| &r.reports));
                for report in reports.into_iter().flatten() {
                    self.learn(report, packet.now);
                }
            }
        }
        Some(packet)
    }

    fn outbound(&mut self, packet: TaggedPacket, _own: &mut Outbox) -> Option<TaggedPacket> {
        if let Packet::Rtp(rtp) = &packet.message.packet
            && let Some(stream) = self.streams.get_mut(&rtp.header.ssrc)
        {
            stream.packets = stream.packets.wrapping_add(1);
            stream.octets = stream.octets.wrapping_add(rtp.payload.len() as u32);
            self.next.get_or_insert(packet.now + FIRST_REPORT_AFTER);
        }
        Some(packet)
    }

    fn timeout(&mut self, now: Instant, own: &mut Outbox) {
        self.next = Some(now + REPORT_INTERVAL);
        for (&ssrc, stream) in self.streams.iter().filter(|(_, s)| s.packets > 0) {
            let Some((rtp_timestamp, captured)) = self.local.get(ssrc).and_then(|s| s.capture()) else {
                continue;
            };
            let since = now.saturating_duration_since(captured).as_secs_f64();
            own.send(
                now,
                Box::new(SenderReport {
                    ssrc,
                    ntp_time: self.wall.ntp(now),
                    rtp_time: rtp_timestamp
                        .wrapping_add((since * f64::from(stream.clock_rate)).round() as u32),
                    packet_count: stream.packets,
                    octet_count: stream.octets,
                    ..Default::default()
                }),
            );
        }
    }

    fn wakeup(&self) -> Option<Instant> {
        self.next
    }

    fn bind_local(&mut self, stream: &StreamInfo) {
        let new = SentStream { clock_rate: stream.clock_rate, packets: 0, octets: 0 };
        self.streams.entry(stream.ssrc).or_insert(new);
    }

    fn unbind_local(&mut self, stream: &StreamInfo) {
        self.streams.remove(&stream.ssrc);
    }
}

/// Wall-clock time in NTP format that runs on the monotonic clock, so that it never jumps within a call.
struct WallClock {
    instant: Instant,
    since_unix: Duration,
}

impl WallClock {
    fn start() -> Self {
        let since_unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { instant: Instant::now(), since_unix }
    }

    fn ntp(&self, at: Instant) -> u64 {
        let unix = self.since_unix + at.saturating_duration_since(self.instant);
        let fraction = (u64::from(unix.subsec_nanos()) << 32) / 1_000_000_000;
        ((unix.as_secs() + NTP_TO_UNIX) << 32) | fraction
    }
}

#[cfg(test)]
mod tests {
    use rtc::interceptor::AttributedPacket;
    use rtc::shared::TransportContext;

    use super::*;

    fn tagged(now: Instant, packet: Packet) -> TaggedPacket {
        TaggedPacket { now, transport: TransportContext::default(), message: AttributedPacket::new(packet) }
    }

    #[test]
    fn reports_pair_wall_time_with_the_time_of_capture() {
        let local = Arc::new(LocalStreams::default());
        let (stream, _events) = local.add(7);
        let mut stage = SenderReportStage::new(local);
        stage.bind_local(&StreamInfo { ssrc: 7, clock_rate: 90_000, ..Default::default() });
        let sent = Instant::now() + Duration::from_millis(50);
        // Captured 30 ms before it is sent.
        stream.captured(9_000, sent - Duration::from_millis(30));
        let rtp = rtc::rtp::Packet {
            header: rtc::rtp::Header { ssrc: 7, ..Default::default() },
            payload: vec![0; 100].into(),
        };
        stage.outbound(tagged(sent, Packet::Rtp(rtp)), &mut Outbox::default());
        let due = stage.wakeup().unwrap();
        assert_eq!(due, sent + FIRST_REPORT_AFTER);
        let mut out = Outbox::default();
        stage.timeout(due, &mut out);
        let Packet::Rtcp(reports) = &out.network[0].message.packet else { panic!("a report is RTCP") };
        let report = reports[0].as_any().downcast_ref::<SenderReport>().unwrap().clone();
        assert_eq!(report.rtp_time, 9_000 + 130 * 90);
        assert_eq!((report.packet_count, report.octet_count), (1, 100));
        assert_eq!(report.ntp_time, stage.wall.ntp(due));
        assert_eq!(stage.wakeup(), Some(due + REPORT_INTERVAL));
    }

    #[test]
    fn receiver_reports_tell_loss_and_round_trip() {
        let local = Arc::new(LocalStreams::default());
        let (stream, _events) = local.add(7);
        let mut stage = SenderReportStage::new(local);
        let sent = Instant::now() + Duration::from_secs(1);
        let report = ReceptionReport {
            ssrc: 7,
            fraction_lost: 64,
            last_sender_report: (stage.wall.ntp(sent) >> 16) as u32,
            delay: 65_536 / 2,
            ..Default::default()
        };
        let rr = ReceiverReport { reports: vec![report], ..Default::default() };
        let arrival = sent + Duration::from_millis(540);
        stage.inbound(tagged(arrival, Packet::Rtcp(vec![Box::new(rr)])), &mut Outbox::default());
        let (lost, round_trip) = stream.last_report();
        assert_eq!(lost, 0.25);
        let round_trip = round_trip.unwrap().as_secs_f64();
        assert!((0.0395..0.0405).contains(&round_trip), "{round_trip}");
    }
}
