//! Measurements for Prometheus. A program has one recorder, however many servers run in it.

pub(crate) use recorder::{Measurements, recorder};

#[cfg(feature = "prometheus")]
mod recorder {
    use std::sync::OnceLock;

    use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

    /// Bounds of the buckets of all histograms, which count seconds.
    const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

    /// What was measured so far.
    #[derive(Clone)]
    pub(crate) struct Measurements(PrometheusHandle);

    impl Measurements {
        /// As text for Prometheus.
        pub(crate) fn render(&self) -> String {
            self.0.render()
        }

        /// Forgets what is too old, now and then.
        pub(crate) fn run_upkeep(&self) {
            self.0.run_upkeep();
        }
    }

    /// The recorder, set up on the first call; `None` where the program has another one.
    pub(crate) fn recorder() -> Option<Measurements> {
        static RECORDER: OnceLock<Option<Measurements>> = OnceLock::new();
        RECORDER
            .get_or_init(|| {
                let builder = match PrometheusBuilder::new().set_buckets(SECONDS) {
                    Ok(builder) => builder,
                    Err(error) => {
                        tracing::error!(%error, "nothing is measured");
                        return None;
                    }
                };
                let recorder = builder.build_recorder();
                let handle = recorder.handle();
                metrics::set_global_recorder(recorder).ok().map(|()| Measurements(handle))
            })
            .clone()
    }
}

/// Without it nothing is measured, and nobody can read anything.
#[cfg(not(feature = "prometheus"))]
mod recorder {
    #[derive(Clone)]
    pub(crate) enum Measurements {}

    impl Measurements {
        pub(crate) fn render(&self) -> String {
            match *self {}
        }

        pub(crate) fn run_upkeep(&self) {
            match *self {}
        }
    }

    pub(crate) fn recorder() -> Option<Measurements> {
        None
    }
}
