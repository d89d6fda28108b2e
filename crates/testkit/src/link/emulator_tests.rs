use proptest::prelude::*;

use super::super::{LinkConfigBuilder, RateSchedule};
use super::*;

const MS: Duration = Duration::from_millis(1);
/// 1250 bytes take 10 ms at this rate.
const MEGABIT: u64 = 1_000_000;

const fn ms(millis: u64) -> MediaTime {
    MediaTime::from_millis(millis)
}

fn link(builder: LinkConfigBuilder) -> Link<u64> {
    Link::new(builder.build().unwrap(), MediaTime::ZERO)
}

/// Runs the link on its own wake-ups until nothing is left in it.
fn drain(link: &mut Link<u64>) -> Vec<(u64, MediaTime)> {
    let mut out = Vec::new();
    while let Some(at) = link.next_wakeup() {
        while let Some(delivery) = link.poll(at) {
            out.push((delivery.packet, delivery.at));
        }
    }
    out
}

#[test]
fn a_clean_link_passes_everything_on_at_once() {
    let mut link = link(LinkConfig::builder());
    link.handle(7, 1200, ms(3));
    assert_eq!(link.poll(ms(3)), Some(Delivery { packet: 7, at: ms(3), number: 0 }));
    assert_eq!(link.poll(ms(3)), None);
    assert_eq!(link.next_wakeup(), None);
}

#[test]
fn a_packet_comes_out_after_the_delay_and_not_before() {
    let mut link = link(LinkConfig::builder().delay(50 * MS));
    link.handle(0, 1200, ms(10));
    assert_eq!(link.next_wakeup(), Some(ms(60)));
    assert_eq!(link.poll(MediaTime::from_micros(59_999)), None);
    assert_eq!(link.poll(ms(60)).map(|d| d.at), Some(ms(60)));
}

#[test]
fn a_rate_spaces_packets_and_the_log_tells_how_long_each_waited() {
    let mut link = link(LinkConfig::builder().bps(MEGABIT).delay(5 * MS));
    for packet in 0..3 {
        link.handle(packet, 1250, ms(0));
    }
    assert_eq!(drain(&mut link), [(0, ms(15)), (1, ms(25)), (2, ms(35))]);
    let waits: Vec<_> = link
        .log()
        .records()
        .map(|record| match record.fate {
            PacketFate::Delivered { queued, sent, .. } => (queued, sent),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(waits, [(Duration::ZERO, ms(10)), (10 * MS, ms(20)), (20 * MS, ms(30))]);
}

#[test]
fn a_packet_that_would_wait_longer_than_the_queue_is_dropped() {
    let mut link = link(LinkConfig::builder().bps(MEGABIT).queue(20 * MS));
    for packet in 0..4 {
        link.handle(packet, 1250, ms(0));
    }
    assert_eq!(link.queueing_delay(), 30 * MS);
    // 30 ms of backlog at time 0 is more than 20; at 10 ms it is 20 and there is room again.
    link.handle(4, 1250, MediaTime::from_micros(9_999));
    link.handle(5, 1250, ms(10));
    let out: Vec<u64> = drain(&mut link).into_iter().map(|(packet, _)| packet).collect();
    assert_eq!(out, [0, 1, 2, 5]);
    assert_eq!(link.counters().queue_dropped, 2);
    let dropped = link.log().records().filter(|r| r.fate == PacketFate::QueueDropped).map(|r| r.number);
    assert_eq!(dropped.collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn an_idle_link_takes_a_packet_however_slow_it_is() {
    let mut link = link(LinkConfig::builder().bps(8_000).queue(Duration::ZERO));
    link.handle(0, 1500, ms(0));
    link.handle(1, 1500, ms(1));
    assert_eq!(drain(&mut link), [(0, ms(1500))]);
}

#[test]
fn a_falling_rate_stretches_the_queue() {
    let steps = [(10 * MS, Some(MEGABIT)), (MS, Some(MEGABIT / 10))];
    let mut link = link(LinkConfig::builder().rate(RateSchedule::holding(steps)));
    link.handle(0, 1250, ms(0));
    link.handle(1, 1250, ms(0));
    assert_eq!(drain(&mut link), [(0, ms(10)), (1, ms(110))]);
}

#[test]
fn a_long_run_neither_gains_nor_loses_rate_by_rounding() {
    // A packet takes 100.333… µs.
    let mut link = link(LinkConfig::builder().bps(3_000_000).queue(Duration::from_secs(60)));
    let packets = 300_000;
    for packet in 0..packets {
        link.handle(packet, 38, ms(0));
    }
    let (_, last) = *drain(&mut link).last().unwrap();
    assert_eq!(last.as_micros(), packets * 38 * 8 / 3);
}

#[test]
fn jitter_varies_the_delay_within_its_bounds_and_keeps_the_order() {
    let builder = LinkConfig::builder().delay(50 * MS).jitter(30 * MS);
    let run = |builder: LinkConfigBuilder| {
        let mut link = link(builder);
        for packet in 0..2000 {
            link.handle(packet, 100, ms(packet * 5));
        }
        drain(&mut link)
    };
    let ordered = run(builder.clone());
    assert!(ordered.iter().map(|(packet, _)| *packet).eq(0..2000));
    let delays = |out: &[(u64, MediaTime)]| -> Vec<f64> {
        out.iter().map(|(packet, at)| at.millis_after(ms(packet * 5))).collect()
    };
    let free = run(builder.jitter_reorders());
    assert!(!free.iter().map(|(packet, _)| *packet).is_sorted());
    let spread = delays(&free);
    let (least, most) = spread.iter().fold((f64::MAX, f64::MIN), |(a, b), d| (a.min(*d), b.max(*d)));
    assert!((20.0..21.0).contains(&least) && (79.0..=80.0).contains(&most), "{least} {most}");
    let mean = spread.iter().sum::<f64>() / spread.len() as f64;
    assert!((mean - 50.0).abs() < 1.5, "{mean}");
    assert!(delays(&ordered).iter().all(|d| (20.0..=80.0).contains(d)));
}

#[test]
fn held_back_packets_are_overtaken_by_exactly_the_others() {
    let mut link = link(LinkConfig::builder().delay(MS).reorder(0.1, 25 * MS).seed(5));
    for packet in 0..1000 {
        link.handle(packet, 100, ms(packet * 10));
    }
    let out = drain(&mut link);
    let late: Vec<u64> = out.iter().filter(|(p, at)| *at == ms(p * 10 + 26)).map(|(p, _)| *p).collect();
    assert_eq!(late.len() as u64, link.counters().held_back);
    assert!((60..150).contains(&late.len()), "{}", late.len());
    assert_eq!(out.iter().filter(|(p, at)| *at == ms(p * 10 + 1)).count(), 1000 - late.len());
}

#[test]
fn duplicates_follow_their_original() {
    let mut link = link(LinkConfig::builder().duplicate(1.0));
    link.handle(0, 100, ms(0));
    link.handle(1, 100, ms(1));
    assert_eq!(drain(&mut link), [(0, ms(0)), (0, ms(0)), (1, ms(1)), (1, ms(1))]);
    assert_eq!((link.counters().delivered, link.counters().duplicated), (2, 2));
}

#[test]
fn lost_packets_take_none_of_the_rate() {
    let mut link = link(LinkConfig::builder().bps(MEGABIT).queue(Duration::from_secs(100)).random_loss(0.5));
    for packet in 0..1000 {
        link.handle(packet, 1250, ms(0));
    }
    let counters = link.counters();
    assert!((400..600).contains(&counters.lost), "{counters:?}");
    let out = drain(&mut link);
    assert_eq!(out.len() as u64, 1000 - counters.lost);
    assert_eq!(out.last().unwrap().1, ms(10 * (1000 - counters.lost)));
}

#[test]
fn a_blocked_link_swallows_what_comes_and_still_delivers_what_was_in_it() {
    let mut link = link(LinkConfig::builder().delay(10 * MS));
    link.handle(0, 100, ms(0));
    link.set_blocked(true);
    link.handle(1, 100, ms(1));
    link.set_blocked(false);
    link.handle(2, 100, ms(2));
    assert_eq!(drain(&mut link), [(0, ms(10)), (2, ms(12))]);
    assert_eq!(link.counters().blocked, 1);
    assert_eq!(link.log().records().nth(1).unwrap().fate, PacketFate::Blocked);
}

#[test]
fn a_new_rate_applies_to_the_rest_of_the_packet_in_transmission() {
    let mut link = link(LinkConfig::builder().bps(MEGABIT));
    link.handle(0, 1250, ms(0));
    link.handle(1, 1250, ms(0));
    // Half of the first packet is through. The other half takes 50 ms at a tenth of the rate, the second packet 100.
    link.reconfigure(LinkConfig::builder().bps(MEGABIT / 10).build().unwrap(), ms(5));
    assert_eq!(link.queueing_delay(), 150 * MS);
    assert_eq!(drain(&mut link), [(0, ms(55)), (1, ms(155))]);
}

#[test]
fn lifting_the_limit_empties_the_queue_at_once() {
    let mut link = link(LinkConfig::builder().bps(MEGABIT));
    for packet in 0..5 {
        link.handle(packet, 1250, ms(0));
    }
    link.reconfigure(LinkConfig::default(), ms(12));
    assert_eq!(drain(&mut link), [(0, ms(10)), (1, ms(12)), (2, ms(12)), (3, ms(12)), (4, ms(12))]);
}

#[test]
fn a_shorter_delay_does_not_let_later_packets_overtake() {
    let mut link = link(LinkConfig::builder().delay(100 * MS));
    link.handle(0, 100, ms(0));
    link.reconfigure(LinkConfig::builder().delay(MS).build().unwrap(), ms(1));
    link.handle(1, 100, ms(2));
    assert_eq!(drain(&mut link), [(0, ms(100)), (1, ms(100))]);
}

#[test]
fn an_outage_holds_the_queue_back_and_ends() {
    let steps = [(10 * MS, Some(MEGABIT)), (100 * MS, Some(0)), (10 * MS, Some(MEGABIT))];
    let mut link = link(LinkConfig::builder().rate(RateSchedule::holding(steps)).queue(15 * MS));
    link.handle(0, 1250, ms(20));
    link.handle(1, 1250, ms(30));
    // The queue is as many bytes as before the outage: two packets are 20 ms, so a third finds no room.
    link.handle(2, 1250, ms(40));
    assert_eq!(drain(&mut link), [(0, ms(120)), (1, ms(130))]);
    assert_eq!(link.counters().queue_dropped, 1);
}

#[test]
fn taking_the_log_out_keeps_the_numbers_going() {
    let mut link = link(LinkConfig::builder());
    link.handle(0, 100, ms(0));
    assert_eq!(link.take_log().records().len(), 1);
    link.handle(1, 100, ms(1));
    let numbers: Vec<u64> = link.log().records().map(|record| record.number).collect();
    assert_eq!(numbers, [1]);
}

prop_compose! {
    fn schedules()(
        steps in prop::collection::vec((1u64..50_000, prop::option::weighted(0.8, 0u64..3_000_000)), 0..4),
        repeat: bool,
    ) -> RateSchedule {
        let steps = steps.into_iter().map(|(micros, bps)| (Duration::from_micros(micros), bps));
        if repeat { RateSchedule::repeating(steps) } else { RateSchedule::holding(steps) }
    }
}

prop_compose! {
    fn configs()(
        rate in schedules(), queue in 0u64..400, delay in 0u64..100, jitter in 0u64..100, order: bool,
        loss in 0.0..0.4, run in 1.0..5.0, held in 0.0..0.3, hold in 0u64..50, twice in 0.0..0.3, seed: u64,
    ) -> Option<LinkConfig> {
        let builder = LinkConfig::builder()
            .rate(rate)
            .queue(queue as u32 * MS)
            .delay(delay as u32 * MS)
            .jitter(jitter.min(delay) as u32 * MS)
            .burst_loss(loss, run)
            .reorder(held, hold as u32 * MS)
            .duplicate(twice)
            .seed(seed);
        // A schedule may by chance consist of outages alone.
        (if order { builder } else { builder.jitter_reorders() }).build().ok()
    }
}

fn arrivals() -> impl Strategy<Value = Vec<(u64, usize)>> {
    prop::collection::vec((0u64..20_000, 20usize..1500), 1..120)
}

proptest! {
    #[test]
    fn every_packet_has_one_fate_and_nothing_beats_the_rate(config in configs(), arrivals in arrivals()) {
        prop_assume!(config.is_some());
        let config = config.unwrap();
        let mut link = Link::new(config.clone(), MediaTime::ZERO);
        let mut now = 0;
        for (number, (gap, bytes)) in arrivals.iter().enumerate() {
            now += gap;
            link.handle(number as u64, *bytes, MediaTime::from_micros(now));
        }
        let out = drain(&mut link);
        let counters = link.counters();
        let queued = link.log().records().filter(|r| r.fate == PacketFate::Queued).count() as u64;
        prop_assert_eq!(
            counters.delivered + counters.lost + counters.queue_dropped + counters.blocked + queued,
            counters.packets_in
        );
        prop_assert_eq!(out.len() as u64, counters.delivered + counters.duplicated);
        prop_assert!(out.is_sorted_by_key(|(_, at)| *at));
        let timeline = Timeline::new(config.rate());
        let mut before = MediaTime::ZERO;
        for record in link.log().records() {
            if let PacketFate::Delivered { queued, sent, at, .. } = record.fate {
                let began = record.arrived + queued;
                prop_assert!(began >= before && sent >= began);
                prop_assert!(at >= sent + config.delay().saturating_sub(config.jitter()));
                let capacity = timeline.capacity(began.as_micros(), sent.as_micros());
                // One microsecond of the fastest rate may be the head start from the packet before.
                if let Some(capacity) = capacity {
                    let unlimited_at_end = timeline.segment(sent.as_micros()).bps.is_none();
                    prop_assert!(unlimited_at_end || capacity + 3_000_000 >= work_of(record.bytes));
                }
                before = sent;
            }
        }
    }

    #[test]
    fn how_often_a_link_is_polled_changes_nothing(config in configs(), arrivals in arrivals()) {
        prop_assume!(config.is_some());
        let config = config.unwrap();
        let run = |poll_often: bool| {
            let mut link = Link::new(config.clone(), MediaTime::ZERO);
            let (mut now, mut out) = (0, Vec::new());
            for (number, (gap, bytes)) in arrivals.iter().enumerate() {
                for step in 1..=4 {
                    let at = MediaTime::from_micros(now + gap * step / 4);
                    while poll_often && let Some(delivery) = link.poll(at) {
                        out.push((delivery.packet, delivery.at));
                    }
                }
                now += gap;
                link.handle(number as u64, *bytes, MediaTime::from_micros(now));
            }
            out.extend(drain(&mut link));
            (out, link.log().records().copied().collect::<Vec<_>>())
        };
        prop_assert_eq!(run(true), run(false));
    }
}

#[test]
fn half_normal_jitter_makes_most_packets_a_little_late_and_none_early() {
    let most = Duration::from_millis(15);
    let config = LinkConfig::builder()
        .delay(Duration::from_millis(50))
        .half_normal_jitter(most)
        .jitter_reorders()
        .build()
        .unwrap();
    let mut link = Link::new(config, MediaTime::ZERO);
    let mut late: Vec<f64> = Vec::new();
    for n in 0..20_000_u64 {
        let now = MediaTime::from_millis(n * 100);
        link.handle(n, 100, now);
        let at = link.poll(now + Duration::from_millis(80)).unwrap().at;
        late.push(at.millis_after(now) - 50.0);
    }
    late.sort_by(f64::total_cmp);
    // Of a standard deviation of 5 ms: median 0.674, 95th percentile 1.96 of them, none beyond three.
    assert!((late[10_000] - 3.37).abs() < 0.15, "{}", late[10_000]);
    assert!((late[19_000] - 9.8).abs() < 0.4, "{}", late[19_000]);
    assert!(late[0] >= 0.0 && late[19_999] <= 15.001, "{} {}", late[0], late[19_999]);
}
