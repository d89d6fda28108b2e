//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01): telling the other side what arrived when,
//! and reading what it tells.
//!
//! The library's own sends ten reports a second, each packet in one of them, so that a lost report is taken for lost packets.

use std::time::{Duration, Instant};

use ahoy_congestion::{PacketStatus, Reporter};
use ahoy_media_types::MediaClock;
use rtc::interceptor::{Attribute, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::transport_feedbacks::transport_layer_cc::{
    PacketStatusChunk, RecvDelta, RunLengthChunk, StatusChunkTypeTcc, StatusVectorChunk, SymbolSizeTypeTcc,
    SymbolTypeTcc, TransportLayerCc,
};
use rtc::rtp::extension::transport_cc_extension::TransportCcExtension;
use rtc::shared::marshal::Unmarshal;

use super::{Outbox, Stage};

/// What the extension is known by.
pub(crate) const TRANSPORT_CC_URI: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
/// Unit of the differences between arrivals.
const TICK_US: i64 = 250;
/// Ticks in the unit of the reference time, 64 ms.
const TICKS_IN_REFERENCE: i64 = 256;
/// Reference times have 24 bits.
const REFERENCE_BITS: u32 = 24;
/// Statuses in one chunk of two bits each.
const VECTOR: usize = 7;
/// The longest run in one chunk.
const LONGEST_RUN: usize = 0x1FFF;
/// RTP's header with the extensions that are used, SRTP's tag, UDP and IP: what a packet is longer than its payload.
pub(crate) const HEADERS: usize = 12 + 12 + 16 + 8 + 20;

/// The local number of the extension in a stream, if it was agreed on.
pub(crate) fn extension_of(stream: &StreamInfo) -> Option<u8> {
    let extension =
        stream.rtp_header_extensions.iter().find(|extension| extension.uri == TRANSPORT_CC_URI)?;
    u8::try_from(extension.id).ok().filter(|id| *id != 0)
}

/// Reports arrivals to the other side.
pub(crate) struct FeedbackStage {
    clock: MediaClock,
    own_ssrc: u32,
    reporter: Reporter,
    /// All streams of a connection share one number of the extension, also those that are not bound, such as of probes.
    extension: Option<u8>,
    /// The stream that a packet came on last.
    media_ssrc: u32,
    reports: u8,
}

impl FeedbackStage {
    /// `own_ssrc` names this side in the reports.
    pub(crate) fn new(clock: MediaClock, own_ssrc: u32) -> Self {
        Self { clock, own_ssrc, reporter: Reporter::default(), extension: None, media_ssrc: 0, reports: 0 }
    }
}

impl Stage for FeedbackStage {
    fn inbound(&mut self, packet: TaggedPacket, _own: &mut Outbox) -> Option<TaggedPacket> {
        if let (Packet::Rtp(rtp), Some(extension)) = (&packet.message.packet, self.extension)
            // What was made here has not arrived.
            && !packet.message.has(&Attribute::RecoveredByFec)
            && let Some(mut value) = rtp.header.get_extension(extension)
            && let Ok(extension) = TransportCcExtension::unmarshal(&mut value)
        {
            let bytes = rtp.payload.len() + HEADERS;
            self.media_ssrc = rtp.header.ssrc;
            self.reporter.arrived(extension.transport_sequence, bytes, self.clock.at(packet.now));
        }
        Some(packet)
    }

    fn timeout(&mut self, now: Instant, own: &mut Outbox) {
        if let Some(statuses) = self.reporter.report(self.clock.at(now))
            && let Some(report) = to_rtcp(&statuses, [self.own_ssrc, self.media_ssrc], self.reports)
        {
            self.reports = self.reports.wrapping_add(1);
            own.send(now, Box::new(report));
        }
    }

    fn wakeup(&self) -> Option<Instant> {
        self.reporter.next_wakeup().map(|at| self.clock.instant(at))
    }

    fn bind_remote(&mut self, stream: &StreamInfo) {
        self.extension = extension_of(stream).or(self.extension);
    }
}

fn symbol_of(status: &PacketStatus, delta: i64) -> SymbolTypeTcc {
    match status.arrived {
        None => SymbolTypeTcc::PacketNotReceived,
        Some(_) if (0..=255).contains(&delta) => SymbolTypeTcc::PacketReceivedSmallDelta,
        Some(_) => SymbolTypeTcc::PacketReceivedLargeDelta,
    }
}

fn ticks(arrived: Duration) -> i64 {
    arrived.as_micros() as i64 / TICK_US
}

/// The report on statuses in the order of their numbers, without gaps; `None` where nothing has arrived. It is on all streams,
/// but must name one of the sender's: libwebrtc overhears reports on streams that it does not send.
pub(super) fn to_rtcp(
    statuses: &[PacketStatus],
    [sender_ssrc, media_ssrc]: [u32; 2],
    count: u8,
) -> Option<TransportLayerCc> {
    let arrivals = |statuses: &[PacketStatus]| -> Vec<i64> {
        statuses.iter().filter_map(|status| status.arrived.map(ticks)).collect()
    };
    // Differences have 16 bits. What came more than eight seconds before the rest is old news.
    let all = arrivals(statuses);
    let within = |pair: &[i64]| i16::try_from(pair[1] - pair[0]).is_ok();
    let old = all.windows(2).rposition(|pair| !within(pair)).map_or(0, |index| index + 1);
    let mut seen = 0;
    let first = statuses.iter().position(|status| {
        seen += usize::from(status.arrived.is_some());
        seen > old
    })?;
    let statuses = &statuses[first..];
    let arrivals = &all[old..];
    let reference = arrivals.first()?.div_euclid(TICKS_IN_REFERENCE);
    let mut last = reference * TICKS_IN_REFERENCE;
    let mut deltas = Vec::with_capacity(arrivals.len());
    let mut symbols = Vec::with_capacity(statuses.len());
    let mut arrivals = arrivals.iter();
    for status in statuses {
        let delta = match status.arrived {
            None => 0,
            Some(_) => {
                let at = *arrivals.next()?;
                at - std::mem::replace(&mut last, at)
            }
        };
        let symbol = symbol_of(status, delta);
        symbols.push(symbol);
        if status.arrived.is_some() {
            deltas.push(RecvDelta { type_tcc_packet: symbol, delta: delta * TICK_US });
        }
    }
    Some(TransportLayerCc {
        sender_ssrc,
        media_ssrc,
        base_sequence_number: statuses.first()?.sequence,
        packet_status_count: u16::try_from(symbols.len()).ok()?,
        reference_time: (reference & ((1 << REFERENCE_BITS) - 1)) as u32,
        fb_pkt_count: count,
        packet_chunks: chunks(&symbols),
        recv_deltas: deltas,
    })
}

/// Runs of the same status take a chunk, everything else one for each seven.
fn chunks(symbols: &[SymbolTypeTcc]) -> Vec<PacketStatusChunk> {
    let mut out = Vec::new();
    let mut rest = symbols;
    while let Some(&first) = rest.first() {
        let run = rest.iter().take(LONGEST_RUN).take_while(|symbol| **symbol == first).count();
        let taken = if run >= VECTOR || run == rest.len() { run } else { rest.len().min(VECTOR) };
        out.push(match taken == run {
            true => PacketStatusChunk::RunLengthChunk(RunLengthChunk {
                type_tcc: StatusChunkTypeTcc::RunLengthChunk,
                packet_status_symbol: first,
                run_length: run as u16,
            }),
            false => PacketStatusChunk::StatusVectorChunk(StatusVectorChunk {
                type_tcc: StatusChunkTypeTcc::StatusVectorChunk,
                symbol_size: SymbolSizeTypeTcc::TwoBit,
                symbol_list: rest[..taken].to_vec(),
            }),
        });
        rest = &rest[taken..];
    }
    out
}

/// Reads reports. Their reference times have 24 bits and are counted on across the wraps.
#[derive(Debug, Default)]
pub(crate) struct FeedbackReader {
    reference: Option<i64>,
}

impl FeedbackReader {
    /// What a report says, in the order of the numbers. What it claims beyond what it holds is left out.
    pub(crate) fn read(&mut self, report: &TransportLayerCc) -> Vec<PacketStatus> {
        let whole = 1_i64 << REFERENCE_BITS;
        let told = i64::from(report.reference_time);
        let reference = match self.reference {
            // A wrap before the beginning, so that times stay above zero.
            None => told + whole,
            Some(last) => {
                let ahead = (told - last).rem_euclid(whole);
                let ahead = if ahead >= whole / 2 { ahead - whole } else { ahead };
                (last + ahead).max(0)
            }
        };
        self.reference = Some(reference);
        let mut at = reference * TICKS_IN_REFERENCE * TICK_US;
        let mut deltas = report.recv_deltas.iter();
        let symbols = report.packet_chunks.iter().flat_map(symbols_of);
        let symbols = symbols.take(usize::from(report.packet_status_count));
        let mut statuses = Vec::new();
        for (offset, symbol) in symbols.enumerate() {
            let arrived = match symbol {
                SymbolTypeTcc::PacketNotReceived => None,
                SymbolTypeTcc::PacketReceivedSmallDelta | SymbolTypeTcc::PacketReceivedLargeDelta => {
                    let Some(delta) = deltas.next() else { break };
                    at += delta.delta;
                    Some(Duration::from_micros(at.max(0) as u64))
                }
                // It arrived, and nobody knows when: no news.
                SymbolTypeTcc::PacketReceivedWithoutDelta => continue,
            };
            let sequence = report.base_sequence_number.wrapping_add(offset as u16);
            statuses.push(PacketStatus { sequence, arrived });
        }
        statuses
    }
}

fn symbols_of(chunk: &PacketStatusChunk) -> Box<dyn Iterator<Item = SymbolTypeTcc> + '_> {
    match chunk {
        PacketStatusChunk::RunLengthChunk(run) => {
            Box::new(std::iter::repeat_n(run.packet_status_symbol, usize::from(run.run_length)))
        }
        PacketStatusChunk::StatusVectorChunk(vector) => Box::new(vector.symbol_list.iter().copied()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use rtc::shared::marshal::Marshal;

    use super::*;

    proptest! {
        /// Whatever the other side sends: it is read or not, in bounds.
        #[test]
        fn any_bytes_are_read_in_bounds(reports in vec(vec(any::<u8>(), 0..200), 1..4)) {
            let mut reader = FeedbackReader::default();
            for mut report in reports {
                // What says that it is such a report gets further.
                if let [first, kind, ..] = &mut report[..] {
                    (*first, *kind) = (0x8F, 205);
                }
                let bytes = bytes::Bytes::from(report);
                if let Ok(report) = TransportLayerCc::unmarshal(&mut bytes.clone()) {
                    let statuses = reader.read(&report);
                    prop_assert!(statuses.len() <= usize::from(report.packet_status_count));
                }
            }
        }
    }

    fn status(sequence: u16, arrived_us: Option<u64>) -> PacketStatus {
        PacketStatus { sequence, arrived: arrived_us.map(Duration::from_micros) }
    }

    /// Over the wire and back.
    fn there_and_back(statuses: &[PacketStatus]) -> Vec<PacketStatus> {
        let report = to_rtcp(statuses, [7, 8], 3).unwrap();
        let bytes = report.marshal().unwrap();
        let read = TransportLayerCc::unmarshal(&mut bytes.clone()).unwrap();
        assert_eq!(read.packet_status_count, report.packet_status_count);
        FeedbackReader::default().read(&read)
    }

    /// Differences between arrivals survive, whatever the clock counts from.
    fn assert_same(told: &[PacketStatus], meant: &[PacketStatus]) {
        assert_eq!(told.len(), meant.len());
        let first = |statuses: &[PacketStatus]| statuses.iter().find_map(|status| status.arrived).unwrap();
        let (first_told, first_meant) = (first(told), first(meant));
        for (told, meant) in told.iter().zip(meant) {
            assert_eq!(told.sequence, meant.sequence);
            let since = |at: Option<Duration>, first: Duration| {
                at.map(|at| at.as_micros() as i64 - first.as_micros() as i64)
            };
            let (told, meant) = (since(told.arrived, first_told), since(meant.arrived, first_meant));
            assert_eq!(told.is_some(), meant.is_some());
            let off = told.unwrap_or(0) - meant.unwrap_or(0);
            assert!(off.abs() <= TICK_US, "{off}");
        }
    }

    #[test]
    fn what_is_reported_is_what_is_read() {
        let statuses: Vec<_> = (0..500_u64)
            .map(|n| {
                // Some lost, some late, some overtaken.
                let at = 5_000_000 + n * 3_000 + if n % 40 == 0 { 70_000 } else { 0 };
                status((65_300_u64 + n) as u16, (n % 7 != 3).then_some(at))
            })
            .collect();
        assert_same(&there_and_back(&statuses), &statuses);
        let run: Vec<_> = (0..300_u64).map(|n| status(n as u16, Some(n * 1_000))).collect();
        assert_same(&there_and_back(&run), &run);
    }

    #[test]
    fn losses_before_and_after_the_arrivals_are_told() {
        let statuses = [status(1, None), status(2, Some(64_000)), status(3, None)];
        let read = there_and_back(&statuses);
        assert_eq!(read[0], status(2, Some(read[0].arrived.unwrap().as_micros() as u64)));
        assert_eq!(read.last().unwrap(), &status(3, None));
        assert_eq!(to_rtcp(&[status(1, None)], [7, 8], 0), None, "there is no time to report");
    }

    #[test]
    fn what_came_long_before_the_rest_is_left_out() {
        let statuses = [status(1, Some(0)), status(2, Some(1_000)), status(3, Some(20_000_000))];
        let read = there_and_back(&statuses);
        assert_eq!(read.iter().map(|status| status.sequence).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn times_go_on_where_the_reference_wraps() {
        let mut reader = FeedbackReader::default();
        let wrap_us = (1_u64 << REFERENCE_BITS) * 64_000;
        let mut at = |us: u64| {
            let report = to_rtcp(&[status(1, Some(us))], [7, 8], 0).unwrap();
            reader.read(&report)[0].arrived.unwrap()
        };
        let before = at(wrap_us - 64_000);
        assert_eq!(at(wrap_us + 64_000) - before, Duration::from_millis(128));
    }

    #[test]
    fn a_report_that_claims_more_than_it_holds_is_read_as_far_as_it_goes() {
        let mut report = to_rtcp(&[status(1, Some(0)), status(2, Some(500))], [7, 8], 0).unwrap();
        report.recv_deltas.pop();
        assert_eq!(FeedbackReader::default().read(&report).len(), 1);
        report.packet_status_count = 60_000;
        report.packet_chunks.clear();
        assert!(FeedbackReader::default().read(&report).is_empty());
    }
}
