//! Data on stdout, everything else on stderr.

use std::io::{IsTerminal as _, Write as _};

use super::error::CliError;

/// Prints what a command has to say. Understandable without colour.
#[derive(Debug)]
pub struct Printer {
    colour: bool,
    colour_stdout: bool,
}

impl Default for Printer {
    fn default() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let terminal = |is_terminal: bool| !plain && is_terminal;
        Self {
            colour: terminal(std::io::stderr().is_terminal()),
            colour_stdout: terminal(std::io::stdout().is_terminal()),
        }
    }
}

impl Printer {
    /// Prints data, as it is, to stdout. A reader that went away (a closed
    /// pipe) is no error.
    pub fn out(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    }

    /// Prints data that comes in parts, as it is, to stdout.
    pub fn out_all<'t>(&self, parts: impl Iterator<Item = &'t str>) {
        let mut stdout = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
        for part in parts {
            if stdout.write_all(part.as_bytes()).is_err() {
                return;
            }
        }
        let _ = stdout.flush();
    }

    /// Prints a value as JSON and a line end to stdout.
    pub fn json(&self, value: &impl serde::Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.out(&format!("{text}\n")),
            Err(error) => self.warning(&format!("this result has no JSON form: {error}")),
        }
    }

    /// Says what is going on, on stderr.
    pub fn note(&self, text: &str) {
        self.line("", text);
    }

    /// Says what the operator should know, on stderr.
    pub fn warning(&self, text: &str) {
        self.line(&self.paint("33", "warning: "), text);
    }

    /// Says what ended the command and the ways out, on stderr.
    pub fn error(&self, error: &CliError) {
        self.line(&self.paint("31", "error: "), &error.to_string());
        for hint in error.hints() {
            self.line(&self.paint("36", "hint: "), hint);
        }
    }

    /// Whether what goes to stdout may have colours.
    #[must_use]
    pub fn colours_stdout(&self) -> bool {
        self.colour_stdout
    }

    /// A text in an ANSI colour where stderr is a terminal.
    #[must_use]
    pub fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    #[allow(clippy::unused_self, reason = "quiet modes will be the printer's to know")]
    fn line(&self, prefix: &str, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{prefix}{text}");
    }
}

/// A word as a POSIX shell takes it back: quoted where it needs to be.
#[must_use]
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-@:+=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
