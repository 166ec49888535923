//! A hub that outgrew its folder goes on on servers: nothing is lost on the way, and both say the same.

use std::time::Duration;

use serde_json::Value;

use crate::arena::Arena;
use crate::child::{Hub, run};
use crate::seed_of;
use crate::servers::Servers;

const LIFE: Duration = Duration::from_millis(400);

#[test]
fn a_hub_that_moves_to_servers_goes_on_there() {
    let mut arena = Arena::new(seed_of("a hub that moves"));
    let (hub, ready) = arena.start();
    arena.load(hub, &ready, LIFE, Hub::kill);

    let servers = Servers::new();
    let config = servers.configure(arena.folder(), "tools").display().to_string();
    let store = arena.folder().join("store").display().to_string();
    let told: Value =
        serde_json::from_str(&run(&["migrate", "--from", &store, "--to-config", &config, "--json"])).unwrap();
    assert_eq!((&told["equal"], &told["digest_from"]), (&Value::Bool(true), &told["digest_to"]), "{told}");

    let of_folder: Value = serde_json::from_str(&run(&["digest", "--store", &store, "--json"])).unwrap();
    let of_servers: Value = serde_json::from_str(&run(&["digest", "--config", &config, "--json"])).unwrap();
    assert_eq!((&of_servers, &of_folder["digest"]), (&of_folder, &told["digest_from"]));
    let verified: Value = serde_json::from_str(&run(&["verify", "--config", &config, "--json"])).unwrap();
    assert_eq!((&verified["sound"], &verified["found"]["facts"]), (&Value::Bool(true), &told["position"]));

    arena.move_to(servers);
    let (hub, ready) = arena.start();
    arena.load(hub, &ready, LIFE, Hub::kill);
    arena.judge();
}
