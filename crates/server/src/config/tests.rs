#![expect(clippy::result_large_err, reason = "figment's Jail takes closures that return its error")]

use std::path::PathBuf;

use figment::Jail;

use super::*;

fn problems(error: &ConfigError) -> String {
    error.to_string()
}

#[test]
fn the_commented_defaults_can_be_used() {
    let defaults = Config::defaults().unwrap();
    defaults.check().unwrap();
    assert_eq!(defaults.http.listen.to_string(), "127.0.0.1:7420");
    assert!(!defaults.uses_tls());
}

#[test]
fn every_key_has_a_comment_of_its_own_or_shares_its_neighbours() {
    let mut commented = false;
    for line in DEFAULTS.lines() {
        match line {
            "" => commented = false,
            line if line.starts_with('#') => commented = true,
            line if line.starts_with('[') => commented = false,
            line => assert!(commented, "{line} has no comment"),
        }
    }
}

#[test]
fn the_operators_page_shows_the_defaults_as_they_are() {
    let page = include_str!("../../../../docs/server.md");
    assert!(
        page.contains(&format!("```toml\n{}\n```", DEFAULTS.trim_end())),
        "docs/server.md is not up to date"
    );
}

#[test]
fn without_a_file_the_defaults_count() {
    Jail::expect_with(|_| {
        assert_eq!(Config::load(None).unwrap(), Config::defaults().unwrap());
        Ok(())
    });
}

#[test]
fn the_file_changes_defaults_and_the_environment_changes_the_file() {
    Jail::expect_with(|jail| {
        jail.create_file(DEFAULT_FILE, "[http]\nlisten = \"127.0.0.1:1\"\n[auth]\naccess_token_s = 300\n")?;
        jail.set_env("AHOY_SERVER__HTTP__LISTEN", "127.0.0.1:2");
        jail.set_env("AHOY_SERVER__HTTP__ALLOWED_ORIGINS", r#"["https://a.example"]"#);
        jail.set_env("AHOY_SERVER__DATA_DIR", "elsewhere");
        let config = Config::load(None).unwrap();
        assert_eq!(config.http.listen.port(), 2);
        assert_eq!(config.auth.access_token_s, 300);
        assert_eq!(config.data_dir, PathBuf::from("elsewhere"));
        assert!(config.http.allowed_origins.contains("https://a.example"));
        Ok(())
    });
}

#[test]
fn an_unknown_key_is_an_error_that_names_it_and_its_file() {
    Jail::expect_with(|jail| {
        jail.create_file("mine.toml", "[http]\nlisten_on = \"127.0.0.1:1\"\n")?;
        let text = problems(&Config::load(Some(Path::new("mine.toml"))).unwrap_err());
        assert!(text.contains("listen_on") && text.contains("mine.toml") && text.contains("http"), "{text}");
        Ok(())
    });
    Jail::expect_with(|jail| {
        jail.set_env("AHOY_SERVER__HTTP__LISTENN", "127.0.0.1:2");
        let text = problems(&Config::load(None).unwrap_err());
        assert!(text.contains("listenn"), "{text}");
        Ok(())
    });
}

#[test]
fn a_value_of_the_wrong_type_is_an_error_that_names_key_and_source() {
    Jail::expect_with(|jail| {
        jail.set_env("AHOY_SERVER__AUTH__ACCESS_TOKEN_S", "soon");
        let text = problems(&Config::load(None).unwrap_err());
        assert!(text.contains("access_token_s") && text.contains("soon"), "{text}");
        Ok(())
    });
    Jail::expect_with(|jail| {
        jail.create_file("mine.toml", "[http]\nlisten = \"everywhere\"\n")?;
        let text = problems(&Config::load(Some(Path::new("mine.toml"))).unwrap_err());
        assert!(text.contains("http.listen") && text.contains("mine.toml"), "{text}");
        Ok(())
    });
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let text = problems(&Config::load(Some(Path::new("/nowhere/at/all.toml"))).unwrap_err());
    assert!(text.contains("/nowhere/at/all.toml is not a file"), "{text}");
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let mut config = Config::defaults().unwrap();
    config.http.listen = "0.0.0.0:80".parse().unwrap();
    config.tls.key = "key.pem".into();
    config.auth.access_token_s = 3600;
    config.auth.sign_up = SignUp::Code;
    config.database.url = "mysql://x".into();
    config.http.allowed_origins.insert("https://a.example/page".into());
    config.log.level = "loud=quiet=".into();
    let error = config.check().unwrap_err();
    let keys: Vec<_> = error.findings.iter().map(|finding| &*finding.key).collect();
    assert_eq!(
        keys,
        [
            "tls",
            "http.listen",
            "http.allowed_origins",
            "database.url",
            "auth.sign_up_code",
            "auth.access_token_s",
            "log.level"
        ]
    );
}

#[test]
fn plain_http_beyond_loopback_needs_a_word() {
    let mut config = Config::defaults().unwrap();
    config.http.listen = "0.0.0.0:80".parse().unwrap();
    assert!(config.check().is_err());
    config.http.allow_plain_http = true;
    config.check().unwrap();
}

#[test]
fn everything_that_is_wrong_about_relays_is_told_at_once() {
    let mut config = Config::defaults().unwrap();
    config.turn.listen = "everywhere".into();
    config.turn.tls_listen = "0.0.0.0:5349".into();
    config.turn.relay_ports = "65535-49152".into();
    config.turn.external_ip = vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()];
    config.turn.allow_peers = vec!["10.0.0.0/8".into(), "the office".into()];
    config.turn.urls = vec!["https://turn.example.org".into(), "turn:turn.example.org".into()];
    config.turn.credential_s = 10;
    let error = config.check().unwrap_err();
    let keys: Vec<_> = error.findings.iter().map(|finding| &*finding.key).collect();
    assert_eq!(
        keys,
        [
            "turn.listen",
            "turn.tls_listen",
            "turn.relay_ports",
            "turn.external_ip",
            "turn.allow_peers",
            "turn.urls",
            "turn.secret",
            "turn.credential_s",
        ]
    );
}

#[test]
fn another_relay_needs_addresses_and_its_secret() {
    let mut config = Config::defaults().unwrap();
    config.turn.mode = TurnMode::External;
    assert!(problems(&config.check().unwrap_err()).contains("turn.urls"));
    config.turn.urls = vec!["turns:turn.example.org:443?transport=tcp".into()];
    assert!(problems(&config.check().unwrap_err()).contains("turn.secret"));
    config.turn.secret = "north".into();
    config.check().unwrap();
    config.turn.secret.clear();
    config.turn.urls = vec!["stun:turn.example.org".into()];
    config.check().unwrap();
}

#[test]
fn debug_output_tells_no_secret() {
    let mut config = Config::defaults().unwrap();
    config.turn.secret = "hush".into();
    config.database.url = "postgres://ahoy:hush@host/ahoy".into();
    config.auth.sign_up_code = "hush".into();
    assert!(!format!("{config:?}").contains("hush"));
}
