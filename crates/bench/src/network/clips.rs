//! What is sent.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use ahoy_measure::stamp;
use ahoy_media::scale::Scaler;
use ahoy_media::y4m::{Y4mReader, Y4mWriter};
use ahoy_media_types::{FrameId, FrameRate, FrameSize, I420Buffer, MediaTime};
use anyhow::{Context as _, Result, bail};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg32;

use super::cases::{Case, Pictures};
use crate::loopback::stamp_720p30;

/// Noise in small pictures, in steps of luma each way: what makes them worth as many bits as large ones.
const NOISE: i16 = 12;
/// Small pictures one way: two seconds of noise that does not repeat are as good as more.
const SMALL_PICTURES: usize = 60;

/// The size of pictures of which several calls have time for theirs.
pub(super) fn small_size() -> Result<FrameSize> {
    FrameSize::new(320, 180).context("the size is even")
}

/// Clips that players play in a loop, in a folder.
pub(super) struct Clips {
    folder: PathBuf,
}

impl Clips {
    /// Prepares what these cases play.
    pub(super) fn prepare(original: &Path, folder: &Path, cases: &[Case]) -> Result<Self> {
        let clips = Self { folder: folder.to_owned() };
        for pictures in [Pictures::Film, Pictures::FilmWithCuts, Pictures::Small] {
            if !cases.iter().any(|case| case.pictures() == pictures) {
                continue;
            }
            let path = clips.path(pictures);
            match pictures {
                Pictures::Film => there_and_back(original, &path)?,
                Pictures::FilmWithCuts => {
                    std::fs::rename(stamp_720p30(original, folder)?, &path)
                        .context("the prepared clip can't be moved")?;
                }
                Pictures::Small => small(original, &path)?,
            }
        }
        Ok(clips)
    }

    /// Where those pictures are.
    pub(super) fn path(&self, pictures: Pictures) -> PathBuf {
        self.folder.join(match pictures {
            Pictures::Film => "film.y4m",
            Pictures::FilmWithCuts => "film-with-cuts.y4m",
            Pictures::Small => "small.y4m",
        })
    }
}

/// The film as calls play it, in a folder.
pub(crate) fn film(original: &Path, folder: &Path) -> Result<PathBuf> {
    let path = folder.join("film.y4m");
    there_and_back(original, &path)?;
    Ok(path)
}

/// The places of so many pictures that are played forth and back: what follows the last is what follows it in a loop as well.
fn forth_and_back(pictures: usize) -> impl Iterator<Item = usize> {
    (0..pictures).chain((1..pictures.saturating_sub(1)).rev())
}

/// The film forth and back, so that it has no cut, which no camera has; with a number in each picture.
fn there_and_back(original: &Path, path: &Path) -> Result<()> {
    let size = FrameSize::new(1280, 720).context("the size is even")?;
    let pictures = read(original, size, usize::MAX)?;
    let numbered = (0..).zip(forth_and_back(pictures.len())).map(|(number, place)| {
        let mut picture = pictures[place].clone();
        match stamp::draw(&mut picture, FrameId(number), MediaTime::ZERO) {
            true => Ok(picture),
            false => bail!("pictures of {size} are too small for numbers"),
        }
    });
    write(path, size, numbered)
}

/// Small pictures, forth and back, that take an encoder a sixteenth of the time that those of 720p take, and as many bits.
fn small(original: &Path, path: &Path) -> Result<()> {
    let size = small_size()?;
    let mut pictures = read(original, size, SMALL_PICTURES)?;
    let mut random = Pcg32::seed_from_u64(1);
    for picture in &mut pictures {
        for sample in picture.planes_mut()[0].data.iter_mut() {
            *sample = sample.saturating_add_signed(random.random_range(-NOISE..=NOISE) as i8);
        }
    }
    write(path, size, forth_and_back(pictures.len()).map(|place| Ok(pictures[place].clone())))
}

/// The clip's pictures in this size, at most so many.
fn read(original: &Path, size: FrameSize, most: usize) -> Result<Vec<I420Buffer>> {
    let input = File::open(original).context("the test clip can't be read")?;
    let mut clip = Y4mReader::new(BufReader::new(input)).context("the test clip can't be read")?;
    let (mut scaler, mut picture) = (Scaler::new(), I420Buffer::black(clip.header().size));
    let mut pictures = Vec::new();
    while pictures.len() < most && clip.next_frame(Some(&mut picture))? {
        let mut fitting = I420Buffer::black(size);
        scaler.fit(&picture, &mut fitting);
        pictures.push(fitting);
    }
    Ok(pictures)
}

fn write(path: &Path, size: FrameSize, pictures: impl Iterator<Item = Result<I420Buffer>>) -> Result<()> {
    let output = BufWriter::new(File::create(path).context("there is no room for the prepared clip")?);
    let mut output = Y4mWriter::new(output, size, FrameRate::FPS_30)?;
    for picture in pictures {
        output.write_frame(&picture?)?;
    }
    output.finish()?.into_inner().context("there is no room for the prepared clip")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_that_is_played_forth_and_back_has_no_cut() {
        let places: Vec<usize> = forth_and_back(5).collect();
        assert_eq!(places, [0, 1, 2, 3, 4, 3, 2, 1]);
        let next = places.iter().cycle().skip(1);
        assert!(places.iter().zip(next).all(|(one, next)| one.abs_diff(*next) == 1));
        assert_eq!(forth_and_back(1).collect::<Vec<_>>(), [0]);
    }
}
