//! Uncompressed video files: the YUV4MPEG2 format (`.y4m`) as `mjpegtools`' yuv4mpeg(5) describes it and ffmpeg writes it.
//!
//! A file is input from outside, so the reader allocates nothing that its header asks for before the values are checked.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};

use ahoy_media_types::{FrameRate, FrameSize, I420Buffer, UnitError};

const MAGIC: &[u8] = b"YUV4MPEG2";
const FRAME_MAGIC: &[u8] = b"FRAME";
/// ffmpeg writes about 80 bytes, with comments some hundred; a longer first line means that this is another kind of file.
const MAX_LINE: u64 = 1024;

/// What turns nearly every video into one that can be played here.
const CONVERT: &str = "ffmpeg -i CLIP -vf scale=1280:720 -pix_fmt yuv420p clip.y4m";

/// Why a clip can't be played. Each text continues a sentence that has named the file.
#[derive(Debug, thiserror::Error)]
pub enum Y4mError {
    /// The file has no bytes.
    #[error("it is empty")]
    Empty,
    /// The first line is not that of a .y4m file.
    #[error("it is not an uncompressed .y4m video; convert it with: {CONVERT}")]
    NotY4m,
    /// A parameter in the first line can't be understood.
    #[error("its header says {parameter:?}, which is not {expected}; write it anew with: {CONVERT}")]
    Header {
        /// The parameter as written.
        parameter: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// Width or height is missing from the first line.
    #[error("its header gives no picture size; write it anew with: {CONVERT}")]
    NoSize,
    /// The pictures are smaller or larger than what Ahoy handles.
    #[error("{0}; scale it with: {CONVERT}")]
    Size(UnitError),
    /// The frame rate is outside what Ahoy handles.
    #[error("{0}; change it with: ffmpeg -i CLIP -r 30 -pix_fmt yuv420p clip.y4m")]
    Rate(UnitError),
    /// The samples are not 8-bit 4:2:0.
    #[error("its colour format {0:?} is not 8-bit 4:2:0; convert it with: {CONVERT}")]
    Chroma(String),
    /// There is no whole picture in the file.
    #[error("it holds no whole picture; it was probably cut off while it was written")]
    NoFrame,
    /// The file ends in the middle of a picture.
    #[error("it ends in the middle of picture {whole}; the {whole} pictures before that are played")]
    Truncated {
        /// How many whole pictures come before it.
        whole: u64,
    },
    /// Something else stands where a picture should begin.
    #[error("it is damaged after picture {whole}; the {whole} pictures before that are played")]
    Damaged {
        /// How many whole pictures come before it.
        whole: u64,
    },
    /// The operating system could not read it.
    #[error("it could not be read ({0})")]
    Read(#[from] io::Error),
}

/// What the first line of a file says about its pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Y4mHeader {
    /// Width and height of every picture.
    pub size: FrameSize,
    /// Frames per second, where the file says so.
    pub rate: Option<FrameRate>,
    /// Samples use 0 to 255 instead of 16 to 235 (luma) and 240 (chroma).
    pub full_range: bool,
}

/// Reads the pictures of a `.y4m` file one after another.
#[derive(Debug)]
pub struct Y4mReader<R> {
    input: BufReader<R>,
    header: Y4mHeader,
    first_frame: u64,
    frames: u64,
}

impl<R: Read + Seek> Y4mReader<R> {
    /// Reads and checks the first line.
    pub fn new(input: R) -> Result<Self, Y4mError> {
        let mut input = BufReader::new(input);
        let mut line = Vec::new();
        (&mut input).take(MAX_LINE).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(Y4mError::Empty);
        }
        let parameters = match line.strip_prefix(MAGIC) {
            Some(rest) if rest.first().is_some_and(u8::is_ascii_whitespace) && rest.ends_with(b"\n") => rest,
            Some(_) | None => return Err(Y4mError::NotY4m),
        };
        let header = parse_header(&String::from_utf8_lossy(parameters))?;
        Ok(Self { input, header, first_frame: line.len() as u64, frames: 0 })
    }

    /// What the first line says.
    pub fn header(&self) -> Y4mHeader {
        self.header
    }

    /// Reads the next picture, or with `None` passes over it; false at the end of a file that had some. `into` has to be of the file's
    /// size; its contents are undefined after an error.
    pub fn next_frame(&mut self, into: Option<&mut I420Buffer>) -> Result<bool, Y4mError> {
        let mut line = Vec::new();
        (&mut self.input).take(MAX_LINE).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return if self.frames == 0 { Err(Y4mError::NoFrame) } else { Ok(false) };
        }
        let whole = self.frames;
        let damaged = if whole == 0 { Y4mError::NoFrame } else { Y4mError::Damaged { whole } };
        match line.strip_prefix(FRAME_MAGIC) {
            Some([b'\n'] | [b' ', .., b'\n']) => {}
            Some(_) | None if line.ends_with(b"\n") || line.len() as u64 == MAX_LINE => return Err(damaged),
            Some(_) | None => return Err(self.cut_off()),
        }
        let read = match into {
            Some(picture) if picture.size() == self.header.size => {
                self.input.read_exact(picture.packed_mut())
            }
            Some(_) | None => self.pass_over(),
        };
        match read {
            Ok(()) => {
                self.frames += 1;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.cut_off()),
            Err(error) => Err(error.into()),
        }
    }

    /// Goes back to the first picture.
    pub fn rewind(&mut self) -> Result<(), Y4mError> {
        self.input.seek(SeekFrom::Start(self.first_frame))?;
        self.frames = 0;
        Ok(())
    }

    fn pass_over(&mut self) -> io::Result<()> {
        let bytes = self.header.size.i420_len();
        // All but the last byte, which is read so that a cut-off picture doesn't pass for a whole one.
        self.input.seek_relative(bytes as i64 - 1)?;
        self.input.read_exact(&mut [0])
    }

    fn cut_off(&self) -> Y4mError {
        match self.frames {
            0 => Y4mError::NoFrame,
            whole => Y4mError::Truncated { whole },
        }
    }
}

fn parse_header(parameters: &str) -> Result<Y4mHeader, Y4mError> {
    let (mut width, mut height, mut rate, mut full_range) = (None, None, None, false);
    for parameter in parameters.split_ascii_whitespace() {
        let invalid =
            |expected| Y4mError::Header { parameter: parameter.chars().take(40).collect(), expected };
        let number = |text: &str| text.parse::<u64>().map_err(|_| invalid("a number of pixels"));
        match parameter.split_at_checked(1) {
            Some(("W", value)) => width = Some(number(value)?),
            Some(("H", value)) => height = Some(number(value)?),
            Some(("F", value)) => {
                let fraction =
                    value.split_once(':').and_then(|(n, d)| Some((n.parse().ok()?, d.parse().ok()?)));
                rate = match fraction.ok_or_else(|| invalid("a frame rate such as F30:1"))? {
                    (0, 0) => None,
                    (numerator, denominator) => {
                        Some(FrameRate::new(numerator, denominator).map_err(Y4mError::Rate)?)
                    }
                };
            }
            // The three 8-bit 4:2:0 variants differ in where the chroma samples lie, by less than a pixel.
            Some(("C", "420" | "420jpeg" | "420mpeg2" | "420paldv")) => {}
            Some(("C", other)) => return Err(Y4mError::Chroma(other.chars().take(40).collect())),
            Some(("X", value)) => full_range |= value == "COLORRANGE=FULL",
            // Interlacing and pixel shape are played as they are; comments say nothing to us.
            Some(_) | None => {}
        }
    }
    let (Some(width), Some(height)) = (width, height) else { return Err(Y4mError::NoSize) };
    Ok(Y4mHeader { size: FrameSize::new(width, height).map_err(Y4mError::Size)?, rate, full_range })
}

/// Writes pictures into a `.y4m` file. All have the size that the first line gives.
#[derive(Debug)]
pub struct Y4mWriter<W> {
    output: W,
    size: FrameSize,
}

impl<W: Write> Y4mWriter<W> {
    /// Writes the first line. Give a buffered `output`.
    pub fn new(mut output: W, size: FrameSize, rate: FrameRate) -> io::Result<Self> {
        let (numerator, denominator) = rate.as_fraction();
        let mut line = String::new();
        let _ = write!(
            line,
            "YUV4MPEG2 W{} H{} F{numerator}:{denominator} Ip A1:1 C420mpeg2 XYSCSS=420MPEG2 XCOLORRANGE=LIMITED",
            size.width(),
            size.height()
        );
        writeln!(output, "{line}")?;
        Ok(Self { output, size })
    }

    /// The size that every picture must have.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// Appends a picture; one of another size than the file's is an error of the kind `InvalidInput`.
    pub fn write_frame(&mut self, picture: &I420Buffer) -> io::Result<()> {
        if picture.size() != self.size {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a .y4m file holds pictures of one size",
            ));
        }
        self.output.write_all(b"FRAME\n")?;
        self.output.write_all(picture.packed())
    }

    /// Writes out what is buffered and gives the output back.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.flush()?;
        Ok(self.output)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn size(width: u64, height: u64) -> FrameSize {
        FrameSize::new(width, height).unwrap()
    }

    fn clip(frames: u8) -> Vec<u8> {
        let mut writer =
            Y4mWriter::new(Vec::new(), size(17, 19), FrameRate::new(30_000, 1001).unwrap()).unwrap();
        for luma in 0..frames {
            let mut picture = I420Buffer::black(size(17, 19));
            picture.packed_mut().fill(luma);
            writer.write_frame(&picture).unwrap();
        }
        writer.finish().unwrap()
    }

    fn open(bytes: impl Into<Vec<u8>>) -> Result<Y4mReader<Cursor<Vec<u8>>>, Y4mError> {
        Y4mReader::new(Cursor::new(bytes.into()))
    }

    fn refusal(header: &str) -> String {
        open(header).unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_reads_back_even_at_odd_sizes() {
        let mut reader = open(clip(3)).unwrap();
        let expected = Y4mHeader {
            size: size(17, 19),
            rate: Some(FrameRate::new(30_000, 1001).unwrap()),
            full_range: false,
        };
        assert_eq!(reader.header(), expected);
        let mut picture = I420Buffer::black(size(17, 19));
        assert!(reader.next_frame(Some(&mut picture)).unwrap());
        assert!(reader.next_frame(None).unwrap());
        assert!(reader.next_frame(Some(&mut picture)).unwrap());
        assert!(picture.packed().iter().all(|&v| v == 2));
        assert!(!reader.next_frame(Some(&mut picture)).unwrap());
        reader.rewind().unwrap();
        assert!(reader.next_frame(Some(&mut picture)).unwrap());
        assert!(picture.packed().iter().all(|&v| v == 0));
    }

    #[test]
    fn a_picture_of_another_size_is_not_written() {
        let mut writer = Y4mWriter::new(Vec::new(), size(32, 16), FrameRate::FPS_30).unwrap();
        let error = writer.write_frame(&I420Buffer::black(size(16, 32))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn headers_of_other_programs_are_read() {
        let header = open("YUV4MPEG2 W64 H48 F25:1 Ip A0:0 C420jpeg XYSCSS=420JPEG XCOLORRANGE=FULL\n");
        assert!(header.unwrap().header().full_range);
        assert_eq!(open("YUV4MPEG2 H48 W64\n").unwrap().header().rate, None);
        assert_eq!(open("YUV4MPEG2 H48 W64 F0:0 Xsome comment\n").unwrap().header().rate, None);
    }

    #[test]
    fn files_that_are_no_clips_are_refused() {
        assert_eq!(refusal(""), "it is empty");
        for garbage in ["RIFF....AVI", "YUV4MPEG2", "YUV4MPEG2 W64 H48", "YUV4MPEG2x W64 H48\n", "\n"] {
            assert!(refusal(garbage).contains("ffmpeg -i CLIP"), "{garbage}");
        }
        let endless = [b"YUV4MPEG2 ".as_slice(), &[b'x'; 4096]].concat();
        assert!(matches!(open(endless), Err(Y4mError::NotY4m)));
        assert!(matches!(open(vec![0xff; 100_000]), Err(Y4mError::NotY4m)));
    }

    #[test]
    fn impossible_headers_are_refused_with_the_value_that_is_wrong() {
        assert!(refusal("YUV4MPEG2 W64 F30:1\n").contains("no picture size"));
        assert!(refusal("YUV4MPEG2 W7680 H4320 F30:1\n").contains("7680x4320"));
        assert!(refusal("YUV4MPEG2 W0 H48\n").contains("0x48"));
        assert!(refusal("YUV4MPEG2 W18446744073709551615 H18446744073709551615\n").contains("can't be used"));
        assert!(refusal("YUV4MPEG2 W-64 H48\n").contains("\"W-64\""));
        assert!(refusal("YUV4MPEG2 W64 H48 Fast\n").contains("\"Fast\""));
        assert!(refusal("YUV4MPEG2 W64 H48 F240:1\n").contains("240 frames per second"));
        assert!(refusal("YUV4MPEG2 W64 H48 F1:0\n").contains("ffmpeg -i CLIP -r 30"));
        assert!(refusal("YUV4MPEG2 W64 H48 W\u{e9}\n").contains("number of pixels"));
    }

    #[test]
    fn other_colour_formats_are_refused_by_name() {
        for chroma in ["444", "422", "mono", "420p10", "411", "444alpha"] {
            let refused = refusal(&format!("YUV4MPEG2 W64 H48 C{chroma}\n"));
            assert!(refused.contains(&format!("{chroma:?}")) && refused.contains("yuv420p"), "{refused}");
        }
    }

    #[test]
    fn a_cut_off_file_ends_with_the_number_of_whole_pictures() {
        let whole = clip(3);
        let frame = 6 + size(17, 19).i420_len();
        for cut in [1, 100, frame - 6, frame - 3] {
            for reading in [true, false] {
                let mut reader = open(&whole[..whole.len() - cut]).unwrap();
                let mut picture = I420Buffer::black(size(17, 19));
                let mut next = || reader.next_frame(reading.then_some(&mut picture));
                assert!(next().unwrap() && next().unwrap());
                assert!(matches!(next(), Err(Y4mError::Truncated { whole: 2 })), "cut by {cut}");
            }
        }
    }

    #[test]
    fn a_file_without_a_whole_picture_says_so() {
        let whole = clip(1);
        let mut reader = open(&whole[..whole.len() - 1]).unwrap();
        assert!(matches!(reader.next_frame(None), Err(Y4mError::NoFrame)));
        for nothing in ["YUV4MPEG2 W64 H48\n", "YUV4MPEG2 W64 H48\nFRAM", "YUV4MPEG2 W64 H48\nPICTURE\n"] {
            let mut reader = open(nothing).unwrap();
            assert!(matches!(reader.next_frame(None), Err(Y4mError::NoFrame)));
        }
    }

    #[test]
    fn garbage_between_pictures_is_found() {
        let mut bytes = clip(2);
        let second = bytes.len() - size(17, 19).i420_len() - 6;
        bytes[second] = b'f';
        let mut reader = open(bytes).unwrap();
        assert!(reader.next_frame(None).unwrap());
        assert!(matches!(reader.next_frame(None), Err(Y4mError::Damaged { whole: 1 })));
    }
}
