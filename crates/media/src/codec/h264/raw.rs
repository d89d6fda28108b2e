//! The foreign part of the encoder: openh264's C interface, wrapped so that it can't be misused.
//!
//! The `openh264` crate's own encoder is not used because it caps the bitrate at the first value it is given, makes
//! a change of several settings cost a key frame, and hides the settings that decide quality.

use std::ptr::{self, NonNull};

use ahoy_media_types::{ColorMatrix, FrameSize, I420Buffer};
use openh264_sys2 as sys;
use openh264_sys2::source::APILoader;

/// What openh264 calls success.
const OK: i32 = 0;
/// Smallest quantizer: openh264's floor for its rate control; below it bits go where no eye sees them.
const MIN_QP: i32 = 12;
/// Largest quantizer, the standard's own. Capping it lower (openh264's default is 42) trades motion for sharpness: 720p at
/// 300 kbit/s then leaves out 52 instead of 38 of 132 frames.
const MAX_QP: i32 = 51;
/// openh264 refuses faster rates.
pub(super) const MAX_RATE: f32 = 60.0;

/// Settings that a running encoder can't change without starting afresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Even on both sides.
    pub(super) size: FrameSize,
    pub(super) color: ColorMatrix,
}

/// What became of one picture.
pub(super) enum Encoded {
    Picture { data: Vec<u8>, keyframe: bool },
    Skipped,
}

/// An initialised openh264 encoder.
pub(super) struct RawEncoder {
    encoder: NonNull<sys::ISVCEncoder>,
}

// SAFETY: openh264 keeps no thread-local state and ties an encoder to no thread; `&mut self` on every call keeps two
// threads from being inside at once.
unsafe impl Send for RawEncoder {}

/// Calls a function of the encoder's table. Must be used inside `unsafe`.
macro_rules! call {
    ($self:expr, $function:ident $(, $argument:expr)*) => {{
        let encoder = $self.encoder.as_ptr();
        let function = (**encoder).$function.expect("openh264 fills in its whole function table");
        function(encoder $(, $argument)*)
    }};
}

impl RawEncoder {
    /// Starts an encoder; `bitrate` is in bits per second and `rate` in frames per second. The error is openh264's.
    pub(super) fn new(shape: Shape, rate: f32, bitrate: i32) -> Result<Self, i32> {
        let mut encoder: *mut sys::ISVCEncoder = ptr::null_mut();
        // SAFETY: the only argument is a valid place to write the pointer to.
        let code = unsafe { APILoader::WelsCreateSVCEncoder(&raw mut encoder) };
        let encoder = NonNull::new(encoder).ok_or(code)?;
        let mut this = Self { encoder };
        if code != OK {
            return Err(code);
        }
        let mut quiet: i32 = sys::WELS_LOG_QUIET;
        // SAFETY: this option reads one int.
        unsafe { call!(this, SetOption, sys::ENCODER_OPTION_TRACE_LEVEL, (&raw mut quiet).cast()) };
        let parameters = this.parameters(shape, rate, bitrate)?;
        // SAFETY: the parameters outlive the call, which copies them.
        match unsafe { call!(this, InitializeExt, &raw const parameters) } {
            OK => Ok(this),
            code => Err(code),
        }
    }

    /// Real-time settings for a camera, found by measuring 132 frames of "Big Buck Bunny" at 720p30 and 1500 kbit/s:
    ///
    /// | setting                   | PSNR-Y   | CPU of encoding | frames left out |
    /// |---------------------------|----------|-----------------|-----------------|
    /// | as below                  | 39.23 dB | 1               | 3               |
    /// | background detection on   | 38.46 dB | 0.95            | 4               |
    /// | medium or high complexity | 39.33 dB | 1.15            | 3               |
    /// | denoising on              | 38.50 dB | 1.4             | 2               |
    /// | two slices, two threads   | 39.46 dB | 1.05            | 6               |
    ///
    /// Scene change detection makes cuts worse: with the clip played twice it takes 39.31 dB to 39.07 dB, since a key frame
    /// uses up the bits of the pictures after it. openh264 ignores its switch for adaptive quantization.
    fn parameters(&mut self, shape: Shape, rate: f32, bitrate: i32) -> Result<sys::SEncParamExt, i32> {
        let mut p = sys::SEncParamExt::default();
        // SAFETY: the call fills in the struct it is given.
        let code = unsafe { call!(self, GetDefaultParams, &raw mut p) };
        if code != OK {
            return Err(code);
        }
        let (width, height) = (shape.size.width() as i32, shape.size.height() as i32);
        p.iUsageType = sys::CAMERA_VIDEO_REAL_TIME;
        (p.iPicWidth, p.iPicHeight) = (width, height);
        p.fMaxFrameRate = rate;
        p.iRCMode = sys::RC_BITRATE_MODE;
        p.iTargetBitrate = bitrate;
        p.bEnableFrameSkip = true;
        (p.iMinQp, p.iMaxQp) = (MIN_QP, MAX_QP);
        p.iComplexityMode = sys::LOW_COMPLEXITY;
        // One thread: a call has another end and other work for the second core, and 720p takes 5 ms as it is.
        p.iMultipleThreadIdc = 1;
        // Key frames are made when a receiver asks for one, never on schedule.
        p.uiIntraPeriod = 0;
        p.eSpsPpsIdStrategy = sys::CONSTANT_ID;
        p.bEnableSceneChangeDetect = false;
        p.bEnableBackgroundDetection = false;
        p.bEnableDenoise = false;

        let layer = &mut p.sSpatialLayers[0];
        layer.uiProfileIdc = sys::PRO_BASELINE;
        (layer.iVideoWidth, layer.iVideoHeight) = (width, height);
        layer.fFrameRate = rate;
        layer.iSpatialBitrate = bitrate;
        layer.iMaxSpatialBitrate = sys::UNSPECIFIED_BIT_RATE as i32;
        layer.sSliceArgument.uiSliceMode = sys::SM_SINGLE_SLICE;
        layer.sSliceArgument.uiSliceNum = 1;
        // Receivers otherwise guess the matrix from the height, and not all of them guess the same.
        let (primaries, transfer, matrix) = match shape.color {
            ColorMatrix::Bt601 => (sys::CP_SMPTE170M, sys::TRC_SMPTE170M, sys::CM_SMPTE170M),
            ColorMatrix::Bt709 => (sys::CP_BT709, sys::TRC_BT709, sys::CM_BT709),
        };
        layer.bVideoSignalTypePresent = true;
        layer.uiVideoFormat = sys::VF_UNDEF as u8;
        layer.bFullRange = false;
        layer.bColorDescriptionPresent = true;
        layer.uiColorPrimaries = primaries as u8;
        layer.uiTransferCharacteristics = transfer as u8;
        layer.uiColorMatrix = matrix as u8;
        Ok(p)
    }

    /// Compresses `buffer` cropped to `size`. `millis` must never go back.
    ///
    /// After an error the encoder must be dropped: openh264 may have torn its context down.
    pub(super) fn encode(
        &mut self,
        buffer: &I420Buffer,
        size: FrameSize,
        millis: i64,
    ) -> Result<Encoded, i32> {
        let full = buffer.size();
        assert!(
            size.width() <= full.width() && size.height() <= full.height(),
            "cropping only makes smaller"
        );
        let mut source = sys::SSourcePicture {
            iColorFormat: sys::videoFormatI420,
            iPicWidth: size.width() as i32,
            iPicHeight: size.height() as i32,
            uiTimeStamp: millis,
            ..Default::default()
        };
        let chroma = full.chroma_width() as i32;
        source.iStride = [full.width() as i32, chroma, chroma, 0];
        // The type wants mutable pointers, but openh264 copies the planes into its own padded picture before it works
        // on them.
        source.pData = [
            buffer.y().as_ptr().cast_mut(),
            buffer.u().as_ptr().cast_mut(),
            buffer.v().as_ptr().cast_mut(),
            ptr::null_mut(),
        ];
        let mut info = sys::SFrameBSInfo::default();
        // SAFETY: the planes hold `size` rows and columns at these strides (asserted above) and outlive the call; they
        // are only read. `info` is written.
        let code = unsafe { call!(self, EncodeFrame, &raw const source, &raw mut info) };
        if code != OK {
            return Err(code);
        }
        match info.eFrameType {
            sys::videoFrameTypeIDR => Ok(Encoded::Picture { data: copy_out(&info), keyframe: true }),
            sys::videoFrameTypeI | sys::videoFrameTypeP | sys::videoFrameTypeIPMixed => {
                Ok(Encoded::Picture { data: copy_out(&info), keyframe: false })
            }
            _ => Ok(Encoded::Skipped),
        }
    }

    /// Asks for the next frame to be a key frame.
    pub(super) fn force_keyframe(&mut self) {
        // SAFETY: takes a plain bool; the encoder is initialised.
        unsafe { call!(self, ForceIntraFrame, true) };
    }

    /// Changes the target without a key frame.
    pub(super) fn set_bitrate(&mut self, bitrate: i32) -> Result<(), i32> {
        let mut info = sys::SBitrateInfo { iLayer: sys::SPATIAL_LAYER_ALL, iBitrate: bitrate };
        // SAFETY: this option reads one SBitrateInfo.
        match unsafe { call!(self, SetOption, sys::ENCODER_OPTION_BITRATE, (&raw mut info).cast()) } {
            OK => Ok(()),
            code => Err(code),
        }
    }

    /// Changes the frame rate that the bitrate is spread over, without a key frame.
    pub(super) fn set_rate(&mut self, rate: f32) -> Result<(), i32> {
        let mut rate = rate;
        // SAFETY: this option reads one float.
        match unsafe { call!(self, SetOption, sys::ENCODER_OPTION_FRAME_RATE, (&raw mut rate).cast()) } {
            OK => Ok(()),
            code => Err(code),
        }
    }
}

impl Drop for RawEncoder {
    fn drop(&mut self) {
        // SAFETY: the pointer came from WelsCreateSVCEncoder and is used no more. Uninitialising an encoder whose
        // initialisation failed is allowed.
        unsafe {
            call!(self, Uninitialize);
            APILoader::WelsDestroySVCEncoder(self.encoder.as_ptr());
        }
    }
}

/// The NAL units of a picture with their start codes.
fn copy_out(info: &sys::SFrameBSInfo) -> Vec<u8> {
    let layers = usize::try_from(info.iLayerNum).unwrap_or(0).min(info.sLayerInfo.len());
    let mut data = Vec::with_capacity(usize::try_from(info.iFrameSizeInBytes).unwrap_or(0));
    for layer in &info.sLayerInfo[..layers] {
        let nals = usize::try_from(layer.iNalCount).unwrap_or(0);
        if nals == 0 || layer.pBsBuf.is_null() {
            continue;
        }
        // SAFETY: openh264 gives `iNalCount` lengths, and `pBsBuf` holds as many bytes as they add up to; both stay
        // valid until the next call to the encoder, which the caller's `&mut` keeps out.
        let bytes = unsafe {
            let lengths = std::slice::from_raw_parts(layer.pNalLengthInByte, nals);
            let total = lengths.iter().map(|&length| usize::try_from(length).unwrap_or(0)).sum();
            std::slice::from_raw_parts(layer.pBsBuf, total)
        };
        data.extend_from_slice(bytes);
    }
    data
}
