//! Tables as people have them: CSV, perhaps gzipped, comma, semicolon, tab or bar between the cells.
//!
//! A row that cannot be used is handed over with its bytes and a reason; reading goes on behind it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::mem;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder, StringRecord};
use flate2::read::MultiGzDecoder;

use crate::encoding::{self, Encoding};
use crate::error::Error;

/// What may stand between cells; of several in the header the most frequent is it.
const SEPARATORS: &[u8] = b",;\t|";

/// The first two bytes of a gzipped file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What to do with a file that ends too early, which only a packed one can.
const CUT_OFF: &str = ": it ends in the middle of what gzip packed, copy or pack it again";

/// Bytes in front of which some programs put UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The largest row that is read, in bytes: a quote that is never closed would swallow the file.
const ROW_BYTES_MAX: usize = 1 << 20;

/// Bytes of a row that is too long which are kept to find it again.
const SHOWN_BYTES_MAX: usize = 200;

/// A row of cells, or the reason why it is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Row<'a> {
    /// As many cells as the header has, as they stand in the file.
    Cells(&'a StringRecord),
    /// Not usable.
    Bad(BadRow),
}

/// A row that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Name of the file.
    pub file: String,
    /// Line on which the row begins, from 1.
    pub line: u64,
    /// Why, as a stable code: `cells`, `utf8`, `too_long`, `no_id`, `duplicate_id`, `too_many_sources`.
    pub reason: &'static str,
    /// The row as it stood, cells parted by commas; bytes that are no UTF-8 as hexadecimal `\xNN`.
    pub raw: String,
}

/// How a table is written, where that cannot be seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Form {
    /// How its bytes are text.
    pub encoding: Encoding,
    /// Names of its columns, if its first line is a row; empty if it is the header.
    pub header: Vec<String>,
}

/// A table that is being read.
pub(crate) struct Table {
    path: PathBuf,
    header: Vec<String>,
    rows: csv::Reader<Box<dyn Read>>,
    row: ByteRecord,
    text: StringRecord,
    /// Lines in front of what the reader was given.
    lines_before: u64,
    /// Whether lines end in two bytes: behind the first row the reader's count stands between them.
    has_long_ends: bool,
}

impl Table {
    /// Opens a table in UTF-8 with a header and reads that.
    ///
    /// # Errors
    /// As [`Table::open_as`].
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Table::open_as(path, &Form::default())
    }

    /// Opens a table and reads its header.
    ///
    /// # Errors
    /// The file cannot be read, or its first line names no columns.
    pub(crate) fn open_as(path: &Path, form: &Form) -> Result<Self, Error> {
        let unreadable = |source: io::Error| match source.kind() {
            ErrorKind::UnexpectedEof => Error::table(path, format!("{source}{CUT_OFF}")),
            _ => Error::file("read", path, source),
        };
        let mut bytes = encoding::utf8(open(path)?, form.encoding).map_err(unreadable)?;
        if bytes.fill_buf().map_err(unreadable)?.starts_with(BYTE_ORDER_MARK) {
            bytes.consume(BYTE_ORDER_MARK.len());
        }
        let (told, length) = told_separator(bytes.fill_buf().map_err(unreadable)?);
        bytes.consume(length);
        let text = bytes.fill_buf().map_err(unreadable)?;
        let separator = told.unwrap_or_else(|| separator(text));
        let has_long_ends = header_of(text).ends_with(b"\r");
        let rows: Box<dyn Read> = Box::new(bytes);
        let mut builder = ReaderBuilder::new();
        builder.delimiter(separator).flexible(true).has_headers(form.header.is_empty());
        let mut rows = builder.from_reader(rows);
        let header = if form.header.is_empty() { header(path, &mut rows)? } else { form.header.clone() };
        Ok(Table {
            path: path.into(),
            header,
            rows,
            row: ByteRecord::new(),
            text: StringRecord::new(),
            lines_before: u64::from(length > 0),
            has_long_ends,
        })
    }

    /// Names of the columns.
    pub(crate) fn header(&self) -> &[String] {
        &self.header
    }

    /// The file's name without its folder.
    pub(crate) fn file(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The name of the source that the whole file is, unless a column says otherwise: the file's
    /// name without folder and endings.
    pub(crate) fn stem(&self) -> String {
        let file = self.file();
        file.split('.').find(|part| !part.is_empty()).unwrap_or("table").to_owned()
    }

    /// The next row with the line on which it begins; none at the end.
    ///
    /// # Errors
    /// The file cannot be read on.
    pub(crate) fn next_row(&mut self) -> Result<Option<(u64, Row<'_>)>, Error> {
        let is_there = match self.rows.read_byte_record(&mut self.row) {
            Ok(is_there) => is_there,
            Err(error) => return Err(broken(&self.path, &error)),
        };
        if !is_there {
            return Ok(None);
        }
        let position = self.row.position().map_or((0, 0), |at| (at.line(), at.record()));
        let line = position.0 + self.lines_before + u64::from(self.has_long_ends && position.1 > 0);
        Ok(Some((line, self.cells(line))))
    }

    /// Says of a row of this table that it cannot be used.
    pub(crate) fn bad(&self, line: u64, reason: &'static str, raw: String) -> BadRow {
        BadRow { file: self.file(), line, reason, raw }
    }

    fn cells(&mut self, line: u64) -> Row<'_> {
        if self.row.as_slice().len() > ROW_BYTES_MAX {
            let start = &self.row.as_slice()[..SHOWN_BYTES_MAX];
            return Row::Bad(self.bad(line, "too_long", shown(start)));
        }
        if self.row.len() != self.header.len() {
            return Row::Bad(self.bad(line, "cells", self.raw()));
        }
        match StringRecord::from_byte_record(mem::take(&mut self.row)) {
            Ok(text) => {
                self.row = mem::replace(&mut self.text, text).into_byte_record();
                Row::Cells(&self.text)
            }
            Err(error) => {
                self.row = error.into_byte_record();
                Row::Bad(self.bad(line, "utf8", self.raw()))
            }
        }
    }

    fn raw(&self) -> String {
        self.row.iter().map(shown).collect::<Vec<_>>().join(",")
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("path", &self.path).field("header", &self.header).finish_non_exhaustive()
    }
}

/// Opens a file, unpacking it if it is gzipped, whatever its name says.
fn open(path: &Path) -> Result<Box<dyn BufRead>, Error> {
    const BUFFER: usize = 1 << 17;
    let file = File::open(path).map_err(|source| Error::file("open", path, source))?;
    let mut bytes = BufReader::with_capacity(BUFFER, file);
    let start = bytes.fill_buf().map_err(|source| Error::file("read", path, source))?;
    if start.starts_with(&GZIP) {
        return Ok(Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(bytes))));
    }
    Ok(Box::new(bytes))
}

/// A file that cannot be read on.
fn broken(path: &Path, error: &csv::Error) -> Error {
    let is_cut = matches!(error.kind(), csv::ErrorKind::Io(error) if error.kind() == ErrorKind::UnexpectedEof);
    Error::table(path, format!("{error}{}", if is_cut { CUT_OFF } else { "" }))
}

/// The names in the first line. Columns without a name are columns that nobody can map.
fn header(path: &Path, rows: &mut csv::Reader<Box<dyn Read>>) -> Result<Vec<String>, Error> {
    let found = rows.byte_headers().map_err(|error| broken(path, &error))?;
    let found = StringRecord::from_byte_record(found.clone()).map_err(|_| {
        let why = "its first line is no UTF-8: name the encoding in the map, such as encoding = \"windows-1252\"";
        Error::table(path, why)
    })?;
    let header: Vec<String> = found.iter().map(|name| name.trim().to_owned()).collect();
    if header.iter().all(String::is_empty) {
        let why = "the first line names no columns: put a header there, or name them in the map, header = [...]";
        return Err(Error::table(path, why));
    }
    let is_twice = |at: &usize| !header[*at].is_empty() && header[..*at].contains(&header[*at]);
    if let Some(twice) = (1..header.len()).find(is_twice) {
        let why = format!("two columns are called {:?}: give each its own name", header[twice]);
        return Err(Error::table(path, why));
    }
    Ok(header)
}

/// The separator that a spreadsheet's first line tells, `sep=;`, and the length of that line.
fn told_separator(start: &[u8]) -> (Option<u8>, usize) {
    let line = header_of(start);
    match line.strip_suffix(b"\r").unwrap_or(line) {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', separator] => {
            (Some(*separator), (line.len() + 1).min(start.len()))
        }
        _ => (None, 0),
    }
}

/// What stands between the cells of the header.
fn separator(start: &[u8]) -> u8 {
    let header = header_of(start);
    let count = |separator: &u8| header.iter().filter(|byte| *byte == separator).count();
    // Of equally frequent ones the first: `max_by_key` would take the last.
    let most = SEPARATORS.iter().rev().max_by_key(|separator| count(separator));
    most.copied().unwrap_or(b',')
}

/// The first line, without its line feed.
fn header_of(start: &[u8]) -> &[u8] {
    start.split(|byte| *byte == b'\n').next().unwrap_or_default()
}

/// Bytes as text from which they can be read again.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    /// A row's line, and its cells or why it has none.
    type Line = (u64, Result<Vec<String>, BadRow>);

    fn read(bytes: &[u8]) -> Result<(Vec<String>, Vec<Line>), Error> {
        read_as(bytes, &Form::default())
    }

    fn read_as(bytes: &[u8], form: &Form) -> Result<(Vec<String>, Vec<Line>), Error> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut table = Table::open_as(file.path(), form)?;
        let mut rows = Vec::new();
        while let Some((line, row)) = table.next_row()? {
            let cells = match row {
                Row::Cells(cells) => Ok(cells.iter().map(str::to_owned).collect()),
                Row::Bad(bad) => Err(bad),
            };
            rows.push((line, cells));
        }
        Ok((table.header().to_vec(), rows))
    }

    fn cells(texts: &[&str]) -> Result<Vec<String>, BadRow> {
        Ok(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    #[test]
    fn a_table_is_read_plain_and_gzipped_with_any_separator() {
        for separator in [",", ";", "\t", "|"] {
            let text = format!("id{separator}name\n1{separator}\"a{separator} b\"\n").into_bytes();
            let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
            packed.write_all(&text).unwrap();
            for bytes in [text, packed.finish().unwrap()] {
                let (header, rows) = read(&bytes).unwrap();
                assert_eq!(header, ["id", "name"]);
                assert_eq!(rows, [(2, cells(&["1", &format!("a{separator} b")]))]);
            }
        }
    }

    #[test]
    fn a_packed_table_that_is_cut_off_is_told_as_that() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(b"id,name\n1,a\n2,b\n").unwrap();
        let packed = packed.finish().unwrap();
        let why = |length: usize| read(&packed[..length]).map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(why(packed.len()), Ok(()));
        // Without its checksum, and in the middle of its rows.
        for length in [packed.len() - 1, packed.len() - 12] {
            assert!(why(length).unwrap_err().contains("in the middle of what gzip packed, copy"), "{length}");
        }
        assert!(!read(b"").unwrap_err().to_string().contains("gzip"));
    }

    #[test]
    fn marks_and_foreign_line_ends_do_not_matter() {
        let (header, rows) = read("\u{feff}id,name\r\n1,\u{e9}\r\n".as_bytes()).unwrap();
        assert_eq!(header, ["id", "name"]);
        assert_eq!(rows, [(2, cells(&["1", "\u{e9}"]))]);
    }

    #[test]
    fn a_table_without_a_header_has_the_names_that_it_is_given() {
        let form = Form { header: vec!["id".to_owned(), "name".to_owned()], ..Form::default() };
        for end in ["\n", "\r\n"] {
            let (header, rows) = read_as(format!("1,a{end}2,b{end}3{end}").as_bytes(), &form).unwrap();
            assert_eq!(header, ["id", "name"]);
            let lines: Vec<u64> = rows.iter().map(|(line, _)| *line).collect();
            assert_eq!((lines, &rows[0].1), (vec![1, 2, 3], &cells(&["1", "a"])));
            assert!(rows[2].1.is_err());
        }
    }

    #[test]
    fn what_spreadsheets_add_is_no_row() {
        let (header, rows) = read(b"sep=^\r\nid^name^^\r\n1^a^^\r\n").unwrap();
        assert_eq!(header, ["id", "name", "", ""]);
        assert_eq!(rows, [(3, cells(&["1", "a", "", ""]))]);
    }

    #[test]
    fn another_encoding_is_named_and_a_wrong_one_is_told() {
        let form = Form { encoding: Encoding::Windows1252, ..Form::default() };
        assert_eq!(read_as(b"id;n\xe4me\n1;\xfc\n", &form).unwrap().0, ["id", "n\u{e4}me"]);
        let why = read(b"id;n\xe4me\n1;\xfc\n").unwrap_err().to_string();
        assert!(why.contains("encoding = \"windows-1252\""), "{why}");
        let sixteen: Vec<u8> = "\u{feff}id,name\r\n1,\u{e9}\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(&sixteen).unwrap().1, [(2, cells(&["1", "\u{e9}"]))]);
    }

    #[test]
    fn a_bad_row_is_set_aside_and_reading_goes_on() {
        let (_, rows) = read(b"id,name\n1\n2,a,b\n3,\xff\n4,d\n").unwrap();
        let reasons: Vec<&str> = rows.iter().map(|(_, row)| row.as_ref().err().map_or("", |bad| bad.reason)).collect();
        assert_eq!(reasons, ["cells", "cells", "utf8", ""]);
        let bad = rows[2].1.as_ref().unwrap_err();
        assert_eq!((bad.line, bad.raw.as_str()), (4, "3,\\xff"));
    }

    #[test]
    fn an_open_quote_does_not_take_the_memory() {
        let mut bytes = b"id,name\n1,\"".to_vec();
        bytes.resize(ROW_BYTES_MAX + 100, b'x');
        let (_, rows) = read(&bytes).unwrap();
        let bad = rows[0].1.as_ref().unwrap_err();
        assert_eq!((bad.reason, bad.raw.len()), ("too_long", SHOWN_BYTES_MAX));
    }

    #[test]
    fn a_table_without_usable_header_is_refused() {
        assert!(read(b"").unwrap_err().to_string().contains("names no columns"));
        assert!(read(b"id,id\n1,2\n").unwrap_err().to_string().contains("two columns are called"));
        assert!(read(&[0x1f, 0x8b, 0, 0]).is_err());
        assert!(Table::open(Path::new("/nowhere.csv")).unwrap_err().to_string().starts_with("open /nowhere.csv"));
    }
}
