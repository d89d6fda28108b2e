//! The models. Where a publication is named, the shape of its links is imitated: how far apart the good and the bad moments
//! are, how long they last, how long queues get. Rates are those of a call's sending side, scaled to what a call can use.

use std::time::Duration;

use super::Stay::{About, Between};
use super::{Loss, State, Stay, Trace};

const fn state(mbps: f64, spread: f64, stay: Stay, next: &'static [(usize, f64)]) -> State {
    State { mbps, spread, stay, next }
}

const fn outage(stay: Stay, next: &'static [(usize, f64)]) -> State {
    state(0.0, 0.0, stay, next)
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn all() -> Vec<Trace> {
    [MOBILE, WIRELESS, SATELLITE, WIRED].concat()
}

/// Cells: queues of a second and more, and rates that change within a second, are in Winstein et al., "Stochastic forecasts
/// achieve high throughput and low delay over cellular networks" (2013); how walking, cars and trains differ in Raca et al.,
/// "Beyond throughput: a 4G LTE dataset with channel and context metrics" (2018); HSPA in Riiser et al., "Commute path
/// bandwidth traces from 3G networks" (2013); millimetre waves and what stands in their way in Narayanan et al., "A first look at
/// commercial 5G performance on smartphones" (2020).
const MOBILE: &[Trace] = &[
    Trace {
        name: "lte-still",
        about: "LTE, sitting in a good cell",
        mean_mbps: 3.5..=5.5,
        outages: 0.0..=0.0,
        states: &[state(5.0, 0.2, About(8.0), &[(1, 1.0)]), state(3.2, 0.3, About(4.0), &[(0, 1.0)])],
        delay: ms(35),
        jitter: ms(12),
        queue: ms(500),
        loss: Loss::None,
    },
    Trace {
        name: "lte-walk",
        about: "LTE, walking between houses",
        mean_mbps: 1.3..=2.6,
        outages: 0.0..=0.0,
        states: &[
            state(3.0, 0.3, About(5.0), &[(1, 1.0)]),
            state(1.5, 0.4, About(5.0), &[(0, 0.5), (2, 0.5)]),
            state(0.6, 0.4, About(3.0), &[(1, 1.0)]),
        ],
        delay: ms(40),
        jitter: ms(15),
        queue: ms(600),
        loss: Loss::None,
    },
    Trace {
        name: "lte-drive",
        about: "LTE in a car, with hand-overs",
        mean_mbps: 1.2..=2.8,
        outages: 0.002..=0.03,
        states: &[
            state(3.5, 0.4, About(3.0), &[(1, 1.0)]),
            state(1.4, 0.5, About(3.0), &[(0, 0.4), (2, 0.6)]),
            state(0.5, 0.4, About(2.0), &[(1, 0.4), (3, 0.6)]),
            outage(Between(0.1, 0.2), &[(0, 0.6), (1, 0.4)]),
        ],
        delay: ms(45),
        jitter: ms(20),
        queue: ms(600),
        loss: Loss::Random { p: 0.001 },
    },
    Trace {
        name: "lte-train",
        about: "LTE in a train, with tunnels of 1 to 3 s",
        mean_mbps: 0.8..=2.2,
        outages: 0.04..=0.2,
        states: &[
            state(2.5, 0.5, About(5.0), &[(1, 0.8), (3, 0.2)]),
            state(1.0, 0.5, About(4.0), &[(0, 0.6), (2, 0.4)]),
            state(0.3, 0.4, About(2.5), &[(0, 0.3), (3, 0.7)]),
            outage(Between(1.0, 3.0), &[(1, 0.7), (0, 0.3)]),
        ],
        delay: ms(55),
        jitter: ms(25),
        queue: ms(800),
        loss: Loss::Random { p: 0.002 },
    },
    Trace {
        name: "lte-event",
        about: "LTE in a stadium: a cell that thousands share",
        mean_mbps: 0.3..=0.7,
        outages: 0.0..=0.0,
        states: &[
            state(0.8, 0.4, About(4.0), &[(1, 1.0)]),
            state(0.4, 0.5, About(6.0), &[(0, 0.4), (2, 0.6)]),
            state(0.2, 0.4, About(4.0), &[(1, 1.0)]),
        ],
        delay: ms(80),
        jitter: ms(35),
        queue: ms(1_000),
        loss: Loss::Random { p: 0.005 },
    },
    Trace {
        name: "hspa",
        about: "3G (HSPA) in a tram, with changes of the channel",
        mean_mbps: 0.4..=0.9,
        outages: 0.005..=0.06,
        states: &[
            state(0.9, 0.3, About(6.0), &[(1, 0.8), (3, 0.2)]),
            state(0.5, 0.4, About(6.0), &[(0, 0.5), (2, 0.5)]),
            state(0.2, 0.4, About(3.0), &[(1, 0.5), (3, 0.5)]),
            outage(Between(0.2, 0.6), &[(1, 1.0)]),
        ],
        delay: ms(75),
        jitter: ms(30),
        queue: ms(1_000),
        loss: Loss::Random { p: 0.002 },
    },
    Trace {
        name: "5g-mmwave",
        about: "5G millimetre waves, with people and a body in the way",
        mean_mbps: 15.0..=40.0,
        outages: 0.005..=0.06,
        states: &[
            state(40.0, 0.3, About(5.0), &[(1, 0.7), (2, 0.3)]),
            state(1.5, 0.5, Between(0.3, 2.5), &[(0, 0.7), (2, 0.3)]),
            outage(Between(0.1, 0.6), &[(0, 0.5), (1, 0.5)]),
        ],
        delay: ms(15),
        jitter: ms(6),
        queue: ms(200),
        loss: Loss::None,
    },
];

/// Wi-Fi: what a crowded hall does is in Jardosh et al., "Understanding congestion in IEEE 802.11b wireless networks" (2005);
/// microwave ovens, neighbours and hand-overs are after common knowledge of 802.11, not after a publication.
const WIRELESS: &[Trace] = &[
    Trace {
        name: "wifi-home",
        about: "Wi-Fi at home, with a neighbour's and a microwave oven",
        mean_mbps: 7.0..=13.0,
        outages: 0.0..=0.0,
        states: &[
            state(15.0, 0.2, About(5.0), &[(1, 0.7), (2, 0.3)]),
            state(4.0, 0.5, About(3.0), &[(0, 1.0)]),
            state(1.2, 0.4, Between(3.0, 8.0), &[(0, 0.5), (1, 0.5)]),
        ],
        delay: ms(12),
        jitter: ms(10),
        queue: ms(250),
        loss: Loss::Burst { p: 0.005, mean_run: 3.0 },
    },
    Trace {
        name: "wifi-roam",
        about: "Wi-Fi through an office: hand-overs of 0.3 to 1 s",
        mean_mbps: 3.5..=7.0,
        outages: 0.02..=0.09,
        states: &[
            state(9.0, 0.3, Between(4.0, 8.0), &[(1, 1.0)]),
            state(3.0, 0.4, Between(2.0, 4.0), &[(2, 1.0)]),
            state(0.8, 0.4, Between(1.0, 2.0), &[(3, 1.0)]),
            outage(Between(0.3, 1.0), &[(0, 1.0)]),
        ],
        delay: ms(15),
        jitter: ms(10),
        queue: ms(250),
        loss: Loss::Burst { p: 0.003, mean_run: 3.0 },
    },
    Trace {
        name: "wifi-hall",
        about: "Wi-Fi in a conference hall: collisions, 2 % lost in runs",
        mean_mbps: 0.7..=1.6,
        outages: 0.0..=0.0,
        states: &[
            state(2.0, 0.4, About(3.0), &[(1, 1.0)]),
            state(1.0, 0.5, About(3.0), &[(0, 0.5), (2, 0.5)]),
            state(0.35, 0.5, About(2.0), &[(1, 1.0)]),
        ],
        delay: ms(20),
        jitter: ms(40),
        queue: ms(300),
        loss: Loss::Burst { p: 0.02, mean_run: 3.0 },
    },
];

/// Satellites: that Starlink assigns its links anew every 15 s is in Tanveer et al., "Making sense of constellations" (2023),
/// rates and losses that change with it in Michel et al., "A first look at Starlink performance" (2022). Of a geostationary
/// one the delay is physics; fading by rain is after ITU-R P.618.
const SATELLITE: &[Trace] = &[
    Trace {
        name: "leo",
        about: "low satellites: another link every 15 s, after a gap of 0.1 to 0.2 s",
        mean_mbps: 2.0..=5.0,
        outages: 0.003..=0.012,
        states: &[
            state(2.8, 0.25, Between(14.8, 14.9), &[(3, 1.0)]),
            state(5.5, 0.2, Between(14.8, 14.9), &[(3, 1.0)]),
            state(1.5, 0.3, Between(14.8, 14.9), &[(3, 1.0)]),
            outage(Between(0.1, 0.2), &[(0, 0.4), (1, 0.3), (2, 0.3)]),
        ],
        delay: ms(28),
        jitter: ms(15),
        queue: ms(300),
        loss: Loss::Burst { p: 0.005, mean_run: 4.0 },
    },
    Trace {
        name: "geo",
        about: "a geostationary satellite: 280 ms one way, fading in rain",
        mean_mbps: 1.2..=2.0,
        outages: 0.0..=0.0,
        states: &[
            state(2.0, 0.05, Between(12.0, 25.0), &[(1, 1.0)]),
            state(1.2, 0.15, Between(4.0, 8.0), &[(2, 0.6), (0, 0.4)]),
            state(0.6, 0.2, Between(4.0, 8.0), &[(1, 1.0)]),
        ],
        delay: ms(280),
        jitter: ms(8),
        queue: ms(500),
        loss: Loss::Random { p: 0.001 },
    },
];

/// Wires: how long queues get, and what an upload beside does, is in Gettys and Nichols, "Bufferbloat: dark buffers in the
/// internet" (2011); DSL beside cable in Sundaresan et al., "Broadband internet performance: a view from the gateway" (2011).
const WIRED: &[Trace] = &[
    Trace {
        name: "dsl-evening",
        about: "DSL in the evening, when the line is shared",
        mean_mbps: 0.7..=1.05,
        outages: 0.0..=0.0,
        states: &[
            state(1.1, 0.03, About(10.0), &[(1, 1.0)]),
            state(0.8, 0.1, About(8.0), &[(0, 0.5), (2, 0.5)]),
            state(0.5, 0.15, About(5.0), &[(1, 1.0)]),
        ],
        delay: ms(22),
        jitter: ms(5),
        queue: ms(400),
        loss: Loss::None,
    },
    Trace {
        name: "cable-bloat",
        about: "cable with a queue of 1.5 s, and uploads of others that come and go",
        mean_mbps: 1.6..=3.2,
        outages: 0.0..=0.0,
        states: &[
            state(3.0, 0.03, Between(8.0, 15.0), &[(1, 1.0)]),
            state(1.0, 0.15, Between(4.0, 10.0), &[(0, 1.0)]),
        ],
        delay: ms(18),
        jitter: ms(5),
        queue: ms(1_500),
        loss: Loss::None,
    },
];
