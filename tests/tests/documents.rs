//! Every link in the project's documents leads somewhere: the file is there, and the heading. And what the guide to patterns quotes
//! stands in the programs.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the workspace is above its members")
}

/// All documents below `folder`, without what is built or hidden.
fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("an entry of it").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            documents(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// The lines of a document that are not in a fenced block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Where the links of a line lead. What stands between backticks is no link.
fn links(line: &str) -> Vec<String> {
    let outside: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
    let targets = outside.split("](").skip(1);
    targets.filter_map(|rest| Some(rest.split_once(')')?.0.trim().to_owned())).collect()
}

/// The anchors of a document's headings, made as GitHub does.
fn anchors(text: &str) -> Vec<String> {
    let mut seen = HashMap::new();
    prose(text)
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let anchor = anchor(line.trim_start_matches('#'));
            let count = seen.entry(anchor.clone()).or_insert(0);
            *count += 1;
            match *count {
                1 => anchor,
                more => format!("{anchor}-{}", more - 1),
            }
        })
        .collect()
}

/// The anchor of a heading: its letters and digits in lower case, hyphens for spaces, and nothing else.
fn anchor(heading: &str) -> String {
    let mut text = heading.trim().to_lowercase();
    // Of a link only its text counts.
    while let Some((before, rest)) = text.split_once("](") {
        let after = rest.split_once(')').map_or("", |(_, after)| after);
        text = format!("{}{after}", before.replacen('[', "", 1));
    }
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// `folder/target` without `.` and `..`.
fn resolve(folder: &Path, target: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in folder.join(target).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    path
}

/// What is wrong with a link in the document `text` at `file`; `read` gives other documents.
fn fault(file: &Path, text: &str, link: &str) -> Option<String> {
    if ["http://", "https://", "mailto:"].iter().any(|scheme| link.starts_with(scheme)) {
        return None;
    }
    let (target, heading) = link.split_once('#').unwrap_or((link, ""));
    let folder = file.parent().unwrap_or(file);
    let path = if target.is_empty() { file.to_owned() } else { resolve(folder, target) };
    if !path.exists() {
        return Some(format!("{link}: there is no {}", path.display()));
    }
    if heading.is_empty() {
        return None;
    }
    let text = if target.is_empty() { text.to_owned() } else { fs::read_to_string(&path).ok()? };
    let there = anchors(&text).iter().any(|anchor| anchor == heading);
    (!there).then(|| format!("{link}: no heading of {} has that anchor", path.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let mut files = Vec::new();
    documents(root(), &mut files);
    assert!(files.iter().any(|file| file.ends_with("README.md")), "no documents were found");
    let mut faults = Vec::new();
    let mut count = 0;
    for file in &files {
        let text = fs::read_to_string(file).expect("a document");
        for link in prose(&text).flat_map(links) {
            count += 1;
            let fault = fault(file, &text, &link);
            faults.extend(fault.map(|fault| format!("{}: {fault}", file.display())));
        }
    }
    assert!(count > 50, "only {count} links were found: is the search broken?");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_leads_nowhere_is_noticed() {
    let readme = root().join("README.md");
    let text = "# A `title`, twice\n# A `title`, twice\n```\n# no heading\n[no](link)\n```\n";
    for good in ["https://example.org", "#a-title-twice", "#a-title-twice-1", "docs/../README.md"] {
        assert_eq!(fault(&readme, text, good), None);
    }
    for bad in ["docs/no-such.md", "#no-heading", "#a-title-twice-2", "CONTRIBUTING.md#no-such"] {
        assert!(fault(&readme, text, bad).is_some(), "{bad}");
    }
    assert_eq!(prose(text).flat_map(links).count(), 0);
    assert_eq!(links("see [a](b) and `[c](d)` and ![e](f#g)"), ["b", "f#g"]);
    assert_eq!(anchor(" 5.4 [LoadStore](x.md) regions"), "54-loadstore-regions");
}

/// The lines of a document's blocks of Rust, without what indents them.
fn quoted(text: &str) -> Vec<&str> {
    let mut rust = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            rust = line == "```rust";
        } else if rust && !line.trim().is_empty() {
            lines.push(line.trim());
        }
    }
    lines
}

#[test]
fn the_patterns_are_quoted_as_they_are() {
    let folder = root().join("std-ext/examples/patterns");
    let programs: String = fs::read_dir(folder)
        .expect("the patterns")
        .map(|entry| fs::read_to_string(entry.expect("a pattern").path()).expect("its text"))
        .collect();
    let lines: HashSet<_> = programs.lines().map(str::trim).collect();
    let guide = fs::read_to_string(root().join("docs/patterns.md")).expect("the guide");
    let quoted = quoted(&guide);
    assert!(quoted.len() > 50, "only {} lines of programs were found", quoted.len());
    for line in quoted {
        assert!(lines.contains(line), "no program of the patterns says: {line}");
    }
}
