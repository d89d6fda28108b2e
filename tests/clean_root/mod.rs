//! A Debian that has nothing but its base system, in a folder: what a package needs and does not ask for is not there.
//!
//! Whatever is mounted for it is mounted in a namespace of the program that runs in it, and goes with that program,
//! however it ends. The folder can therefore always be removed without reaching what was mounted.
//!
//! Debian packages: debootstrap util-linux

use std::{
    collections::BTreeSet,
    env,
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Mounts what programs expect and runs one with `$1` as its root. Folders for temporary files are the machine's own:
/// there lie the sockets of its display and session bus, and the home folder of a test.
const ENTER: &str = r#"
set -e
root=$1 temporary=$2
shift 2
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
for folder in /tmp "$temporary"; do
    mkdir -p "$root$folder"
    mount --bind "$folder" "$root$folder"
done
exec chroot "$root" "$@"
"#;

/// A Debian like this machine's, fresh.
pub(crate) struct CleanRoot {
    folder: tempfile::TempDir,
}

impl CleanRoot {
    /// Makes it from where this machine's apt gets its packages.
    pub(crate) fn new() -> Self {
        let release = fs::read_to_string("/etc/os-release").expect("the system says what it is");
        let field = |name: &str| release.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        assert_eq!(field("ID=").as_deref(), Some("debian"), "a clean Debian is made on Debian only");
        let codename = field("VERSION_CODENAME=").expect("a release of Debian has a name");

        let sources = debian_sources();
        let base = sources.iter().find(|(_, suite)| *suite == codename);
        let (mirror, _) = base.unwrap_or_else(|| panic!("apt knows no source of {codename}: {sources:?}"));
        let folder = tempfile::tempdir().expect("a temporary directory");
        // Programs in it may run as other users, who have to get there.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let made = isolated()
            .args(["debootstrap", "--variant=minbase", &codename])
            .args([folder.path().as_os_str(), mirror.as_ref()])
            .stdout(Stdio::null())
            .status()
            .unwrap_or_else(|error| panic!("unshare cannot be started: {error}; install util-linux"));
        assert!(made.success(), "debootstrap failed; is it installed, and is there a way to {mirror}?");

        let root = Self { folder };
        let lines = sources.iter().fold(String::new(), |mut lines, (uri, suite)| {
            writeln!(lines, "deb {uri} {suite} main").expect("a text takes lines");
            lines
        });
        root.write("etc/apt/sources.list", &lines);
        root.write("etc/apt/apt.conf.d/99machine", &network_settings());
        // Debian's own way to keep packages from starting services where nobody wants them.
        root.write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n");
        let policy = root.path("usr/sbin/policy-rc.d");
        fs::set_permissions(policy, fs::Permissions::from_mode(0o755)).expect("just written");
        fs::copy("/etc/hosts", root.path("etc/hosts")).expect("the machine knows its own name");
        root.succeed(&["apt-get", "--quiet", "update"]);
        root
    }

    /// Where a file of it lies for programs outside.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside.trim_start_matches('/'))
    }

    /// Copies a file from outside to `inside`.
    pub(crate) fn copy_in(&self, file: &Path, inside: &str) {
        fs::copy(file, self.path(inside)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    /// What a program in it prints. The test fails when the program does.
    pub(crate) fn succeed(&self, program: &[&str]) -> String {
        let output = self.enter(program).output().expect("unshare has run before");
        let (said, complained) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{program:?} in the clean Debian failed:\n{said}\n{complained}");
        said.into_owned()
    }

    /// A program for outside that starts `program` in it.
    pub(crate) fn launcher(&self, program: &str) -> PathBuf {
        let mut script = "#!/bin/sh\nexec".to_owned();
        let command = self.enter(&[program]);
        for word in [command.get_program()].into_iter().chain(command.get_args()) {
            let word = word.to_str().expect("these are texts").replace('\'', r"'\''");
            write!(script, " '{word}'").expect("a text takes words");
        }
        script.push_str(" \"$@\"\n");
        let path = self.folder.path().with_extension("launcher");
        fs::write(&path, script).expect("beside the folder is room");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("just written");
        path
    }

    fn enter(&self, program: &[&str]) -> Command {
        let mut command = isolated();
        command.args(["sh", "-c", ENTER, "sh"]);
        command
            .args([self.folder.path(), &env::temp_dir()])
            .args(program)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        command
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

impl Drop for CleanRoot {
    fn drop(&mut self) {
        // It is there only when a launcher was asked for.
        let _ = fs::remove_file(self.folder.path().with_extension("launcher"));
    }
}

/// Runs a program with mounts of its own, which nobody else sees, and ends everything it started with it.
fn isolated() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--"]);
    command
}

/// Address and suite of every source of Debian's own packages that this machine's apt has.
fn debian_sources() -> BTreeSet<(String, String)> {
    let format = "$(ORIGIN) $(REPO_URI) $(CODENAME)";
    let listing = read("apt-get", &["indextargets", "--format", format, "Created-By: Packages"]);
    let fields = listing.lines().filter_map(|line| line.strip_prefix("Debian ")?.split_once(' '));
    fields.map(|(uri, suite)| (uri.to_owned(), suite.to_owned())).collect()
}

/// How this machine's apt reaches the network: proxies and the like.
fn network_settings() -> String {
    let settings = read("apt-config", &["dump"]);
    let wanted = ["Acquire::http", "Acquire::https", "Acquire::Retries"];
    let lines = settings.lines().filter(|line| wanted.iter().any(|start| line.starts_with(start)));
    lines.map(|line| format!("{line}\n")).collect()
}

fn read(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
    assert!(output.status.success(), "{program} failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints text")
}
