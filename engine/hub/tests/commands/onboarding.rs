//! What somebody does who connects a source: every `curl` of the documentation is answered, and a
//! source that is simulated passes the check.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fixtures::story::Change;

use super::{Hub, configuration, vendors};

const SECRET: &str = "opshub-secret";
/// Secrets of the simulators that are not the one above.
const WEBEX_TOKEN: &str = fixtures::wxcc::TOKEN;
const DESK: (&str, &str) = fixtures::zendesk::LOGIN;
/// The simulated lines of invoices have no type, which the check says of their view.
const ORACLE_TABLES: &str = "tables = [\"AR_CUSTOMER\", \"AR_INVOICE\", \"AR_PAYMENT\", \"CREDIT_NOTE\"]\n";
const SYSTEMS: [&str; 5] = ["salesforce", "oracle", "wxcc", "sap", "zendesk"];

/// The blocks of shell in a page that call `curl`, without what is started by hand.
fn scripts(page: &str) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let blocks = blocks.filter(|block| block.contains("curl "));
    blocks
        .map(|block| {
            block.lines().filter(|line| !line.starts_with("opshub ")).map(|line| format!("{line}\n")).collect()
        })
        .collect()
}

/// Runs a script of the documentation in `folder`; the status of each answer.
fn answers(folder: &Path, script: &str, places: &[(&str, String)]) -> Vec<String> {
    let script = places.iter().fold(script.to_owned(), |script, (from, to)| script.replace(from, to));
    let told = "set -eu\ncurl() { command curl -sS -o /dev/null -w '%{http_code}\\n' \"$@\"; }\n";
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("{told}{script}")]).current_dir(folder);
    shell.envs([("SECRET", SECRET), ("ZENDESK_SECRET", SECRET)]).stderr(Stdio::inherit());
    let ended = shell.output().unwrap();
    assert!(ended.status.success(), "{script}");
    String::from_utf8(ended.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_curl_of_the_documentation_is_answered() {
    let (vendors, world) = vendors().await;
    let folder = tempfile::tempdir().unwrap();
    let doors = "[connectors.zendesk]\nsecrets = [\"env:OPSHUB_TEST_SECRET\"]\n\
                 [connectors.wxcc]\nsecrets = [\"env:OPSHUB_TEST_SECRET\"]\n";
    std::fs::write(folder.path().join("opshub.toml"), configuration(&vendors) + doors).unwrap();
    let changes = || world.story().iter().map(|happening| (happening.at_ms, &happening.change));
    let order = changes().find_map(|(at_ms, change)| match change {
        Change::Sap(change) => Some(fixtures::sap::body(&[(at_ms, change)])),
        _ => None,
    });
    let change = changes().find_map(|(at_ms, change)| match change {
        Change::Oracle(change) => fixtures::oracle::entries(change, at_ms).into_iter().next(),
        _ => None,
    });
    std::fs::write(folder.path().join("order.xml"), order.unwrap()).unwrap();
    std::fs::write(folder.path().join("change.json"), change.unwrap()).unwrap();
    let (hub, ready) = Hub::start(folder.path(), None);
    let ready = ready.unwrap();
    let address = |name: &str| format!("http://{}", ready[name].as_str().unwrap());
    let login = "grant_type=client_credentials&client_id=opshub&client_secret=opshub-secret";
    let asked = Command::new("curl")
        .args(["-sS", "-d", login, &format!("{}/services/oauth2/token", vendors.salesforce.http_url())])
        .output();
    let token: serde_json::Value = serde_json::from_slice(&asked.unwrap().stdout).unwrap();
    let places = [
        ("http://127.0.0.1:7401", address("doors")),
        ("http://127.0.0.1:7402", address("metrics")),
        ("http://127.0.0.1:7501", vendors.salesforce.http_url()),
        ("Bearer $TOKEN", format!("Bearer {}", token["access_token"].as_str().unwrap())),
        ("Bearer TOKEN", format!("Bearer {SECRET}")),
        ("USER:PASSWORD", format!("opshub:{SECRET}")),
    ];
    let mut driven = 0;
    for system in SYSTEMS {
        let page = format!("{}/../../docs/connectors/{system}.md", env!("CARGO_MANIFEST_DIR"));
        let page = std::fs::read_to_string(page).unwrap();
        let scripts = scripts(&page);
        assert!(!scripts.is_empty(), "{system} has no example that can be driven");
        for script in scripts {
            let answers = answers(folder.path(), &script, &places);
            assert_eq!(answers.len(), script.matches("curl ").count(), "{script}");
            assert!(answers.iter().all(|status| status.starts_with('2')), "{answers:?} to\n{script}");
            driven += answers.len();
        }
    }
    assert!(driven >= SYSTEMS.len(), "{driven}");
    drop(hub);
    vendors.stop().await;
}

/// A simulator by itself, and what it says of its addresses.
struct Simulator(Child);

impl Simulator {
    fn start(system: &str, doors: &str) -> (Self, serde_json::Value) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_opshub"));
        command.args(["simulate", system, "--customers", "3", "--seed", "5", "--json"]);
        if system != "salesforce" {
            command.args(["--target", doors, "--token", "env:OPSHUB_TEST_SECRET"]);
        }
        command.env("OPSHUB_TEST_SECRET", SECRET);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Simulator(child), serde_json::from_str(&line).unwrap())
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // Both fail when the process has ended already, which is as good.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The section of one system, for its simulator at `http`.
fn section(system: &str, http: &str, bus: &str) -> String {
    let secret = "\"env:OPSHUB_TEST_SECRET\"";
    match system {
        "salesforce" => format!(
            "[connectors.salesforce]\nlogin_url = \"{http}\"\nclient_id = \"opshub\"\nclient_secret = {secret}\nbus_url = \"{bus}\"\n"
        ),
        "oracle" => format!(
            "[connectors.oracle]\ntoken = {secret}\n[connectors.oracle.list]\nbase_url = \"{http}/ords/ar\"\n\
             client_id = \"opshub\"\nclient_secret = {secret}\ninterval = \"200ms\"\n{ORACLE_TABLES}"
        ),
        "wxcc" => format!(
            "[connectors.wxcc]\nsecrets = [{secret}]\n[connectors.wxcc.search]\nbase_url = \"{http}\"\n\
             org_id = \"{}\"\ntoken = \"env:OPSHUB_TEST_WEBEX\"\ninterval = \"200ms\"\n",
            fixtures::wxcc::ORG_ID
        ),
        "sap" => format!(
            "[connectors.sap]\nuser = \"opshub\"\npassword = {secret}\n[connectors.sap.list]\n\
             base_url = \"{http}/sap/opu/odata/sap\"\nuser = \"opshub\"\npassword = {secret}\ninterval = \"200ms\"\n"
        ),
        _ => format!(
            "[connectors.zendesk]\nsecrets = [{secret}]\n[connectors.zendesk.export]\nbase_url = \"{http}\"\n\
             email = \"{}\"\ntoken = \"env:OPSHUB_TEST_DESK\"\ninterval = \"200ms\"\npage_pause = \"10ms\"\n",
            DESK.0
        ),
    }
}

/// What the check of a simulated system says, and whether it found nothing wrong.
fn checked(system: &str) -> (bool, String) {
    let doors = {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        free.local_addr().unwrap().to_string()
    };
    let (simulator, at) = Simulator::start(system, &format!("http://{doors}"));
    let text = |name: &str| at[name].as_str().unwrap_or_default().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("opshub.toml");
    std::fs::write(&config, section(system, &text("http"), &text("bus"))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_opshub"));
    command.args(["connect", "check", system, "--wait", "60", "--doors", &doors, "--config"]).arg(&config);
    command.envs([("OPSHUB_TEST_SECRET", SECRET), ("OPSHUB_TEST_WEBEX", WEBEX_TOKEN), ("OPSHUB_TEST_DESK", DESK.1)]);
    let ended = command.stdin(Stdio::null()).output().unwrap();
    drop(simulator);
    let said = [ended.stdout, ended.stderr].concat();
    (ended.status.success(), format!("{system}\n{}", String::from_utf8_lossy(&said)))
}

#[test]
fn a_simulated_source_passes_the_check() {
    let checks = SYSTEMS.map(|system| std::thread::spawn(move || checked(system)));
    let told: Vec<(bool, String)> = checks.into_iter().map(|check| check.join().unwrap()).collect();
    let wrong: Vec<&String> = told.iter().filter(|(is_good, _)| !is_good).map(|(_, said)| said).collect();
    assert!(wrong.is_empty(), "{}", wrong.into_iter().cloned().collect::<Vec<_>>().join("\n"));
    assert!(told.iter().all(|(_, said)| said.contains("one event end to end")), "{told:?}");
}
