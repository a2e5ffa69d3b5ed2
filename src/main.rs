//! The `staunch` binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    staunch::cli::main()
}
