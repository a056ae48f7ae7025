//! Hands the linker the memory map.

fn main() {
    println!("cargo:rustc-link-arg-bins=-Tmps2-an521.x");
}
