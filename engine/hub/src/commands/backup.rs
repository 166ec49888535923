//! `opshub backup`: everything that a store holds at one position, in one file.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;
use storage::{Backup, Store as _, read_backup};

use super::{Failure, open_store, runtime};
use crate::client::ClientArgs;

/// Writes a backup to a file that is there only once it is complete and was read back.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// File that is written; it must not be there yet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Folder of a store that no hub has open, in place of a running hub.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    #[command(flatten)]
    client: ClientArgs,
}

pub(super) fn run(args: &BackupArgs) -> Result<(), Failure> {
    let file = args.file.as_path();
    if file.exists() {
        let text = format!("write the backup {}: it is there already, name another file", file.display());
        return Err(anyhow::anyhow!(text).into());
    }
    let draft = draft_of(file);
    let written = write(args, &draft).and_then(|backup| {
        std::fs::rename(&draft, file).map_err(|error| failed("name", file, &error))?;
        Ok(backup)
    });
    let backup = written.inspect_err(|_| drop(std::fs::remove_file(&draft)))?;
    let told = describe(&backup);
    if args.client.json {
        println!("{}", json(file, &backup));
    } else {
        println!("{}: {told}", file.display());
    }
    Ok(())
}

/// What a backup holds, for people.
pub(super) fn describe(backup: &Backup) -> String {
    let digest = hex::encode(backup.digest);
    format!("position {}, log digest {digest}, {} entries, {} bytes", backup.position, backup.entries, backup.bytes)
}

/// What a backup holds, for programs.
pub(super) fn json(file: &Path, backup: &Backup) -> serde_json::Value {
    serde_json::json!({
        "file": file.display().to_string(),
        "position": backup.position.0,
        "log_digest": hex::encode(backup.digest),
        "applied": backup.applied.0,
        "store_format": backup.store_format,
        "entries": backup.entries,
        "bytes": backup.bytes,
    })
}

/// Opens a backup to be read.
pub(super) fn open(file: &Path) -> Result<BufReader<File>, Failure> {
    let opened = File::open(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure { code: super::NOT_FOUND, ..failed("open", file, &error) },
        _ => failed("open", file, &error),
    })?;
    Ok(BufReader::new(opened))
}

fn failed(doing: &str, file: &Path, error: &std::io::Error) -> Failure {
    anyhow::anyhow!("{doing} the backup {}: {error}", file.display()).into()
}

/// Where a backup is written before it is complete.
fn draft_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    file.with_file_name(name)
}

/// Writes the draft, puts it on disk, and reads it back.
fn write(args: &BackupArgs, draft: &Path) -> Result<Backup, Failure> {
    // It holds everything that is known of customers: for nobody else's eyes.
    let opened = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(draft);
    let mut out = BufWriter::new(opened.map_err(|error| failed("write", draft, &error))?);
    match &args.store {
        Some(dir) => drop(open_store(dir)?.backup(&mut out)?),
        None => runtime()?.block_on(fetch(&args.client, draft, &mut out))?,
    }
    out.flush().and_then(|()| out.get_ref().sync_all()).map_err(|error| failed("write", draft, &error))?;
    Ok(read_backup(open(draft)?)?)
}

/// Takes the parts from a running hub.
async fn fetch(client: &ClientArgs, draft: &Path, out: &mut BufWriter<File>) -> Result<(), Failure> {
    let hub = client.connect().await?;
    let mut admin = AdminServiceClient::new(hub.channel.clone());
    let broken = |status: &tonic::Status| client.failed("take a backup", status, "");
    let answer = admin.create_backup(hub.request(v1::CreateBackupRequest {})).await;
    let mut parts = answer.map_err(|status| broken(&status))?.into_inner();
    while let Some(part) = parts.message().await.map_err(|status| broken(&status))? {
        out.write_all(&part.part).map_err(|error| failed("write", draft, &error))?;
    }
    Ok(())
}
