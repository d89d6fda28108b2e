//! Accounts, tokens, devices, invites: what a client can rely on, over SQLite and over PostgreSQL.

use crate::support::{PASSWORD, Place, Running, on_both_databases};
use ahoy_server::auth::keys::Keys;
use ahoy_server::identity::TokenCheck as _;
use ahoy_server::server::{database, keys_file};
use ahoy_server::store::sql::SqlStore;
use ahoy_server::store::{ContactStore as _, RoomStore as _, StoredRoom};
use ahoy_signal::account::{Audit, Devices, Invite, Invites, RecoveryCodes, SignedUp, TokenGrant};
use ahoy_signal::{ContactStanding, ErrorCode, Name, RoomId, RoomSettings, UserId, paths};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Column as _, Row as _};

on_both_databases! {
    a_person_signs_up_in_out_and_in_again;
    a_handle_belongs_to_one_person;
    an_old_refresh_token_signs_its_device_out_and_no_other;
    a_lost_answer_to_a_refresh_logs_nobody_out;
    many_refreshes_at_once_get_one_successor;
    a_token_opens_one_connection_however_often_it_is_tried;
    a_used_token_stays_used_over_a_restart;
    a_device_that_is_signed_out_can_do_nothing_more;
    a_guest_gets_in_by_an_invite_and_nowhere_else;
    a_revoked_invite_lets_nobody_in_and_its_guests_out;
    an_invite_is_used_up;
    invites_are_made_by_those_who_keep_order;
    a_new_password_signs_other_devices_out;
    a_recovery_code_gets_in_once;
    the_least_seen_device_makes_room_for_a_new_one;
    an_export_holds_everything;
    a_deleted_account_leaves_nothing;
    rooms_and_contacts_are_kept;
    keys_rotate_without_anyone_noticing;
    what_is_over_is_forgotten;
}

async fn store(place: &Place) -> SqlStore {
    SqlStore::open(&database(&place.config())).await.unwrap()
}

fn room_of(host: UserId) -> StoredRoom {
    StoredRoom {
        room: RoomId::from_bits(rand::random()),
        host,
        name: Name::new("Kitchen").unwrap(),
        settings: RoomSettings { capacity: 7, waiting_room: true, locked: false },
        moderators: [UserId::from_bits(5)].into(),
    }
}

async fn a_person_signs_up_in_out_and_in_again(place: Place) {
    let server = place.start().await;
    let signed_up = server.sign_up("ada").await;
    assert_eq!(signed_up.recovery_codes.len(), 10);
    assert_eq!(signed_up.grant.handle.as_ref().unwrap().as_str(), "ada");
    assert_eq!(signed_up.grant.expires_in_s, 600);
    assert_eq!(server.try_sign_in("ada", "wrong horse").await.refused(), ErrorCode::WrongCredentials);
    assert_eq!(server.try_sign_in("nobody", PASSWORD).await.refused(), ErrorCode::WrongCredentials);
    let second = server.sign_in("ada").await;
    assert_eq!(second.user, signed_up.grant.user);
    assert_ne!(second.device, signed_up.grant.device);
    let refreshed = server.refresh(&second).await;
    assert_eq!(refreshed.device, second.device);
    let devices: Devices = server.get(paths::DEVICES, &refreshed).await.read();
    assert_eq!(devices.devices.len(), 2);
    assert_eq!(devices.devices.iter().filter(|device| device.current).count(), 1);
    server.delete(paths::CURRENT_SESSION, &refreshed).await.done();
    assert_eq!(server.get(paths::DEVICES, &refreshed).await.refused(), ErrorCode::SignedOut);
    assert_eq!(server.try_refresh(&refreshed).await.refused(), ErrorCode::SignedOut);
    // A restart keeps accounts and devices.
    server.server.stop().await;
    let server = place.start().await;
    server.refresh(&signed_up.grant).await;
    let audit: Audit = server.get(paths::AUDIT, &server.sign_in("ada").await).await.read();
    let events: Vec<_> = audit.events.iter().map(|entry| &*entry.event).collect();
    for event in ["sign_up", "sign_in", "sign_in_failed", "sign_out"] {
        assert!(events.contains(&event), "{event} in {events:?}");
    }
    assert!(audit.events.iter().all(|entry| entry.address.as_deref() == Some("127.0.0.1")));
}

async fn a_handle_belongs_to_one_person(place: Place) {
    let server = place.start().await;
    let asked = json!({"handle": "ada", "name": "Ada", "password": PASSWORD, "device_name": "d"});
    let tries = (0..8).map(|_| server.post(paths::ACCOUNTS, None, &asked));
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != StatusCode::CREATED) {
        assert_eq!(answer.refused(), ErrorCode::HandleTaken);
    }
}

async fn an_old_refresh_token_signs_its_device_out_and_no_other(place: Place) {
    let server = place.start().await;
    let first = server.sign_up("ada").await.grant;
    let other = server.sign_in("ada").await;
    let second = server.refresh(&first).await;
    let third = server.refresh(&second).await;
    assert_eq!(server.try_refresh(&first).await.refused(), ErrorCode::SignedOut);
    // The thief and the owner: neither has anything now.
    assert_eq!(server.try_refresh(&third).await.refused(), ErrorCode::SignedOut);
    assert_eq!(server.get(paths::DEVICES, &third).await.refused(), ErrorCode::SignedOut);
    let open = server.server.accounts().authenticator().open(&third.access_token).await;
    assert_eq!(open.unwrap_err().code, ErrorCode::SignedOut);
    let renewed = server.server.accounts().authenticator().renew(&third.access_token);
    assert_eq!(renewed.unwrap_err().code, ErrorCode::SignedOut);
    let other = server.refresh(&other).await;
    let audit: Audit = server.get(paths::AUDIT, &other).await.read();
    let reused = audit.events.iter().find(|entry| entry.event == "refresh_reused").unwrap();
    assert_eq!(reused.device, Some(first.device));
    // Something made up means nothing.
    let mut made_up = other.refresh_token.as_str().to_owned();
    let last = made_up.pop().unwrap();
    made_up.push(if last == 'A' { 'Q' } else { 'A' });
    let asked = json!({"refresh_token": made_up});
    assert_eq!(server.post(paths::REFRESH, None, &asked).await.refused(), ErrorCode::Unauthenticated);
    server.refresh(&other).await;
}

async fn a_lost_answer_to_a_refresh_logs_nobody_out(place: Place) {
    let server = place.start().await;
    let first = server.sign_up("ada").await.grant;
    let lost = server.refresh(&first).await;
    let again = server.refresh(&first).await;
    assert_eq!(again.refresh_token, lost.refresh_token);
    assert_ne!(again.access_token, lost.access_token, "each opens a connection of its own");
    // Over a restart, too.
    server.server.stop().await;
    let server = place.start().await;
    let again = server.refresh(&first).await;
    assert_eq!(again.refresh_token, lost.refresh_token);
    let next = server.refresh(&again).await;
    server.refresh(&next).await;
}

async fn many_refreshes_at_once_get_one_successor(place: Place) {
    let server = place.start().await;
    let first = server.sign_up("ada").await.grant;
    let grants = futures_util::future::join_all((0..16).map(|_| server.refresh(&first))).await;
    assert!(grants.iter().all(|grant| grant.refresh_token == grants[0].refresh_token));
    server.refresh(&grants[0]).await;
}

async fn a_token_opens_one_connection_however_often_it_is_tried(place: Place) {
    const TRIES: usize = 100_000;
    const AT_ONCE: usize = 8;
    let server = place.start().await;
    let grant = server.sign_up("ada").await.grant;
    let authenticator = server.server.accounts().authenticator();
    let token = &grant.access_token;
    let tries = (0..AT_ONCE).map(|_| async move {
        let mut accepted = 0;
        for _ in 0..TRIES / AT_ONCE {
            match authenticator.open(token).await {
                Ok(_) => accepted += 1,
                Err(refusal) => assert_eq!(refusal.code, ErrorCode::TokenUsed),
            }
        }
        accepted
    });
    let accepted: usize = futures_util::future::join_all(tries).await.iter().sum();
    assert_eq!(accepted, 1, "the first, and none of the others");
    assert!(authenticator.renew(token).is_ok(), "on its own connection it is good");
}

async fn a_used_token_stays_used_over_a_restart(place: Place) {
    let server = place.start().await;
    let used = server.sign_up("ada").await.grant;
    let fresh = server.refresh(&used).await;
    let open = server.server.accounts().authenticator().open(&used.access_token).await.unwrap();
    assert_eq!((open.user, open.device), (used.user, used.device));
    server.server.stop().await;
    let server = place.start().await;
    let authenticator = server.server.accounts().authenticator();
    assert_eq!(authenticator.open(&used.access_token).await.unwrap_err().code, ErrorCode::TokenUsed);
    assert!(authenticator.open(&fresh.access_token).await.is_ok());
}

async fn a_device_that_is_signed_out_can_do_nothing_more(place: Place) {
    let server = place.start().await;
    let mine = server.sign_up("ada").await.grant;
    let lost = server.sign_in("ada").await;
    let stranger = server.sign_up("bob").await.grant;
    let path = format!("{}/{}", paths::DEVICES, lost.device);
    assert_eq!(server.delete(&path, &stranger).await.refused(), ErrorCode::NoSuchDevice);
    server.get(paths::DEVICES, &lost).await.read::<Devices>();
    server.delete(&path, &mine).await.done();
    assert_eq!(server.delete(&path, &mine).await.refused(), ErrorCode::NoSuchDevice);
    assert_eq!(server.get(paths::DEVICES, &lost).await.refused(), ErrorCode::SignedOut);
    assert_eq!(server.try_refresh(&lost).await.refused(), ErrorCode::SignedOut);
    let authenticator = server.server.accounts().authenticator();
    assert_eq!(authenticator.open(&lost.access_token).await.unwrap_err().code, ErrorCode::SignedOut);
    assert_eq!(authenticator.renew(&lost.access_token).unwrap_err().code, ErrorCode::SignedOut);
}

/// A room of Ada's with an invite to it.
async fn invited(server: &Running, place: &Place, asked: Value) -> (TokenGrant, StoredRoom, Invite) {
    let host = server.sign_up("ada").await.grant;
    let room = room_of(host.user);
    store(place).await.put_room(&room).await.unwrap();
    let mut asked = asked;
    asked["room"] = json!(room.room);
    let invite: Invite = server.post(paths::INVITES, Some(&host), &asked).await.read();
    (host, room, invite)
}

async fn come(server: &Running, invite: &Invite) -> crate::support::Answer {
    let asked = json!({"invite": invite.token, "name": "Guest"});
    server.post(paths::GUESTS, None, &asked).await
}

async fn a_guest_gets_in_by_an_invite_and_nowhere_else(place: Place) {
    let server = place.start().await;
    let (host, room, invite) = invited(&server, &place, json!({"lifetime_s": 3600})).await;
    let link = invite.link.clone().unwrap();
    let token = invite.token.clone().unwrap();
    assert_eq!(
        link,
        format!("{}/join/{}#{}", server.server.url(), room.room, token.as_str()),
        "the secret is in the fragment"
    );
    let guest: TokenGrant = come(&server, &invite).await.read();
    assert_eq!((guest.room, guest.handle.clone(), guest.name.as_str()), (Some(room.room), None, "Guest"));
    let identity = server.server.accounts().authenticator().open(&guest.access_token).await.unwrap();
    assert_eq!(identity.guest.unwrap().room, room.room);
    let refreshed = server.refresh(&guest).await;
    assert_eq!(refreshed.room, Some(room.room));
    // Guests have no account.
    assert_eq!(server.get(paths::EXPORT, &refreshed).await.refused(), ErrorCode::Forbidden);
    let asked = json!({"room": room.room});
    assert_eq!(server.post(paths::INVITES, Some(&refreshed), &asked).await.refused(), ErrorCode::NoSuchRoom);
    // No kind of token is taken for the other.
    let asked = json!({"invite": host.access_token, "name": "Guest"});
    assert_eq!(server.post(paths::GUESTS, None, &asked).await.refused(), ErrorCode::InviteInvalid);
    let request = server.http.get(server.url(paths::DEVICES)).bearer_auth(token.as_str());
    assert_eq!(server.send(request).await.refused(), ErrorCode::Unauthenticated);
}

async fn a_revoked_invite_lets_nobody_in_and_its_guests_out(place: Place) {
    let server = place.start().await;
    let (host, room, invite) = invited(&server, &place, json!({})).await;
    let guest: TokenGrant = come(&server, &invite).await.read();
    let list = format!("{}?room={}", paths::INVITES, room.room);
    let invites: Invites = server.get(&list, &host).await.read();
    assert_eq!(invites.invites.len(), 1);
    assert_eq!(invites.invites[0].uses_left, 6);
    assert!(invites.invites[0].token.is_none(), "told once only");
    let path = format!("{}/{}", paths::INVITES, invite.invite);
    server.delete(&path, &host).await.done();
    assert_eq!(come(&server, &invite).await.refused(), ErrorCode::InviteInvalid);
    assert_eq!(server.try_refresh(&guest).await.refused(), ErrorCode::SignedOut);
    let open = server.server.accounts().authenticator().open(&guest.access_token).await;
    assert_eq!(open.unwrap_err().code, ErrorCode::SignedOut);
    assert_eq!(server.delete(&path, &host).await.refused(), ErrorCode::InviteInvalid);
    // A room that is gone takes its invites along.
    let asked = json!({"room": room.room});
    let another: Invite = server.post(paths::INVITES, Some(&host), &asked).await.read();
    store(&place).await.delete_room(room.room).await.unwrap();
    assert_eq!(come(&server, &another).await.refused(), ErrorCode::InviteInvalid);
}

async fn an_invite_is_used_up(place: Place) {
    let server = place.start().await;
    let (_, _, invite) = invited(&server, &place, json!({"uses": 3, "role": "member"})).await;
    let answers = futures_util::future::join_all((0..8).map(|_| come(&server, &invite))).await;
    let inside = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!(inside, 3);
    for answer in answers.iter().filter(|answer| answer.status != StatusCode::OK) {
        assert_eq!(answer.refused(), ErrorCode::InviteInvalid);
    }
}

async fn invites_are_made_by_those_who_keep_order(place: Place) {
    let server = place.start().await;
    let host = server.sign_up("ada").await.grant;
    let moderator = server.sign_up("mod").await.grant;
    let member = server.sign_up("bob").await.grant;
    let room = StoredRoom { moderators: [moderator.user].into(), ..room_of(host.user) };
    store(&place).await.put_room(&room).await.unwrap();
    let asked = json!({"room": room.room});
    assert_eq!(server.post(paths::INVITES, Some(&member), &asked).await.refused(), ErrorCode::Forbidden);
    let invite: Invite = server.post(paths::INVITES, Some(&moderator), &asked).await.read();
    let path = format!("{}/{}", paths::INVITES, invite.invite);
    assert_eq!(server.delete(&path, &member).await.refused(), ErrorCode::Forbidden);
    server.delete(&path, &host).await.done();
    for (field, value) in [
        ("lifetime_s", json!(604_801)),
        ("lifetime_s", json!(1)),
        ("uses", json!(0)),
        ("uses", json!(100_000)),
        ("role", json!("moderator")),
        ("role", json!("host")),
    ] {
        let mut asked = asked.clone();
        asked[field] = value;
        let refusal = server.post(paths::INVITES, Some(&host), &asked).await.refusal();
        assert_eq!(refusal.code, ErrorCode::BadMessage, "{field}");
        assert!(refusal.message.contains(field), "{}", refusal.message);
    }
    let nowhere = json!({"room": RoomId::from_bits(1)});
    assert_eq!(server.post(paths::INVITES, Some(&host), &nowhere).await.refused(), ErrorCode::NoSuchRoom);
}

async fn a_new_password_signs_other_devices_out(place: Place) {
    const NEW: &str = "a new sentence";
    let server = place.start().await;
    let mine = server.sign_up("ada").await.grant;
    let other = server.sign_in("ada").await;
    let asked = json!({"old_password": "wrong horse", "new_password": NEW});
    let refused = server.post(paths::PASSWORD, Some(&mine), &asked).await.refused();
    assert_eq!(refused, ErrorCode::WrongCredentials);
    let asked = json!({"old_password": PASSWORD, "new_password": NEW});
    server.post(paths::PASSWORD, Some(&mine), &asked).await.done();
    server.refresh(&mine).await;
    assert_eq!(server.try_refresh(&other).await.refused(), ErrorCode::SignedOut);
    assert_eq!(server.try_sign_in("ada", PASSWORD).await.refused(), ErrorCode::WrongCredentials);
    server.try_sign_in("ada", NEW).await.read::<TokenGrant>();
}

async fn a_recovery_code_gets_in_once(place: Place) {
    const NEW: &str = "a new sentence";
    let server = place.start().await;
    let SignedUp { grant, recovery_codes } = server.sign_up("ada").await;
    let recover = |code: &str| {
        let asked = json!({
            "handle": "ada", "recovery_code": code, "new_password": NEW, "device_name": "new",
        });
        let server = &server;
        async move { server.post(paths::RECOVER, None, &asked).await }
    };
    assert_eq!(recover("aaaa-bbbb-cccc-dddd-eeee").await.refused(), ErrorCode::WrongCredentials);
    // As someone may type it from paper.
    let typed = recovery_codes[3].as_str().to_uppercase().replace('-', " ");
    let typed = typed.replace(' ', "");
    let fresh: TokenGrant = recover(&typed).await.read();
    assert_eq!(fresh.user, grant.user);
    assert_eq!(server.try_refresh(&grant).await.refused(), ErrorCode::SignedOut);
    assert_eq!(recover(&typed).await.refused(), ErrorCode::WrongCredentials);
    server.try_sign_in("ada", NEW).await.read::<TokenGrant>();
    let asked = json!({"password": NEW});
    let renewed: RecoveryCodes = server.post(paths::RECOVERY_CODES, Some(&fresh), &asked).await.read();
    assert_eq!(recover(recovery_codes[4].as_str()).await.refused(), ErrorCode::WrongCredentials);
    recover(renewed.recovery_codes[0].as_str()).await.read::<TokenGrant>();
}

async fn the_least_seen_device_makes_room_for_a_new_one(place: Place) {
    let mut config = place.config();
    config.auth.devices_per_account = 3;
    let server = Running::start(config).await;
    let mut grants = vec![server.sign_up("ada").await.grant];
    for _ in 0..3 {
        grants.push(server.sign_in("ada").await);
    }
    assert_eq!(server.try_refresh(&grants[0]).await.refused(), ErrorCode::SignedOut);
    for grant in &grants[1..] {
        server.refresh(grant).await;
    }
}

/// An account with something of everything.
async fn lively(
    server: &Running,
    place: &Place,
) -> (SignedUp, TokenGrant, StoredRoom, StoredRoom, TokenGrant) {
    let ada = server.sign_up("lovelace").await;
    let bob = server.sign_up("bob").await.grant;
    let store = store(place).await;
    let own = StoredRoom { moderators: [bob.user].into(), ..room_of(ada.grant.user) };
    let moderated = StoredRoom { moderators: [ada.grant.user].into(), ..room_of(bob.user) };
    store.put_room(&own).await.unwrap();
    store.put_room(&moderated).await.unwrap();
    store
        .put_contacts(&[
            (ada.grant.user, bob.user, Some(ContactStanding::Contact)),
            (bob.user, ada.grant.user, Some(ContactStanding::Contact)),
        ])
        .await
        .unwrap();
    let invite: Invite =
        server.post(paths::INVITES, Some(&ada.grant), &json!({"room": own.room})).await.read();
    let guest: TokenGrant = come(server, &invite).await.read();
    server.server.accounts().authenticator().open(&ada.grant.access_token).await.unwrap();
    (ada, bob, own, moderated, guest)
}

async fn an_export_holds_everything(place: Place) {
    let server = place.start().await;
    let (ada, bob, own, moderated, _) = lively(&server, &place).await;
    let export: Value = server.get(paths::EXPORT, &ada.grant).await.read();
    assert_eq!(export["user"], json!(ada.grant.user));
    assert_eq!(export["handle"], "lovelace");
    assert_eq!(export["name"], "lovelace the tester");
    assert_eq!(export["class"], "normal");
    assert_eq!(export["recovery_codes_left"], 10);
    assert_eq!(export["devices"][0]["device"], json!(ada.grant.device));
    assert_eq!(export["contacts"], json!([{"user": bob.user, "handle": "bob", "standing": "contact"}]));
    assert_eq!(export["rooms"][0]["room"], json!(own.room));
    assert_eq!(export["rooms"][0]["moderators"], json!([bob.user]));
    assert_eq!(export["moderates"], json!([moderated.room]));
    assert_eq!(export["invites"][0]["room"], json!(own.room));
    let events: Vec<_> = export["audit"].as_array().unwrap().iter().map(|entry| &entry["event"]).collect();
    assert!(["sign_up", "invite_made", "exported"].iter().all(|event| events.contains(&&json!(event))));
    // No column is forgotten when one is added: whatever the database says of the account is in the export, but secrets.
    let text = export.to_string();
    for (table, row) in rows_about(&place, &[ada.grant.user.to_string()]).await {
        for (column, value) in row {
            let secret = matches!(&*column, "password_hash" | "token_hash" | "code_hash" | "entry_id");
            let inner =
                matches!(&*column, "generation" | "rotated_ms" | "used_ms" | "owner" | "creator" | "host");
            if !secret && !inner && !value.is_empty() {
                assert!(text.contains(&value), "{table}.{column} = {value} is not in the export");
            }
        }
    }
    for secret in ["argon2", ada.grant.refresh_token.as_str(), ada.recovery_codes[0].as_str()] {
        assert!(!text.contains(secret));
    }
}

type Rows = Vec<(String, Vec<(String, String)>)>;

/// All rows of all tables in which one of these texts stands.
async fn rows_about(place: &Place, texts: &[String]) -> Rows {
    const TABLES: [&str; 9] = [
        "accounts",
        "devices",
        "used_tokens",
        "recovery_codes",
        "audit",
        "rooms",
        "room_moderators",
        "contacts",
        "invites",
    ];
    sqlx::any::install_default_drivers();
    let config = place.config();
    let url = match config.database.url.is_empty() {
        true => format!("sqlite://{}", config.data_dir.join("ahoy.db").display()),
        false => config.database.url,
    };
    let pool = sqlx::AnyPool::connect(&url).await.unwrap();
    let mut found = Vec::new();
    for table in TABLES {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT * FROM {table}")))
            .fetch_all(&pool)
            .await
            .unwrap();
        for row in rows {
            let columns: Vec<_> = row
                .columns()
                .iter()
                .map(|column| {
                    let at = column.ordinal();
                    let text = row.try_get::<String, _>(at);
                    (column.name().to_owned(), text.unwrap_or_else(|_| row.get::<i64, _>(at).to_string()))
                })
                .collect();
            if columns.iter().any(|(_, value)| texts.iter().any(|text| value.contains(&**text))) {
                found.push((table.to_owned(), columns));
            }
        }
    }
    pool.close().await;
    found
}

async fn a_deleted_account_leaves_nothing(place: Place) {
    let server = place.start().await;
    let (ada, bob, own, moderated, guest) = lively(&server, &place).await;
    let wrong = json!({"password": "wrong horse"});
    let refused = server.post(paths::DELETE_ACCOUNT, Some(&ada.grant), &wrong).await.refused();
    assert_eq!(refused, ErrorCode::WrongCredentials);
    let asked = json!({"password": PASSWORD});
    server.post(paths::DELETE_ACCOUNT, Some(&ada.grant), &asked).await.done();
    for grant in [&ada.grant, &guest] {
        assert_eq!(server.try_refresh(grant).await.refused(), ErrorCode::SignedOut);
        assert_eq!(server.get(paths::DEVICES, grant).await.refused(), ErrorCode::SignedOut);
    }
    assert_eq!(server.try_sign_in("lovelace", PASSWORD).await.refused(), ErrorCode::WrongCredentials);
    let about =
        ["lovelace".to_owned(), ada.grant.user.to_string(), own.room.to_string(), guest.user.to_string()];
    assert_eq!(rows_about(&place, &about).await, Rows::new());
    let store = store(&place).await;
    assert!(store.contacts(bob.user).await.unwrap().is_empty());
    assert!(store.room(moderated.room).await.unwrap().unwrap().moderators.is_empty(), "Bob's room stays");
    server.refresh(&bob).await;
    server.sign_up("lovelace").await;
}

async fn rooms_and_contacts_are_kept(place: Place) {
    let server = place.start().await;
    let ada = server.sign_up("ada").await.grant;
    let bob = server.sign_up("bob").await.grant;
    let store = store(&place).await;
    let mut room = room_of(ada.user);
    assert_eq!(store.room(room.room).await.unwrap(), None);
    store.put_room(&room).await.unwrap();
    assert_eq!(store.room(room.room).await.unwrap(), Some(room.clone()));
    room.name = Name::new("Attic").unwrap();
    room.settings = RoomSettings { capacity: 100, waiting_room: false, locked: true };
    room.moderators = [bob.user, UserId::from_bits(9)].into();
    store.put_room(&room).await.unwrap();
    let cellar = StoredRoom { name: Name::new("Cellar").unwrap(), ..room_of(ada.user) };
    store.put_room(&cellar).await.unwrap();
    assert_eq!(store.rooms_of(ada.user).await.unwrap(), [room.clone(), cellar]);
    store.delete_room(room.room).await.unwrap();
    assert_eq!(store.room(room.room).await.unwrap(), None);

    let (asked, asking) = (Some(ContactStanding::Asked), Some(ContactStanding::Asking));
    store.put_contacts(&[(ada.user, bob.user, asked), (bob.user, ada.user, asking)]).await.unwrap();
    assert_eq!(store.standing(ada.user, bob.user).await.unwrap(), asked);
    let contacts = store.contacts(bob.user).await.unwrap();
    assert_eq!((contacts[0].user, contacts[0].handle.as_str()), (ada.user, "ada"));
    store.put_contacts(&[(ada.user, bob.user, None), (bob.user, ada.user, None)]).await.unwrap();
    assert!(store.contacts(bob.user).await.unwrap().is_empty());
    assert_eq!(store.standing(ada.user, bob.user).await.unwrap(), None);
    let found = store.find_handle(&"bob".parse().unwrap()).await.unwrap();
    assert_eq!(found.unwrap().0, bob.user);
    assert_eq!(store.find_user(ada.user).await.unwrap().unwrap().0.as_str(), "ada");
    assert_eq!(store.find_handle(&"carol".parse().unwrap()).await.unwrap(), None);
}

async fn keys_rotate_without_anyone_noticing(place: Place) {
    let server = place.start().await;
    let before = server.sign_up("ada").await.grant;
    let authenticator = server.server.accounts().authenticator();
    let path = keys_file(&place.config());
    let published = || async {
        let keys: Value = server.ask(Method::GET, paths::KEYS, None, None::<&()>).await.read();
        keys["keys"].as_array().unwrap().len()
    };
    assert_eq!(published().await, 1);
    // As if the rotation had been an hour ago, so that the new key signs.
    let mut keys = Keys::load(&path).unwrap();
    keys.rotate(ahoy_server::clock::unix_ms() - 3_600_000).unwrap();
    keys.rotate(ahoy_server::clock::unix_ms()).unwrap();
    keys.save(&path).unwrap();
    authenticator.reload_keys().unwrap();
    assert_eq!(published().await, 3);
    let after = server.refresh(&before).await;
    for grant in [&before, &after] {
        server.get(paths::DEVICES, grant).await.read::<Devices>();
        assert!(authenticator.open(&grant.access_token).await.is_ok());
    }
    // Keys that somebody has a copy of are thrown away, and everything they signed with them.
    Keys::generate(ahoy_server::clock::unix_ms()).unwrap().save(&path).unwrap();
    authenticator.reload_keys().unwrap();
    assert_eq!(server.get(paths::DEVICES, &after).await.refused(), ErrorCode::Unauthenticated);
    assert_eq!(server.try_refresh(&after).await.refused(), ErrorCode::Unauthenticated);
    server.sign_in("ada").await;
}

async fn what_is_over_is_forgotten(place: Place) {
    use ahoy_server::store::sql::Retention;
    let server = place.start().await;
    let (ada, _, own, _, _) = lively(&server, &place).await;
    let store = store(&place).await;
    let now_ms = ahoy_server::clock::unix_ms();
    let nothing = Retention { now_ms, audit_ms: 0, rooms_ms: 0, inbox_ms: 0 };
    assert_eq!(store.sweep(&nothing).await.unwrap().rows, 0, "nothing is over yet");
    let day = 24 * 3_600_000;
    // Tokens and invites are over after two days, devices after more.
    store.sweep(&Retention { now_ms: now_ms + 2 * day, ..nothing }).await.unwrap();
    let left = rows_about(&place, &[String::new()]).await;
    let tables: Vec<_> = left.iter().map(|(table, _)| &**table).collect();
    assert!(!tables.contains(&"used_tokens") && !tables.contains(&"invites"), "{tables:?}");
    server.refresh(&ada.grant).await;
    store
        .sweep(&Retention {
            now_ms: now_ms + 61 * day,
            audit_ms: now_ms + day,
            rooms_ms: now_ms + day,
            inbox_ms: 0,
        })
        .await
        .unwrap();
    assert_eq!(server.try_refresh(&ada.grant).await.refused(), ErrorCode::SignedOut);
    assert_eq!(store.room(own.room).await.unwrap(), None);
    let left = rows_about(&place, &[String::new()]).await;
    let other =
        left.iter().find(|(table, _)| !matches!(&**table, "accounts" | "recovery_codes" | "contacts"));
    assert_eq!(other, None);
}
