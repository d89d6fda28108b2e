//! A picture of each case: what the link carries and what each pair makes of it, and how long packets wait.
//!
//! SVG by hand: the figures are polylines, and colours have to do on light and dark pages alike.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::cases::{Case, MOST_KBPS};
use super::measure::read;
use super::pair::Pair;
use super::store::{Run, Store};

/// Of one pair, second by second.
pub(crate) struct Curve {
    pub(crate) pair: Pair,
    pub(crate) media_kbps: Vec<f64>,
    pub(crate) queue_ms: Vec<f64>,
}

const WIDTH: f64 = 760.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 12.0;
/// Where the two charts begin and end, from above.
const MEDIA: [f64; 2] = [52.0, 242.0];
const QUEUE: [f64; 2] = [284.0, 384.0];
const HEIGHT: f64 = 420.0;
/// Grey that can be read on white and on black.
const TEXT: &str = "#7d8590";

/// Writes `FOLDER/CASE.svg` of the run in the middle of each pair.
pub(crate) fn write(folder: &Path, case: &Case, store: &Store, pairs: &[Pair]) -> Result<()> {
    let mut curves = Vec::new();
    for pair in pairs {
        let runs = store.runs(&case.name, *pair);
        if let Some(run) = in_the_middle(&runs) {
            let [media_kbps, queue_ms] = read(&store.seconds_of(run))?;
            curves.push(Curve { pair: *pair, media_kbps, queue_ms });
        }
    }
    if curves.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(folder).with_context(|| format!("no folder at {}", folder.display()))?;
    let path = folder.join(format!("{}.svg", case.name));
    std::fs::write(&path, svg(case, &curves)).with_context(|| format!("no plot at {}", path.display()))
}

/// The run whose share of the link is the median, or next to it.
fn in_the_middle<'a>(runs: &[&'a Run]) -> Option<&'a Run> {
    let mut runs = runs.to_vec();
    runs.sort_by(|a, b| a.figures.utilisation.total_cmp(&b.figures.utilisation));
    runs.get(runs.len().saturating_sub(1) / 2).copied()
}

/// Also told apart by their dashes.
fn look(pair: Pair) -> (&'static str, &'static str) {
    match pair {
        Pair::OursOurs => ("#2f81f7", "none"),
        Pair::ChromiumChromium => ("#d9730d", "none"),
        Pair::OursChromium => ("#2da44e", "6 3"),
        Pair::ChromiumOurs => ("#a371f7", "2 2"),
    }
}

/// One of the two charts.
struct Chart {
    top: f64,
    bottom: f64,
    lasts: f64,
    most: f64,
}

impl Chart {
    fn x(&self, second: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * second / self.lasts
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * (value / self.most).clamp(0.0, 1.0)
    }

    fn axes(&self, svg: &mut String, title: &str) {
        let (right, text) = (WIDTH - RIGHT, self.top - 8.0);
        let _ = writeln!(svg, r#"<text x="{LEFT}" y="{text}">{title}</text>"#);
        for part in 0..=4 {
            let value = self.most * f64::from(part) / 4.0;
            let y = self.y(value);
            let _ = writeln!(svg, r#"<path class="g" d="M{LEFT} {y:.1}H{right}"/>"#);
            let (x, y) = (LEFT - 6.0, y + 4.0);
            let _ = writeln!(svg, r#"<text class="e" x="{x}" y="{y:.1}">{}</text>"#, trimmed(value));
        }
        let every = if self.lasts > 30.0 { 10 } else { 2 };
        for second in (0..=self.lasts as u32).step_by(every) {
            let (x, y) = (self.x(second.into()), self.bottom + 15.0);
            let _ = writeln!(svg, r#"<text class="m" x="{x:.1}" y="{y}">{second}</text>"#);
        }
    }

    /// A value for each second, drawn at its middle.
    fn line(&self, svg: &mut String, pair: Pair, values: &[f64]) {
        let (colour, dashes) = look(pair);
        let points: Vec<String> = (0..)
            .zip(values)
            .map(|(second, value)| {
                format!(
                    "{:.1},{:.1}",
                    self.x(f64::from(second) + 0.5).min(self.x(self.lasts)),
                    self.y(*value)
                )
            })
            .collect();
        let _ = writeln!(
            svg,
            r#"<polyline class="l" stroke="{colour}" stroke-dasharray="{dashes}" points="{}"/>"#,
            points.join(" ")
        );
    }
}

pub(crate) fn svg(case: &Case, curves: &[Curve]) -> String {
    let lasts = case.lasts.as_secs_f64();
    let limit = MOST_KBPS as f64 / 1e3;
    let rates = capacity(case);
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let carried = most(&mut rates.iter().map(|(_, mbps)| mbps.min(limit)));
    let sent = most(&mut curves.iter().flat_map(|curve| &curve.media_kbps).map(|kbps| kbps / 1e3));
    let waited = most(&mut curves.iter().flat_map(|curve| &curve.queue_ms).copied());
    let chart = |[top, bottom]: [f64; 2], most: f64| Chart { top, bottom, lasts, most: nice(most) };
    let (media, queue) = (chart(MEDIA, carried.max(sent)), chart(QUEUE, waited.max(10.0)));

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\" fill=\"{TEXT}\">\n<style>.g{{stroke:{TEXT};stroke-opacity:.25}}.e{{text-anchor:end}}\
         .m{{text-anchor:middle}}.l{{fill:none;stroke-width:1.8;stroke-linejoin:round}}</style>\n\
         <title>{}: {}</title>\n",
        case.name, case.about
    );
    let mut area = format!("M{:.1} {:.1}", media.x(0.0), media.bottom);
    for (from, mbps) in &rates {
        let _ = write!(area, "H{:.1}V{:.1}", media.x(*from), media.y(*mbps));
    }
    let _ =
        writeln!(svg, r#"<path fill-opacity=".28" d="{area}H{:.1}V{:.1}Z"/>"#, media.x(lasts), media.bottom);
    media.axes(&mut svg, "Mb/s of media, and what the link carries");
    queue.axes(&mut svg, "ms in the queue, p95 of each second");
    for curve in curves {
        let mbps: Vec<f64> = curve.media_kbps.iter().map(|kbps| kbps / 1e3).collect();
        media.line(&mut svg, curve.pair, &mbps);
        queue.line(&mut svg, curve.pair, &curve.queue_ms);
    }
    legend(&mut svg, case, curves);
    svg.push_str("</svg>\n");
    svg
}

/// From which second on, and Mb/s, during the call.
fn capacity(case: &Case) -> Vec<(f64, f64)> {
    let mut at = 0.0;
    let steps = case.schedule().steps.iter().map(|step| {
        let from = at;
        at += step.lasts.as_secs_f64();
        (from, step.bps.map_or(f64::INFINITY, |bps| bps as f64 / 1e6))
    });
    steps.take_while(|(from, _)| *from < case.lasts.as_secs_f64()).collect()
}

fn legend(svg: &mut String, case: &Case, curves: &[Curve]) {
    let _ = writeln!(svg, r#"<text x="{LEFT}" y="16" font-weight="bold">{}</text>"#, case.name);
    let _ = writeln!(svg, r#"<text class="m" x="{}" y="{}">seconds</text>"#, WIDTH / 2.0, HEIGHT - 4.0);
    let mut x = WIDTH - RIGHT - 50.0 - 150.0 * curves.len() as f64;
    let _ = writeln!(svg, r#"<path fill-opacity=".28" d="M{x} 7h22v10h-22z"/>"#);
    let _ = writeln!(svg, r#"<text x="{}" y="16">link</text>"#, x + 28.0);
    x += 66.0;
    for curve in curves {
        let (colour, dashes) = look(curve.pair);
        let _ = writeln!(
            svg,
            r#"<path class="l" stroke="{colour}" stroke-dasharray="{dashes}" d="M{x} 12h22"/>"#
        );
        let _ = writeln!(svg, r#"<text x="{}" y="16">{}</text>"#, x + 28.0, curve.pair);
        x += 146.0;
    }
}

/// The next number from here on whose quarters have two digits.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1e-3).log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 2.8, 3.2, 4.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|step| *step >= value * 0.999).unwrap_or(value)
}

/// Without zeros at its end.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(case: &str, curves: usize) -> String {
        let case = Case::chosen(&[case.to_owned()], false).unwrap().remove(0);
        let pairs = [Pair::OursOurs, Pair::ChromiumChromium, Pair::OursChromium, Pair::ChromiumOurs];
        let seconds = case.lasts.as_secs() as u32;
        let wave = |most: f64, by: f64| -> Vec<f64> {
            (0..seconds).map(|second| most * (0.6 + 0.4 * (f64::from(second) / by).sin())).collect()
        };
        let curve = |(index, pair): (usize, &Pair)| Curve {
            pair: *pair,
            media_kbps: wave(2_000.0, index as f64 + 2.0),
            queue_ms: wave(300.0, index as f64 + 3.0),
        };
        svg(&case, &pairs.iter().enumerate().map(curve).take(curves).collect::<Vec<_>>())
    }

    #[test]
    fn a_plot_has_a_line_of_each_pair_in_both_charts_and_in_the_legend() {
        let svg = plot("5.1", 2);
        assert_eq!(svg.matches("<polyline").count(), 4);
        for name in [">Ahoy<", ">Chromium<", ">link<", "5.1: 1.0, 2.5, 0.6, 1.0 Mb/s"] {
            assert!(svg.contains(name), "{name} is missing");
        }
    }

    #[test]
    fn plots_are_small_enough_for_a_page_with_all_of_them() {
        for case in ["5.1", "trace-lte-drive", "trace-5g-mmwave"] {
            let bytes = plot(case, 4).len();
            assert!(bytes < 60_000, "{case}: {bytes} bytes");
        }
    }

    #[test]
    fn nothing_is_drawn_outside_of_the_charts() {
        for case in ["5.1", "trace-5g-mmwave", "trace-geo"] {
            let svg = plot(case, 4);
            let points = svg.lines().filter_map(|line| line.split("points=\"").nth(1));
            for point in points.flat_map(|line| line.trim_end_matches("\"/>").split(' ')) {
                let (x, y) = point.split_once(',').unwrap();
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                assert!((LEFT..=WIDTH - RIGHT).contains(&x), "{case}: {point}");
                assert!(
                    (MEDIA[0]..=MEDIA[1]).contains(&y) || (QUEUE[0]..=QUEUE[1]).contains(&y),
                    "{case}: {point}"
                );
            }
        }
    }

    #[test]
    fn scales_end_at_numbers_that_people_count_in() {
        assert_eq!([0.7, 2.5, 6.0, 41.0, 300.0, 1_100.0].map(nice), [0.8, 2.8, 6.0, 60.0, 320.0, 1_200.0]);
        assert_eq!([0.0, 2.5, 1_500.0, 0.375].map(trimmed), ["0", "2.5", "1500", "0.38"]);
    }
}
