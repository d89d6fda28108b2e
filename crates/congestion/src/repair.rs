//! Repair data: how much of it is sent along with new pictures, so that what is lost need not be asked for.
//!
//! Where the round trip is short, asking again is cheaper: only what is lost is sent twice. Where it is long, what is asked for
//! comes so late that everything stands still until then.

use crate::estimate::NetworkEstimate;

/// With a shorter round trip, in milliseconds, what is asked for again comes before a picture counts as frozen: webrtc-stats
/// allows 150 ms more than the usual interval. As it is measured here, the time until a report and jitter are in it, which are
/// 30 to 50 ms.
const LONG_RTT_MS: f64 = 200.0;
/// Share of packets that are lost; with less hardly any picture is hit.
const LOSSY: f64 = 0.005;
/// How seldom a block is to be left incomplete: less would take half as much again at losses of 5 % already.
const INCOMPLETE: f64 = 0.07;
/// Repair packets of a block, as a share of its packets.
const MOST: f64 = 0.5;

/// How many repair packets a block of `packets` gets, none where asking again does. Each of them is the XOR of every so many of
/// the block's packets (draft-ietf-payload-flexible-fec-scheme-03, interleaved), so that one loss in each such group is made
/// up for.
pub fn repair_packets(network: &NetworkEstimate, packets: usize) -> usize {
    if packets == 0 || is_asking_in_time(network.rtt_ms) || network.loss < LOSSY {
        return 0;
    }
    let most = ((packets as f64 * MOST).ceil() as usize).max(1);
    (1..most).find(|repair| incomplete(packets, *repair, network.loss) <= INCOMPLETE).unwrap_or(most)
}

/// Whether what is asked for again comes soon enough with this round trip, so that nothing is sent in advance.
pub(crate) fn is_asking_in_time(rtt_ms: f64) -> bool {
    rtt_ms < LONG_RTT_MS
}

/// How likely it is that a block can't be made up, where packets are lost independently of each other.
fn incomplete(packets: usize, repair: usize, loss: f64) -> f64 {
    let complete = |group: usize| {
        // Those of the block whose number leaves `group` when divided by `repair`, and their repair packet.
        let sent = ((packets - group).div_ceil(repair) + 1) as i32;
        (1.0 - loss).powi(sent) + f64::from(sent) * loss * (1.0 - loss).powi(sent - 1)
    };
    1.0 - (0..repair).map(complete).product::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::Reason;

    fn network(rtt_ms: f64, loss: f64) -> NetworkEstimate {
        NetworkEstimate {
            target: 1e6,
            video: Some(1e6),
            afresh: 1e6,
            burst: 1e6,
            sent: 1e6,
            acknowledged: 1e6,
            queue_ms: 5.0,
            loss,
            expected_loss: loss,
            rtt_ms,
            least_rtt_ms: rtt_ms,
            reason: Reason::Balance,
        }
    }

    #[test]
    fn what_can_be_asked_for_in_time_is_not_sent_in_advance() {
        assert_eq!(repair_packets(&network(60.0, 0.1), 8), 0);
        assert_eq!(repair_packets(&network(300.0, 0.0), 8), 0);
        assert_eq!(repair_packets(&network(300.0, 0.05), 0), 0);
    }

    #[test]
    fn the_more_is_lost_the_more_is_sent_in_advance_and_never_more_than_half() {
        let at = |loss: f64| repair_packets(&network(300.0, loss), 12);
        assert_eq!([0.01, 0.02, 0.05, 0.1, 0.2].map(at), [1, 1, 3, 6, 6]);
        assert!((1..100).all(|packets| repair_packets(&network(300.0, 0.4), packets) <= packets.div_ceil(2)));
    }

    #[test]
    fn how_often_a_block_stays_incomplete_is_what_chance_says() {
        // Of two packets and one for repair two or three are lost.
        let expected = 3.0 * 0.1_f64.powi(2) * 0.9 + 0.1_f64.powi(3);
        assert!((incomplete(2, 1, 0.1) - expected).abs() < 1e-12);
        // Two such groups.
        assert!((incomplete(4, 2, 0.1) - (1.0 - (1.0 - expected).powi(2))).abs() < 1e-12);
    }
}
