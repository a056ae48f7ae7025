//! `list`: the regions on this machine.

use crate::args::ListArguments;
use crate::columns::{human, printable, Align, Columns};
use crate::outcome::{Failure, Outcome};
use crate::output::{complain, Output};
use serde::Serialize;
use std::fs;
use std::time::UNIX_EPOCH;
use zeroipc::{Error, Listing, ReadOnlyMemory};

/// A region, in the order of the JSON.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    size: u64,
    uid: u32,
    user: Option<String>,
    mode: String,
    modified: u64,
    #[serde(flatten)]
    content: Content,
    error: Option<String>,
}

/// What its table says.
#[derive(Debug, Default, Serialize)]
struct Content {
    version: Option<u32>,
    session: Option<u32>,
    structures: Option<usize>,
    used: Option<u64>,
}

/// Runs the command.
pub(crate) fn run(arguments: &ListArguments, output: &mut Output) -> Result<Outcome, Failure> {
    let listings = zeroipc::list().map_err(Failure::error)?;
    // Only for names of users; without it there are numbers.
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let rows: Vec<_> =
        listings.into_iter().filter_map(|listing| Row::of(listing, &users)).collect();
    if arguments.json {
        output.json(&rows)?;
    } else if !rows.is_empty() {
        write(&rows, output)?;
    }
    if rows.is_empty() {
        complain("no regions on this machine; `zeroipc-inspect demo` makes one");
        return Ok(Outcome::No);
    }
    Ok(Outcome::Done)
}

impl Row {
    /// `None` if the region is gone by now.
    fn of(listing: Listing, users: &str) -> Option<Row> {
        // What does not open is not mapped either.
        let content = listing.status.and_then(|()| Content::read(&listing.name));
        let (content, error) = match content {
            Ok(content) => (content, None),
            // A name that is not UTF-8 is listed, but cannot be opened as it is listed.
            Err(Error::NotFound) if !listing.name.contains(char::REPLACEMENT_CHARACTER) => {
                return None
            }
            Err(error) => (Content::default(), Some(error.to_string())),
        };
        let modified = listing.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(Row {
            user: user_name(users, listing.uid),
            name: listing.name,
            size: listing.size,
            uid: listing.uid,
            mode: format!("{:04o}", listing.mode & 0o7777),
            modified: modified.as_secs(),
            content,
            error,
        })
    }
}

impl Content {
    fn read(name: &str) -> Result<Content, Error> {
        let memory = ReadOnlyMemory::open(name)?;
        let view = memory.view();
        let visible = |entry: &zeroipc::Entry| !entry.name.is_reserved();
        Ok(Content {
            version: Some(view.version().number()),
            session: Some(view.session()),
            structures: Some(view.entries().flatten().filter(visible).count()),
            used: Some(view.next_offset()),
        })
    }
}

fn write(rows: &[Row], output: &mut Output) -> Result<(), Failure> {
    use Align::{Left, Right};
    let header =
        ["NAME", "SIZE", "USED", "STRUCTURES", "OWNER", "MODE", "VERSION", "SESSION", "STATUS"];
    let align = [Left, Right, Right, Right, Left, Left, Right, Left, Left];
    let mut columns = Columns::new(header, align);
    for row in rows {
        let owner = row.user.clone().unwrap_or_else(|| row.uid.to_string());
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let content = &row.content;
        columns.row([
            printable(&row.name),
            human(row.size),
            or_dash(content.used.map(human)),
            or_dash(content.structures.map(|count| count.to_string())),
            printable(&owner),
            row.mode.clone(),
            or_dash(content.version.map(|version| version.to_string())),
            or_dash(content.session.map(|session| format!("{session:#010x}"))),
            row.error.clone().unwrap_or_else(|| "ok".to_owned()),
        ]);
    }
    columns.write(output)
}

/// The name that `users`, the content of a passwd file, gives to `uid`.
fn user_name(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let found: u32 = fields.nth(1)?.parse().ok()?;
        (found == uid).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::user_name;

    #[test]
    fn names_of_users() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(user_name(users, 0).as_deref(), Some("root"));
        assert_eq!(user_name(users, 1000).as_deref(), Some("ann"));
        assert_eq!(user_name(users, 7), None);
    }
}
