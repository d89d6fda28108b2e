//! The random decisions of a link.

use rand::RngExt;
use rand_pcg::Pcg32;

use super::Loss;

/// What chance has in store for one packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Luck {
    pub(super) lost: bool,
    /// From -1 to 1: to be multiplied with the jitter.
    pub(super) jitter: f64,
    pub(super) held_back: bool,
    pub(super) duplicated: bool,
}

/// Draws from a stream of its own for every effect and one draw per packet from each, so that turning one effect on
/// leaves what the others do to packet number n as it was.
#[derive(Clone, Debug)]
pub(super) struct Chance {
    loss: Pcg32,
    jitter: Pcg32,
    reorder: Pcg32,
    duplicate: Pcg32,
    /// The state of the Gilbert model: whether a run of losses goes on.
    in_burst: bool,
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        let stream = |number| Pcg32::new(seed, number);
        Self { loss: stream(1), jitter: stream(2), reorder: stream(3), duplicate: stream(4), in_burst: false }
    }

    pub(super) fn draw(&mut self, loss: Loss, reorder: f64, duplicate: f64) -> Luck {
        let unit = |rng: &mut Pcg32| rng.random::<f64>();
        let loss_draw = unit(&mut self.loss);
        self.in_burst = match loss {
            Loss::None => false,
            Loss::Random { p } => loss_draw < p,
            // Gilbert's two states with the stationary loss share p: leave the bad one after mean_run packets on
            // average, enter it so that the shares balance.
            Loss::Burst { mean_run, .. } if self.in_burst => loss_draw >= 1.0 / mean_run,
            Loss::Burst { p, mean_run } => loss_draw < p / (mean_run * (1.0 - p)),
        };
        Luck {
            lost: self.in_burst,
            jitter: unit(&mut self.jitter) * 2.0 - 1.0,
            held_back: unit(&mut self.reorder) < reorder,
            duplicated: unit(&mut self.duplicate) < duplicate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(loss: Loss, seed: u64, packets: usize) -> Vec<bool> {
        let mut chance = Chance::new(seed);
        (0..packets).map(|_| chance.draw(loss, 0.0, 0.0).lost).collect()
    }

    /// Share of lost packets and mean length of a run of losses.
    fn share_and_run(lost: &[bool]) -> (f64, f64) {
        let count = lost.iter().filter(|l| **l).count() as f64;
        let runs = (0..lost.len()).filter(|&i| lost[i] && (i == 0 || !lost[i - 1])).count() as f64;
        (count / lost.len() as f64, count / runs)
    }

    #[test]
    fn random_loss_has_its_share_and_no_bursts_beyond_chance() {
        let (share, run) = share_and_run(&losses(Loss::Random { p: 0.1 }, 7, 200_000));
        assert!((share - 0.1).abs() < 0.003, "{share}");
        assert!((run - 1.0 / 0.9).abs() < 0.02, "{run}");
    }

    #[test]
    fn burst_loss_has_its_share_and_its_mean_run() {
        let (share, run) = share_and_run(&losses(Loss::Burst { p: 0.05, mean_run: 4.0 }, 7, 400_000));
        assert!((share - 0.05).abs() < 0.003, "{share}");
        assert!((run - 4.0).abs() < 0.15, "{run}");
    }

    #[test]
    fn more_loss_with_the_same_seed_loses_the_same_packets_and_others() {
        let few = losses(Loss::Random { p: 0.05 }, 3, 5000);
        let many = losses(Loss::Random { p: 0.2 }, 3, 5000);
        assert!(few.iter().any(|l| *l));
        assert!(few.iter().zip(&many).all(|(few, many)| !few || *many));
        assert_ne!(few, losses(Loss::Random { p: 0.05 }, 4, 5000));
    }

    #[test]
    fn the_effects_do_not_disturb_each_other() {
        let mut plain = Chance::new(9);
        let mut busy = Chance::new(9);
        for _ in 0..1000 {
            let (a, b) = (plain.draw(Loss::None, 0.0, 0.0), busy.draw(Loss::Random { p: 0.5 }, 0.5, 0.5));
            assert_eq!(a.jitter, b.jitter);
        }
    }
}
