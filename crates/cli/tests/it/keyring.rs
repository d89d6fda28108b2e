//! Staying signed in through the keyring of a desktop.

#[cfg(target_os = "linux")]
mod needs_keyring {
    use crate::support::people::{PASSWORD, Person, server};
    use ahoy_testkit::lab::KeyringLab;

    #[test]
    fn a_sign_in_is_kept_in_the_keyring_and_nowhere_else() {
        let keyring = KeyringLab::start().expect("a keyring");
        let server = server();
        let ada = Person::with_keyring(server.url(), keyring.env());
        let signed_up = ada.sign_up("ada", "Ada").one();
        assert_eq!(signed_up["kept_in"], "keyring");
        ada.run(&["rooms", "create", "Family"]).good();
        ada.run(&["rooms", "list"]).one();

        let book = ada.home().join(".local/share/ahoy/account.json");
        let remembered = std::fs::read_to_string(&book).expect("who is signed in is remembered");
        assert!(remembered.contains("\"ada\"") && !remembered.contains("secrets"), "{remembered}");
        ada.run(&["sign-out"]).good();
        ada.run(&["rooms", "list"]).fails(3, "sign in first");
    }

    #[test]
    fn a_locked_keyring_is_named_and_nobody_is_signed_out_by_it() {
        let keyring = KeyringLab::start().expect("a keyring");
        let server = server();
        let ada = Person::with_keyring(server.url(), keyring.env());
        ada.sign_up("ada", "Ada").good();
        keyring.lock().expect("it can be locked");
        ada.run(&["rooms", "list"]).fails(3, "keyring");
        let sign_in = ["sign-in", "ada", "--server", server.url(), "--password-stdin"];
        ada.typing(&sign_in, &format!("{PASSWORD}\n")).fails(3, "unlock it");
    }
}
