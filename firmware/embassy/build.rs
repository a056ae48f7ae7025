//! Hands the linker the memory map, and where the texts of the log go.

fn main() {
    println!("cargo:rustc-link-arg-bins=-Tmps2-an521.x");
    println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
}
