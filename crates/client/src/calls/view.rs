//! In which size pictures are shown, as one side tells the other.

use ahoy_call::View;
use ahoy_congestion::Viewer;
use ahoy_media_types::FrameSize;

use crate::picture_socket::Area;

/// What those whose pictures the window shows are told; `None` where there is nothing to be seen.
pub(super) fn told_of(area: Area) -> Option<View> {
    let side = |side: u32| side.min(View::LONGEST_SIDE);
    area.is_seen().then(|| View { width: side(area.width), height: side(area.height) })
}

/// What the other side does with pictures, by what it tells.
pub(super) fn viewer(view: Option<View>) -> Viewer {
    let Some(view) = view else { return Viewer::Hidden };
    if !view.can_be() {
        return Viewer::Unknown;
    }
    // No picture is larger than this, or smaller, whatever room there is for it.
    let width = view.width.clamp(FrameSize::MIN_SIDE, FrameSize::MAX_WIDTH);
    let height = view.height.clamp(FrameSize::MIN_SIDE, FrameSize::MAX_HEIGHT);
    FrameSize::new(width.into(), height.into()).map_or(Viewer::Unknown, Viewer::Shows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_without_a_side_shows_nothing() {
        let of = |width, height| told_of(Area { width, height });
        assert_eq!(of(1_280, 720), Some(View { width: 1_280, height: 720 }));
        assert_eq!((of(0, 0), of(640, 0), of(0, 640)), (None, None, None));
        assert!(of(u32::MAX, 16).is_some_and(View::can_be));
    }

    #[test]
    fn what_can_not_be_says_nothing_and_what_can_is_held_to_the_sizes_of_pictures() {
        let of = |width, height| viewer(Some(View { width, height }));
        let shows = |width, height| Viewer::Shows(FrameSize::new(width, height).unwrap());
        assert_eq!(viewer(None), Viewer::Hidden);
        assert_eq!(of(640, 368), shows(640, 368));
        assert_eq!(of(5_120, 2_880), shows(4_096, 2_304));
        assert_eq!(of(1, 1), shows(16, 16));
        assert_eq!((of(0, 720), of(640, 16_385)), (Viewer::Unknown, Viewer::Unknown));
    }
}
