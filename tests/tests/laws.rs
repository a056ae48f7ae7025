//! The laws in docs/codata.md name the tests that check them: each of these exists, in the file that is named.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const GUIDE: &str = include_str!("../../docs/codata.md");

/// Where the guide is.
fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// The last cell of each row of the tables of laws.
fn checks() -> Vec<&'static str> {
    let (_, laws) = GUIDE.split_once("\n## Laws, and the tests that check them\n").unwrap();
    let (laws, _) = laws.split_once("\n## ").unwrap();
    let rows = laws.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    let cells = rows.map(|row| row.trim_end_matches('|').rsplit('|').next().unwrap().trim());
    cells.filter(|cell| *cell != "checked by").collect()
}

/// What stands in backquotes in `text`.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The files named in the laws, by what they are called there.
fn files() -> BTreeMap<&'static str, PathBuf> {
    let links = checks().into_iter().flat_map(|cell| cell.split('[').skip(1));
    links
        .map(|link| {
            let (name, rest) = link.split_once("](").unwrap();
            (name, docs().join(rest.split_once(')').unwrap().0))
        })
        .collect()
}

#[test]
fn every_law_has_its_tests() {
    let files = files();
    let mut count = 0;
    for cell in checks() {
        if cell == "the same" {
            continue;
        }
        // Names, and then the file in which they are: `a`, `b` ([file](path)), `c` (file).
        let mut rest = cell;
        while let Some((names, after)) = rest.split_once('(') {
            let file = after.trim_start_matches('[').split([']', ')']).next().unwrap();
            let path = files.get(file).unwrap_or_else(|| panic!("no link for {file}: {cell}"));
            let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
            for name in quoted(names) {
                assert!(text.contains(&format!("fn {name}(")), "{name} is not in {file}");
                count += 1;
            }
            rest = after.split_once("), ").map_or("", |(_, rest)| rest);
        }
        assert!(quoted(rest).next().is_none(), "no file for {rest}: {cell}");
    }
    assert!(count > 40, "only {count} were found");
}

#[test]
fn every_link_leads_somewhere() {
    for link in GUIDE.split("](").skip(1) {
        let target = link.split_once(')').unwrap().0;
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        if file.starts_with("https:") {
            continue;
        }
        let text = if file.is_empty() {
            GUIDE.to_owned()
        } else {
            let path = docs().join(file);
            assert!(path.exists(), "{path:?}");
            fs::read_to_string(path).unwrap()
        };
        let slug = |line: &str| {
            let line = line.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-");
            line.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect::<String>()
        };
        let headings = text.lines().filter(|line| line.starts_with('#')).map(slug);
        assert!(
            heading.is_empty() || headings.into_iter().any(|found| found == heading),
            "{target}"
        );
    }
}

#[test]
fn every_figure_is_as_it_is_drawn() {
    let script = docs().join("figures/draw.py");
    // Where there is no Python nobody can draw.
    let Ok(run) = std::process::Command::new("python3").arg(script).arg("--check").output() else {
        return;
    };
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
