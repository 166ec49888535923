#![allow(clippy::unwrap_used)]

use ontology::System;

use super::*;

fn environment(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let pairs: Vec<_> = pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    pairs.into_iter()
}

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("opshub.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

#[track_caller]
fn refused(text: &str, pairs: &[(&str, &str)], expected: &[&str]) {
    let (_dir, path) = written(text);
    let error = read(Some(&path), environment(pairs)).and_then(ConfigFile::resolve).unwrap_err().to_string();
    for part in expected {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn nothing_configured_listens_on_loopback_and_connects_nothing() {
    let config = read(None, environment(&[])).unwrap().resolve().unwrap();
    assert_eq!(config.api.addr.to_string(), "127.0.0.1:7400");
    assert_eq!(config.doors.to_string(), "127.0.0.1:7401");
    assert_eq!(config.metrics.to_string(), "127.0.0.1:7402");
    let connectors = &config.connectors;
    assert!(connectors.salesforce.is_none() && connectors.oracle.is_none());
    assert!(connectors.wxcc.is_none() && connectors.sap.is_none());
    assert!(connectors.unmonitored().is_empty());
    assert!(matches!(config.receiver, Receiver::Journal));
}

#[test]
fn a_mapping_file_is_checked_before_anything_opens() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("good.toml"), "version = 5\nsystem = \"sap\"\n").unwrap();
    std::fs::write(path("bad.toml"), "version = 5\nsystem = \"sapp\"\n").unwrap();
    let text = |names: &[&str]| {
        let paths: Vec<String> = names.iter().map(|name| format!("\"{}\"", path(name))).collect();
        format!("[connectors]\nmappings = [{}]\n", paths.join(", "))
    };
    let (_dir, file) = written(&text(&["good.toml"]));
    let config = read(Some(&file), environment(&[])).unwrap().resolve().unwrap().connectors;
    assert_eq!(config.connectors.mapping(System::Sap).unwrap().version, 5);
    assert_eq!(config.own_mappings, [System::Sap]);
    refused(&text(&["bad.toml"]), &[], &["connectors.mappings[0]", "bad.toml", "line 2, column 10", "sapp"]);
    refused(&text(&["none.toml"]), &[], &["connectors.mappings[0]", "cannot be read"]);
    refused(&text(&["good.toml", "good.toml"]), &[], &["connectors.mappings[1]", "second mapping of sap"]);
}

#[test]
fn a_model_file_is_checked_before_anything_opens() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let mut parameters = resolver::Parameters::shipped();
    parameters.version = "ours-1".into();
    std::fs::write(path("good.toml"), parameters.to_toml()).unwrap();
    std::fs::write(path("bad.toml"), "version = 5\n").unwrap();
    let text = |name: &str| format!("[engine]\nmodel = \"{}\"\n", path(name));
    let (_dir, file) = written(&text("good.toml"));
    assert_eq!(read(Some(&file), environment(&[])).unwrap().resolve().unwrap().model.version, "ours-1");
    refused(&text("bad.toml"), &[], &["engine.model", "bad.toml", "is no model"]);
    refused(&text("none.toml"), &[], &["engine.model", "none.toml", "cannot be read"]);
}

#[test]
fn the_environment_lies_over_the_file() {
    let (_dir, path) = written("[api]\nlisten = \"127.0.0.1:1\"\n[engine]\nshards = 2\ngrace = \"90s\"\n");
    let pairs = [
        ("OPSHUB_API__LISTEN", "127.0.0.1:2"),
        ("OPSHUB_ENGINE__BATCH_MAX", "7"),
        ("OPSHUB_STORE__DIR", "/var/lib/opshub"),
        ("OPSHUB_BIN", "has no section and is none of ours"),
        ("OTHER__LISTEN", "127.0.0.1:3"),
    ];
    let config = read(Some(&path), environment(&pairs)).unwrap().resolve().unwrap();
    assert_eq!(config.api.addr.port(), 2);
    assert_eq!((config.engine.shards, config.batch_max), (2, 7));
    assert_eq!(config.engine.insight.grace_ms, 90_000);
    assert!(matches!(config.store, StoreConfig::Embedded(dir) if *dir == *"/var/lib/opshub"));
}

#[test]
fn unknown_keys_are_refused_with_the_one_that_was_meant() {
    refused("[api]\nlisen = \"127.0.0.1:1\"\n", &[], &["opshub.toml", "line 2", "did you mean `listen`?"]);
    refused("[conectors.sap]\n", &[], &["did you mean `connectors`?"]);
    refused("", &[("OPSHUB_API__LISTN", "127.0.0.1:1")], &["OPSHUB_API__LISTN", "did you mean `listen`?"]);
    refused("", &[("OPSHUB_ENGINE__SHARDS", "many")], &["OPSHUB_ENGINE__SHARDS"]);
    refused("[engine]\ngrace = \"soon\"\n", &[], &["expected a duration such as 60s"]);
    for section in ["api", "doors", "metrics"] {
        let by_name = format!("[{section}]\nlisten = \"localhost:7400\"\n");
        refused(&by_name, &[], &["line 2", "such as 127.0.0.1:7400, found `localhost:7400`"]);
    }
    refused("[api\n", &[], &["opshub.toml"]);
}

#[test]
fn a_source_needs_all_of_its_section() {
    refused("[connectors.oracle]\n", &[], &["connectors.oracle.token is missing"]);
    refused("[connectors.wxcc]\n", &[], &["connectors.wxcc.secrets"]);
    refused("[connectors.sap]\nuser = \"idoc\"\n", &[], &["connectors.sap.password is missing"]);
    refused("[connectors.salesforce]\n", &[], &["connectors.salesforce.login_url is missing"]);
}

#[test]
fn secrets_are_read_where_the_reference_points_and_never_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "hunter2\n").unwrap();
    let text = format!("[connectors.oracle]\ntoken = \"file:{}\"\n", secret.display());
    let (_file, path) = written(&text);
    let config = read(Some(&path), environment(&[])).unwrap().resolve().unwrap();
    assert!(config.connectors.oracle.unwrap().door.unwrap().token.is("hunter2"));

    refused("[connectors.oracle]\ntoken = \"file:/nowhere/at/all\"\n", &[], &["connectors.oracle.token", "/nowhere"]);
    refused("[connectors.oracle]\ntoken = \"env:OPSHUB_UNSET_ANYWHERE\"\n", &[], &["OPSHUB_UNSET_ANYWHERE"]);
    let variables = [("OPSHUB_CONNECTORS__ORACLE__TOKEN", "hunter2")];
    let error = read(None, environment(&variables)).unwrap_err().to_string();
    assert!(error.contains("env:NAME or file:PATH") && !error.contains("hunter2"), "{error}");
}

#[test]
fn only_what_is_protected_listens_beyond_this_machine() {
    refused("[api]\nlisten = \"0.0.0.0:1\"\n", &[], &["api.listen", "TLS and authentication"]);
    refused("[doors]\nlisten = \"0.0.0.0:1\"\n", &[], &["doors.listen", "doors.behind_proxy"]);
    refused("[metrics]\nlisten = \"10.0.0.1:1\"\n", &[], &["metrics.listen", "metrics.behind_proxy"]);
    let variables = [("OPSHUB_DOORS__LISTEN", "0.0.0.0:1"), ("OPSHUB_DOORS__BEHIND_PROXY", "true")];
    let config = read(None, environment(&variables)).unwrap().resolve().unwrap();
    assert_eq!(config.doors.to_string(), "0.0.0.0:1");
}

#[test]
fn callers_have_known_roles() {
    let tokens = |role: &str| format!("[[api.tokens]]\nname = \"ann\"\ntoken = \"env:PATH\"\nroles = [\"{role}\"]\n");
    let (_dir, path) = written(&tokens("admin"));
    assert!(read(Some(&path), environment(&[])).unwrap().resolve().unwrap().api.authentication.is_configured());
    refused(&tokens("admn"), &[], &["api.tokens[0].roles", "did you mean `admin`?"]);
}

#[test]
fn a_provider_and_its_keys_are_checked_before_anything_opens() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys.json");
    // A public key of RFC 7517, appendix A.1.
    let set = r#"{"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "use": "sig",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;
    std::fs::write(&keys, set).unwrap();
    let section = |rest: &str| format!("[api.jwt]\nissuer = \"https://login\"\nkeys = \"{}\"\n{rest}", keys.display());
    let (_dir, path) = written(&section("algorithms = [\"ES256\"]\n"));
    assert!(read(Some(&path), environment(&[])).unwrap().resolve().unwrap().api.authentication.is_configured());
    refused(&section(""), &[], &["api.jwt.keys", "no public key for RS256"]);
    refused(&section("algorithms = [\"HS256\"]\n"), &[], &["api.jwt.algorithms", "HS256"]);
    refused(&section("audience = \"\"\n"), &[], &["api.jwt.audience is empty"]);
    refused("[api.jwt]\nissuer = \"x\"\nkeys = \"/nowhere\"\n", &[], &["api.jwt.keys", "/nowhere"]);
    refused("[api.jwt]\nkeys = \"/nowhere\"\n", &[], &["issuer"]);
}

#[test]
fn callers_by_certificate_need_an_authority_and_tls() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, "a certificate is read when the server starts").unwrap();
    let authority = format!("[api]\ncallers_ca = \"{}\"\n", ca.display());
    let caller = "[[api.callers]]\nname = \"desk\"\ncertificate = \"desk.example\"\nroles = [\"agent\"]\n";
    refused(caller, &[], &["api.callers_ca is missing"]);
    refused(&authority, &[], &["api.callers is missing"]);
    refused(&format!("{authority}{caller}"), &[], &["api.callers needs TLS"]);
    refused(&format!("{authority}{caller}{caller}"), &[], &["api.callers[1].certificate", "two callers"]);
    refused(&caller.replace("agent", "agnt"), &[], &["api.callers[0].roles", "did you mean `agent`?"]);
}

#[test]
fn a_source_that_nothing_proves_alive_is_unmonitored() {
    let variables = [
        ("OPSHUB_CONNECTORS__SAP__USER", "idoc"),
        ("OPSHUB_CONNECTORS__SAP__PASSWORD", "env:PATH"),
        ("OPSHUB_CONNECTORS__ORACLE__TOKEN", "env:PATH"),
    ];
    let config = read(None, environment(&variables)).unwrap().resolve().unwrap();
    assert_eq!(config.connectors.unmonitored(), [System::Sap]);
}

#[test]
fn bounds_of_numbers_hold_to_both_sides() {
    refused("[engine]\nshards = 0\n", &[], &["engine.shards is 0"]);
    refused("[engine]\nshards = 257\n", &[], &["engine.shards is 257: write 1 to 256"]);
    refused("[engine]\nbatch_max = 0\n", &[], &["engine.batch_max is 0"]);
    refused("[engine]\ntolerance_minor = -1\n", &[], &["engine.tolerance_minor"]);
    let (_dir, path) = written("[engine]\nshards = 256\nbatch_max = 1\ntolerance_minor = 0\n");
    assert_eq!(read(Some(&path), environment(&[])).unwrap().resolve().unwrap().batch_max, 1);
}

#[test]
fn the_example_of_the_page_is_understood() {
    let page = include_str!("../../../../docs/configuration.md");
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let (_dir, path) = written(example);
    let file = read(Some(&path), environment(&[])).unwrap();
    assert!(file.connectors.salesforce.is_some() && file.connectors.sap.is_some());
    assert_eq!(file.api.tokens.len(), 1);
}

#[test]
fn the_sources_of_the_page_for_trying_out_are_understood() {
    let page = include_str!("../../../../docs/connectors/README.md");
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    // Whatever stands in the variables that hold the secrets.
    let example = ["SIM_SECRET", "WXCC_REFRESH", "ZENDESK_TOKEN"].iter().fold(example.to_owned(), |text, name| {
        assert!(page.contains(&format!("{name}=")), "{name} is set on the page");
        text.replace(&format!("env:{name}"), "env:PATH")
    });
    let (_dir, path) = written(&example);
    let sources = read(Some(&path), environment(&[])).unwrap().resolve().unwrap().connectors;
    assert!(sources.salesforce.is_some() && sources.zendesk.is_some_and(|desk| desk.export.is_some()));
    assert!(sources.oracle.is_some_and(|oracle| oracle.list.is_some()));
    let (wxcc, sap) = (sources.wxcc.unwrap(), sources.sap.unwrap());
    // What the simulated sources know.
    assert_eq!(wxcc.search.unwrap().org_id, fixtures::wxcc::ORG_ID);
    assert!(sap.list.unwrap().access.base_url.ends_with("/sap/opu/odata/sap"));
}

#[test]
fn a_source_may_lag_as_far_as_its_list_job_needs() {
    let search = "[connectors.wxcc]\nsecrets = [\"env:PATH\"]\n[connectors.wxcc.search]\nbase_url = \"https://x\"\n\
                  org_id = \"o\"\ntoken = \"env:PATH\"\n";
    let bounds = |text: &str| {
        let (_dir, path) = written(text);
        let config = read(Some(&path), environment(&[])).unwrap().resolve().unwrap();
        System::SOURCES.map(|source| config.engine.lag_max.of(source) / 1_000)
    };
    // In the order of the sources: Salesforce, Oracle, SAP, Webex.
    assert_eq!(bounds(""), [300, 300, 300, 300]);
    assert_eq!(bounds(search), [300, 300, 300, 300], "every minute, with two minutes of lag");
    let slow = format!("{search}interval = \"5m\"\n");
    assert_eq!(bounds(&slow), [300, 300, 300, 480]);
    assert_eq!(bounds(&format!("{slow}[engine.lag_max]\nwxcc = \"10m\"\nsap = \"90s\"\n")), [300, 300, 90, 600]);
    assert_eq!(bounds(&format!("{slow}[engine.lag_max]\nwxcc = \"420s\"\n")), [300, 300, 300, 420]);
    let too_little = format!("{slow}[engine.lag_max]\nwxcc = \"419s\"\n");
    refused(&too_little, &[], &["engine.lag_max.wxcc", "419s", "only every 420s", "at least 480s"]);
    refused("[engine.lag_max]\noracle = \"0s\"\n", &[], &["engine.lag_max.oracle", "is 0s"]);
    refused("[engine.lag_max]\nwebex = \"300s\"\n", &[], &["webex"]);
}

#[test]
fn a_variable_with_too_few_underscores_is_told_and_others_are_left_alone() {
    let pairs = [("OPSHUB_STORE_DIR", "/data")];
    refused("", &pairs, &["OPSHUB_STORE_DIR", "did you mean OPSHUB_STORE__DIR?"]);
    refused("", &[("OPSHUB_API_LISTEN", "127.0.0.1:1")], &["did you mean OPSHUB_API__LISTEN?"]);
    let deep = "OPSHUB_CONNECTORS_ORACLE_LIST_BASE_URL";
    refused("", &[(deep, "x")], &["did you mean OPSHUB_CONNECTORS__ORACLE__LIST__BASE_URL?"]);
    let foreign = [
        ("OPSHUB_API", "127.0.0.1:1"),
        ("OPSHUB_LOG_FORMAT", "json"),
        ("OPSHUB_DOORS_PORT", "tcp://10.0.0.1:7401"),
        ("OPSHUB_DOORS_PORT_7401_TCP_ADDR", "10.0.0.1"),
        ("OPSHUB_METRICS_SERVICE_HOST", "10.0.0.1"),
    ];
    assert!(read(None, environment(&foreign)).is_ok());
}

#[test]
fn a_token_is_one_callers() {
    let caller = |name: &str, token: &str, roles: &str| {
        format!("[[api.tokens]]\nname = \"{name}\"\ntoken = \"{token}\"\nroles = [{roles}]\n")
    };
    let agent = caller("ann", "env:PATH", "\"agent\"");
    let root = caller("root", "env:PATH", "\"admin\"");
    refused(&format!("{agent}{root}"), &[], &["api.tokens[1].token", "`ann`", "`root`"]);
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "another\n").unwrap();
    let own = caller("root", &format!("file:{}", secret.display()), "\"admin\"");
    let (_dir, path) = written(&format!("{agent}{own}"));
    assert!(read(Some(&path), environment(&[])).unwrap().resolve().is_ok());
    refused(&caller("", "env:PATH", "\"agent\""), &[], &["api.tokens[0].name is empty"]);
    refused(&caller("ann", "env:PATH", ""), &[], &["api.tokens[0].roles is empty", "admin"]);
}

#[test]
fn listeners_have_ports_of_their_own() {
    let both = |api: &str, doors: &str| format!("[api]\nlisten = \"{api}\"\n[doors]\nlisten = \"{doors}\"\n");
    refused(&both("127.0.0.1:1", "127.0.0.1:1"), &[], &["doors.listen is 127.0.0.1:1, where api.listen is already"]);
    refused(&both("127.0.0.1:7402", "127.0.0.1:1"), &[], &["metrics.listen", "api.listen"]);
    for (api, doors) in [("127.0.0.1:0", "127.0.0.1:0"), ("127.0.0.1:1", "127.0.0.2:1"), ("127.0.0.1:1", "[::1]:1")] {
        let (_dir, path) = written(&both(api, doors));
        assert!(read(Some(&path), environment(&[])).unwrap().resolve().is_ok(), "{api} {doors}");
    }
}

#[test]
fn addresses_and_spans_that_nothing_could_work_with_are_refused() {
    refused("[outputs.webhook]\nurl = \"desk.acme\"\n", &[], &["outputs.webhook.url is `desk.acme`", "https://"]);
    let salesforce = |login: &str, more: &str| {
        format!(
            "[connectors.salesforce]\nlogin_url = \"{login}\"\nclient_id = \"c\"\nclient_secret = \"env:PATH\"\n{more}"
        )
    };
    refused(&salesforce("acme", ""), &[], &["connectors.salesforce.login_url is `acme`"]);
    refused(&salesforce("http://acme.example", ""), &[], &["login_url", "in the clear", "connectors.plaintext"]);
    let bus = "bus_url = \"http://acme.example\"\n";
    refused(&salesforce("https://acme.example", bus), &[], &["connectors.salesforce.bus_url", "in the clear"]);
    for span in ["audit_every", "silence_max"] {
        let text = salesforce("https://acme.example", &format!("{span} = \"0s\"\n"));
        refused(&text, &[], &[&format!("connectors.salesforce.{span} is 0s")]);
    }
    let allowed = format!("[connectors]\nplaintext = true\n{}", salesforce("http://acme.example", ""));
    let (_dir, path) = written(&allowed);
    assert!(read(Some(&path), environment(&[])).unwrap().resolve().is_ok());
}
