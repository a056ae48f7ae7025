//! Lets the linker find the memory map; whoever builds a program for the board asks for it: `-Tmps2-an521.x`.

use std::env;
use std::fs;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=mps2-an521.x");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::copy("mps2-an521.x", Path::new(&out).join("mps2-an521.x")).expect("a copy of the map");
    println!("cargo:rustc-link-search={out}");
}
