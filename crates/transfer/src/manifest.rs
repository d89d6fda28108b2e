//! What a transfer consists of.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::names::{NameError, NameRules, check_name, numbered};

/// Files and folders of one transfer. With more of them an archive is the better way, and lists get unreadable.
pub const MOST_ENTRIES: u32 = 100_000;
/// Folders in folders. Nobody nests as deep; paths get too long for most systems before.
pub const DEEPEST: u32 = 64;
/// Bytes of a file, and of all together: the most that JavaScript counts exactly.
pub const LARGEST: u64 = (1 << 53) - 1;

/// A file or a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is called where it comes from.
    pub name: String,
    /// The folder that it is in, by its number; at the top of the transfer without.
    #[serde(rename = "in", default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<u32>,
    /// Bytes of a file; a folder has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When it was changed last, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
}

/// Why entries are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// There are more than [`MOST_ENTRIES`].
    #[error("more than 100,000 files and folders; an archive of them can be sent")]
    TooMany,
    /// They are not those that come next, or more than were announced.
    #[error("entries from {0} on, which are not the next ones")]
    OutOfTurn(u32),
    /// One can't be called so.
    #[error("entry {0} has {1}")]
    Name(u32, #[source] NameError),
    /// One is in something that is no folder before it.
    #[error("entry {0} is in something that is no folder before it")]
    Folder(u32),
    /// Folders are in more than [`DEEPEST`] others.
    #[error("entry {0} is in more than 64 folders")]
    TooDeep(u32),
    /// They have more than [`LARGEST`] bytes.
    #[error("more than 9 petabytes")]
    TooLarge,
    /// They do not have as many bytes as was announced.
    #[error("{is} bytes where {announced} were announced")]
    OtherSize {
        /// As many as the entries have.
        is: u64,
        /// As many as the offer said.
        announced: u64,
    },
}

/// The entries of a transfer, each checked. Folders come before what is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    entries: Vec<Entry>,
    /// In how many folders each is.
    depths: Vec<u32>,
    bytes: u64,
}

impl Manifest {
    /// Of these entries.
    pub fn new(entries: Vec<Entry>) -> Result<Self, ManifestError> {
        let mut manifest = Self::default();
        for entry in entries {
            manifest.push(entry)?;
        }
        Ok(manifest)
    }

    /// Adds the next entry.
    pub fn push(&mut self, entry: Entry) -> Result<(), ManifestError> {
        let number = self.len();
        if number >= MOST_ENTRIES {
            return Err(ManifestError::TooMany);
        }
        check_name(&entry.name).map_err(|error| ManifestError::Name(number, error))?;
        let depth = match entry.folder {
            None => 0,
            Some(folder) if folder < number && self.entries[folder as usize].size.is_none() => {
                self.depths[folder as usize] + 1
            }
            Some(_) => return Err(ManifestError::Folder(number)),
        };
        if depth > DEEPEST {
            return Err(ManifestError::TooDeep(number));
        }
        let bytes = self.bytes.checked_add(entry.size.unwrap_or_default());
        self.bytes = bytes.filter(|bytes| *bytes <= LARGEST).ok_or(ManifestError::TooLarge)?;
        self.entries.push(entry);
        self.depths.push(depth);
        Ok(())
    }

    /// How many entries there are.
    pub fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The entries in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// An entry by its number.
    pub fn get(&self, number: u32) -> Option<&Entry> {
        self.entries.get(number as usize)
    }

    /// The size of a file; nothing where there is none with that number.
    pub fn size(&self, number: u32) -> Option<u64> {
        self.get(number)?.size
    }

    /// The files, by number and size.
    pub fn files(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        (0..).zip(&self.entries).filter_map(|(number, entry)| Some((number, entry.size?)))
    }

    /// What the entries are called here, so that each is another file: those that would have the same name in a folder get a
    /// number. `taken` tells of the names at the top which of them are there already.
    pub fn local_names(&self, rules: NameRules, taken: impl Fn(&str) -> bool) -> Vec<String> {
        let mut used: HashSet<(Option<u32>, String)> = HashSet::with_capacity(self.entries.len());
        // The next number for each name, so that many of one name take no longer than others.
        let mut next = std::collections::HashMap::<(Option<u32>, String), u32>::new();
        let name_of = |entry: &Entry| {
            let plain = rules.adapt(&entry.name);
            let key = (entry.folder, rules.key(&plain));
            let mut name = plain.clone();
            while used.contains(&(entry.folder, rules.key(&name))) || entry.folder.is_none() && taken(&name) {
                let number = next.entry(key.clone()).or_insert(2);
                name = numbered(&plain, *number);
                *number += 1;
            }
            used.insert((entry.folder, rules.key(&name)));
            name
        };
        self.entries.iter().map(name_of).collect()
    }
}

/// A manifest that comes in pieces.
#[derive(Clone, Debug)]
pub struct Listing {
    announced: u32,
    bytes: u64,
    manifest: Manifest,
}

impl Listing {
    /// Of as many entries with as many bytes as the offer says.
    pub fn new(entries: u32, bytes: u64) -> Result<Self, ManifestError> {
        if entries > MOST_ENTRIES {
            return Err(ManifestError::TooMany);
        }
        Ok(Self { announced: entries, bytes, manifest: Manifest::default() })
    }

    /// How many entries were announced.
    pub fn announced(&self) -> u32 {
        self.announced
    }

    /// Forgets what came: it is said from the beginning.
    pub fn begin_anew(&mut self) {
        self.manifest = Manifest::default();
    }

    /// Takes the next entries. Gives the manifest once it is complete.
    pub fn add(&mut self, first: u32, entries: Vec<Entry>) -> Result<Option<Manifest>, ManifestError> {
        let after = u64::from(first) + entries.len() as u64;
        if first != self.manifest.len() || after > u64::from(self.announced) {
            return Err(ManifestError::OutOfTurn(first));
        }
        for entry in entries {
            self.manifest.push(entry)?;
        }
        if self.manifest.len() < self.announced {
            return Ok(None);
        }
        let manifest = std::mem::take(&mut self.manifest);
        match manifest.bytes() == self.bytes {
            true => Ok(Some(manifest)),
            false => Err(ManifestError::OtherSize { is: manifest.bytes(), announced: self.bytes }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, folder: Option<u32>, size: Option<u64>) -> Entry {
        Entry { name: name.to_owned(), folder, size, modified: None }
    }

    #[test]
    fn a_manifest_says_no_more_than_it_has_to() {
        let file = Entry { modified: Some(1_700_000_000_000), ..entry("a.txt", Some(0), Some(3)) };
        let json = serde_json::to_string(&[entry("docs", None, None), file]).unwrap();
        assert_eq!(json, r#"[{"name":"docs"},{"name":"a.txt","in":0,"size":3,"modified":1700000000000}]"#);
        let back: Vec<Entry> = serde_json::from_str(&json).unwrap();
        assert_eq!(Manifest::new(back).unwrap().bytes(), 3);
    }

    #[test]
    fn what_can_not_be_is_refused_with_the_reason() {
        let refused = |entries: &[Entry]| Manifest::new(entries.to_vec()).unwrap_err();
        let file = entry("file", None, Some(1));
        assert_eq!(refused(&[entry("..", None, Some(1))]), ManifestError::Name(0, NameError::Relative));
        assert_eq!(refused(&[file.clone(), entry("inside", Some(0), Some(1))]), ManifestError::Folder(1));
        assert_eq!(refused(&[entry("itself", Some(0), None)]), ManifestError::Folder(0));
        assert_eq!(refused(&[entry("a", None, Some(LARGEST)), file]), ManifestError::TooLarge);
        assert_eq!(refused(&[entry("a", None, Some(u64::MAX))]), ManifestError::TooLarge);
        let deep: Vec<Entry> = (0..70).map(|n: u32| entry("in", n.checked_sub(1), None)).collect();
        assert_eq!(refused(&deep), ManifestError::TooDeep(65));
    }

    #[test]
    fn a_hundred_thousand_entries_are_taken_and_no_more() {
        let many = vec![entry("same", None, Some(1)); MOST_ENTRIES as usize];
        let manifest = Manifest::new(many.clone()).unwrap();
        let names = manifest.local_names(NameRules::Posix, |_| false);
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), many.len());
        assert_eq!(
            Manifest::new([many, vec![entry("one", None, None)]].concat()),
            Err(ManifestError::TooMany)
        );
    }

    #[test]
    fn a_manifest_in_pieces_is_complete_when_all_that_was_announced_is_there() {
        let mut listing = Listing::new(3, 7).unwrap();
        assert_eq!(listing.add(0, vec![entry("a", None, None)]), Ok(None));
        assert_eq!(listing.clone().add(2, vec![entry("c", None, Some(4))]), Err(ManifestError::OutOfTurn(2)));
        let both = vec![entry("b", Some(0), Some(3)), entry("c", None, Some(4))];
        let manifest = listing.clone().add(1, both.clone()).unwrap().unwrap();
        assert_eq!(manifest.files().collect::<Vec<_>>(), [(1, 3), (2, 4)]);
        let more = [both.clone(), vec![entry("d", None, None)]].concat();
        assert_eq!(listing.clone().add(1, more), Err(ManifestError::OutOfTurn(1)));
        let mut other = Listing::new(2, 9).unwrap();
        let other = other.add(0, vec![entry("b", None, Some(3)), entry("c", None, Some(4))]);
        assert_eq!(other, Err(ManifestError::OtherSize { is: 7, announced: 9 }));
    }

    #[test]
    fn each_entry_gets_a_name_that_is_free_where_it_goes() {
        let entries = ["a.txt", "A.txt", "a.txt", "b"].map(|name| entry(name, None, Some(1)));
        let names = |rules| Manifest::new(entries.to_vec()).unwrap().local_names(rules, |name| name == "b");
        assert_eq!(names(NameRules::Posix), ["a.txt", "A.txt", "a (2).txt", "b (2)"]);
        assert_eq!(names(NameRules::Windows), ["a.txt", "A (2).txt", "a (3).txt", "b (2)"]);
    }
}
