//! What a person has chosen, kept in a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Longest name that a person can have, in characters.
const LONGEST_NAME: usize = 80;
/// A settings file larger than this is none of ours.
const LARGEST_FILE: u64 = 1 << 20;

/// Everything that can be chosen. A file that lacks a field has its default, and one with fields that this version does not
/// know is read all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(default)]
pub struct Settings {
    /// What others see; empty until it is chosen.
    pub name: String,
    /// Language of the window.
    pub language: Language,
    /// Colours of the window.
    pub theme: Theme,
    /// Id of the camera; null takes the first that there is.
    pub camera: Option<String>,
    /// Id of the microphone; null takes the system's default.
    pub microphone: Option<String>,
    /// Id of the speaker; null takes the system's default.
    pub speaker: Option<String>,
    /// Id of the speaker at which calls ring; null takes the system's default, also where another is used in calls.
    pub ringer: Option<String>,
    /// Size of the pictures that are sent.
    pub picture: PictureSize,
    /// Whether one's own picture is shown as in a mirror. Others see it as it is.
    pub mirror_self: bool,
    /// Whether pictures are smaller and fewer to save power.
    pub save_power: SavePower,
    /// Whether calls go by relays only, so that others learn no address of this machine.
    pub relay_only: bool,
    /// Where files go that others send; null takes the system's folder for downloads.
    pub files_folder: Option<String>,
    /// Ids of those whose files are taken unasked.
    pub files_from: Vec<String>,
    /// Whether the first run's questions are answered.
    pub first_run_done: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: String::new(),
            language: Language::System,
            theme: Theme::System,
            camera: None,
            microphone: None,
            speaker: None,
            ringer: None,
            picture: PictureSize::P720,
            mirror_self: true,
            save_power: SavePower::Auto,
            relay_only: false,
            files_folder: None,
            files_from: Vec::new(),
            first_run_done: false,
        }
    }
}

/// Language of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// As the system has it, where Ahoy speaks it.
    System,
    /// English.
    En,
    /// Chinese.
    Zh,
}

/// Colours of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// As the system has it.
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// Size of the pictures that are sent, named by their lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub enum PictureSize {
    /// 640x360.
    #[serde(rename = "360p")]
    P360,
    /// 1280x720.
    #[serde(rename = "720p")]
    P720,
    /// 1920x1080.
    #[serde(rename = "1080p")]
    P1080,
}

/// Whether pictures are smaller and fewer to save power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum SavePower {
    /// While the system is set to, the battery is nearly empty, or the machine is hot.
    Auto,
    /// In all calls.
    Always,
    /// In none.
    Never,
}

/// Fields to change; the others stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[cfg_attr(feature = "bindings", ts(optional_fields))]
#[serde(default, deny_unknown_fields)]
pub struct SettingsChange {
    /// See [`Settings::name`]. Space around it is left out.
    pub name: Option<String>,
    /// See [`Settings::language`].
    pub language: Option<Language>,
    /// See [`Settings::theme`].
    pub theme: Option<Theme>,
    /// See [`Settings::camera`]; null goes back to the default.
    #[serde(deserialize_with = "given")]
    #[cfg_attr(feature = "bindings", ts(optional, type = "string | null"))]
    pub camera: Option<Option<String>>,
    /// See [`Settings::microphone`]; null goes back to the default.
    #[serde(deserialize_with = "given")]
    #[cfg_attr(feature = "bindings", ts(optional, type = "string | null"))]
    pub microphone: Option<Option<String>>,
    /// See [`Settings::speaker`]; null goes back to the default.
    #[serde(deserialize_with = "given")]
    #[cfg_attr(feature = "bindings", ts(optional, type = "string | null"))]
    pub speaker: Option<Option<String>>,
    /// See [`Settings::ringer`]; null goes back to the default.
    #[serde(deserialize_with = "given")]
    #[cfg_attr(feature = "bindings", ts(optional, type = "string | null"))]
    pub ringer: Option<Option<String>>,
    /// See [`Settings::picture`].
    pub picture: Option<PictureSize>,
    /// See [`Settings::mirror_self`].
    pub mirror_self: Option<bool>,
    /// See [`Settings::save_power`].
    pub save_power: Option<SavePower>,
    /// See [`Settings::relay_only`].
    pub relay_only: Option<bool>,
    /// See [`Settings::files_folder`]; null goes back to the default.
    #[serde(deserialize_with = "given")]
    #[cfg_attr(feature = "bindings", ts(optional, type = "string | null"))]
    pub files_folder: Option<Option<String>>,
    /// See [`Settings::files_from`].
    pub files_from: Option<Vec<String>>,
    /// See [`Settings::first_run_done`].
    pub first_run_done: Option<bool>,
}

/// Tells a field that is null from one that is not there.
fn given<'de, D: serde::Deserializer<'de>>(field: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(field).map(Some)
}

impl Settings {
    fn change(&mut self, change: SettingsChange) {
        let SettingsChange {
            name,
            language,
            theme,
            camera,
            microphone,
            speaker,
            ringer,
            picture,
            mirror_self,
            save_power,
            relay_only,
            files_folder,
            files_from,
            first_run_done,
        } = change;
        if let Some(name) = name {
            self.name = name.trim().to_owned();
        }
        self.language = language.unwrap_or(self.language);
        self.theme = theme.unwrap_or(self.theme);
        self.camera = camera.unwrap_or_else(|| self.camera.take());
        self.microphone = microphone.unwrap_or_else(|| self.microphone.take());
        self.speaker = speaker.unwrap_or_else(|| self.speaker.take());
        self.ringer = ringer.unwrap_or_else(|| self.ringer.take());
        self.picture = picture.unwrap_or(self.picture);
        self.mirror_self = mirror_self.unwrap_or(self.mirror_self);
        self.save_power = save_power.unwrap_or(self.save_power);
        self.relay_only = relay_only.unwrap_or(self.relay_only);
        self.files_folder = files_folder.unwrap_or_else(|| self.files_folder.take());
        self.files_from = files_from.unwrap_or_else(|| std::mem::take(&mut self.files_from));
        self.first_run_done = first_run_done.unwrap_or(self.first_run_done);
    }
}

/// Why settings were not kept.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The name can't be shown in a call.
    #[error("a name has at most {LONGEST_NAME} characters and no line breaks: choose a shorter one")]
    Name,
    /// The file can't be written.
    #[error("the settings can't be kept in {} ({cause}): check that you may write there and that the disk has room",
        path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
}

/// The settings and their file.
#[derive(Debug)]
pub struct SettingsStore {
    path: PathBuf,
    now: Settings,
}

impl SettingsStore {
    /// Reads the file. One that is missing means the defaults; one that can't be read is set aside, with `.broken` at the end
    /// of its name, so that nothing in it is lost.
    pub fn open(path: PathBuf) -> Self {
        let now = match read(&path) {
            Ok(settings) => settings,
            Err(ReadError::Missing) => Settings::default(),
            Err(ReadError::Broken(reason)) => {
                let aside = path.with_added_extension("broken");
                let kept = fs::rename(&path, &aside).is_ok();
                tracing::warn!(%reason, kept, "the settings could not be read; the defaults are used");
                Settings::default()
            }
        };
        Self { path, now }
    }

    /// The settings as they are.
    pub fn get(&self) -> &Settings {
        &self.now
    }

    /// Changes and keeps settings. Where they can't be kept they stay as they were.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn change(&mut self, change: SettingsChange) -> Result<&Settings, SettingsError> {
        let mut next = self.now.clone();
        next.change(change);
        if next.name.chars().count() > LONGEST_NAME || next.name.chars().any(char::is_control) {
            return Err(SettingsError::Name);
        }
        if next != self.now {
            write(&self.path, &next)
                .map_err(|cause| SettingsError::Write { path: self.path.clone(), cause })?;
            self.now = next;
        }
        Ok(&self.now)
    }
}

enum ReadError {
    Missing,
    Broken(String),
}

fn read(path: &Path) -> Result<Settings, ReadError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ReadError::Missing),
        Ok(about) if about.len() > LARGEST_FILE => return Err(ReadError::Broken("it is too large".into())),
        Ok(_) | Err(_) => {}
    }
    let text = fs::read_to_string(path).map_err(|error| ReadError::Broken(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| ReadError::Broken(error.to_string()))
}

/// Writes beside the file and puts that in its place, so that whatever happens one of the two is whole.
fn write(path: &Path, settings: &Settings) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_added_extension("new");
    let mut text = serde_json::to_vec_pretty(settings)?;
    text.push(b'\n');
    let mut file = fs::File::create(&beside)?;
    io::Write::write_all(&mut file, &text)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(json: &str) -> SettingsChange {
        serde_json::from_str(json).unwrap()
    }

    fn store() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ahoy/settings.json");
        (folder, path)
    }

    #[test]
    fn what_was_chosen_is_there_the_next_time() {
        let (_folder, path) = store();
        let mut settings = SettingsStore::open(path.clone());
        assert_eq!(*settings.get(), Settings::default());
        let json = r#"{"name": " Ada ", "theme": "dark", "camera": "/dev/video2", "picture": "1080p"}"#;
        settings.change(change(json)).unwrap();
        settings.change(change(r#"{"save_power": "always"}"#)).unwrap();
        let again = SettingsStore::open(path.clone());
        let now = again.get();
        assert_eq!((now.name.as_str(), now.theme, now.picture), ("Ada", Theme::Dark, PictureSize::P1080));
        assert_eq!((now.camera.as_deref(), now.save_power), (Some("/dev/video2"), SavePower::Always));
        assert!(now.mirror_self, "not asked about");
        assert!(!path.with_added_extension("new").exists());
    }

    #[test]
    fn a_device_goes_back_to_the_default_with_null_and_stays_without_a_word() {
        let (_folder, path) = store();
        let mut settings = SettingsStore::open(path);
        settings.change(change(r#"{"microphone": "a", "speaker": "b"}"#)).unwrap();
        let now = settings.change(change(r#"{"microphone": null}"#)).unwrap();
        assert_eq!((now.microphone.as_deref(), now.speaker.as_deref()), (None, Some("b")));
    }

    #[test]
    fn a_broken_file_is_set_aside_and_not_lost() {
        let (_folder, path) = store();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "{ \"name\": ").unwrap();
        let mut settings = SettingsStore::open(path.clone());
        assert_eq!(*settings.get(), Settings::default());
        settings.change(change(r#"{"name": "Ada"}"#)).unwrap();
        assert_eq!(fs::read_to_string(path.with_added_extension("broken")).unwrap(), "{ \"name\": ");
    }

    #[test]
    fn files_of_other_versions_are_read() {
        let (_folder, path) = store();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, r#"{"name": "Ada", "of_tomorrow": 7}"#).unwrap();
        let store = SettingsStore::open(path);
        assert_eq!((store.get().name.as_str(), store.get().save_power), ("Ada", SavePower::Auto));
    }

    #[test]
    fn a_change_that_can_not_be_kept_is_none() {
        let (_folder, path) = store();
        fs::write(path.parent().unwrap(), "a file where the folder should be").unwrap();
        let mut settings = SettingsStore::open(path);
        let error = settings.change(change(r#"{"name": "Ada"}"#)).unwrap_err().to_string();
        assert!(error.contains("settings.json") && error.contains("may write"), "{error}");
        assert_eq!(settings.get().name, "");
    }

    #[test]
    fn names_that_can_not_be_shown_are_refused() {
        let (_folder, path) = store();
        let mut settings = SettingsStore::open(path);
        for name in ["a\nb".to_owned(), "x".repeat(LONGEST_NAME + 1)] {
            let change = SettingsChange { name: Some(name), ..SettingsChange::default() };
            assert!(matches!(settings.change(change), Err(SettingsError::Name)));
        }
    }

    #[test]
    fn unknown_wishes_are_refused() {
        assert!(serde_json::from_str::<SettingsChange>(r#"{"nmae": "Ada"}"#).is_err());
        assert!(serde_json::from_str::<SettingsChange>(r#"{"theme": "pink"}"#).is_err());
        assert!(serde_json::from_str::<SettingsChange>(r#"{"save_power": true}"#).is_err());
    }
}
