use crate::sandbox::{inspect, Folder};
use std::fs;

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = inspect(&["completions", shell]);
        assert_eq!((run.code, run.errors.as_str()), (0, ""), "{shell}");
        assert!(run.output.contains("zeroipc-inspect") && run.output.contains("no-squeezing"));
        assert!(run.output.contains("monitor") && run.output.contains("interval"), "{shell}");
        assert!(!run.output.contains("demo-sampler"), "{shell}");
    }
    assert_eq!(inspect(&["completions", "cobol"]).code, 2);
}

#[test]
fn the_man_page() {
    let run = inspect(&["man"]);
    assert_eq!((run.code, run.errors.as_str()), (0, ""), "{run:?}");
    assert!(run.output.contains(".TH zeroipc-inspect 1"), "{run:?}");
    assert!(!run.output.contains("sampler"), "{run:?}");
}

#[test]
fn a_man_page_for_each_command() {
    let folder = Folder::new();
    let pages = folder.file("man1");
    let run = inspect(&["man", "--dir", pages.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{run:?}");
    let files = fs::read_dir(&pages).unwrap().map(|file| file.unwrap().file_name());
    let mut names: Vec<_> = files.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    let commands = ["-completions", "-demo", "-dump", "-list", "-man", "-monitor", "-show", ""];
    let expected: Vec<_> = commands.map(|name| format!("zeroipc-inspect{name}.1")).to_vec();
    assert_eq!(names, expected);
    assert_eq!(run.output.lines().count(), expected.len());
    let show = fs::read_to_string(pages.join("zeroipc-inspect-show.1")).unwrap();
    assert!(show.contains(".TH zeroipc-inspect-show 1"), "{show}");

    let monitor = fs::read_to_string(pages.join("zeroipc-inspect-monitor.1")).unwrap();
    for option in
        ["type", "element", "interval", "tail", "count", "seconds", "taken", "json", "csv"]
    {
        assert!(monitor.contains(&format!("\\-\\-{option}")), "{option}: {monitor}");
    }

    fs::write(folder.file("in-the-way"), "").unwrap();
    let run = inspect(&["man", "--dir", folder.file("in-the-way").to_str().unwrap()]);
    assert_eq!(run.code, 2, "{run:?}");
}
