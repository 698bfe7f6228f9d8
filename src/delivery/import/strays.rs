//! What notes leave in files that were copied out of them: arrows with a
//! remark behind a line, the command that printed the file, and dots for what
//! was left out. None of them is YAML.

/// What was taken out of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// The line, from 1.
    pub line: usize,
    /// What stood there.
    pub text: String,
}

/// The text without strays, its lines where they were.
#[must_use]
pub fn cleaned(text: &str) -> (String, Vec<Stray>) {
    let mut strays = Vec::new();
    let mut clean = String::with_capacity(text.len());
    let mut begun = false;
    for (number, line) in text.lines().enumerate() {
        let kept = kept(line, begun);
        let stray = line.get(kept..).unwrap_or_default().trim();
        if !stray.is_empty() {
            strays.push(Stray { line: number + 1, text: stray.to_owned() });
        }
        let kept = line.get(..kept).unwrap_or_default();
        begun |= !kept.trim().is_empty() && !kept.trim_start().starts_with('#');
        clean.push_str(if stray.is_empty() { kept } else { kept.trim_end() });
        clean.push('\n');
    }
    (clean, strays)
}

/// How many bytes of a line are YAML. `begun` says that YAML came before it.
fn kept(line: &str, begun: bool) -> usize {
    let bare = line.trim();
    let command = ["cat ", "$ ", "kubectl ", "kctl "].iter().any(|start| bare.starts_with(start));
    // Three dots end a document of YAML; four are nothing.
    let dots = bare.len() > 3 && bare.bytes().all(|byte| byte == b'.');
    if (command && !begun) || dots || bare.starts_with("->") {
        return 0;
    }
    arrow(line).unwrap_or(line.len())
}

/// Where an arrow begins that points back at what stands before it.
fn arrow(line: &str) -> Option<usize> {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '"' | '\'') && !before.is_alphanumeric() => quote = Some(c),
            None if c == '#' && before.is_whitespace() => return None,
            None if before.is_whitespace() && points(line.get(at..).unwrap_or_default()) => {
                return Some(at);
            }
            _ => {}
        }
        before = c;
    }
    None
}

fn points(rest: &str) -> bool {
    ["<<<", "<--", "<==", "←"].iter().any(|arrow| rest.starts_with(arrow))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_commands_and_dots_go_and_lines_stay() {
        let text = "cat k.yaml   [x |y]\nresources:   <<< on ajoute\n  - pv.yaml <<<<< ici\n....\n\
                    a: \"b <<< c\" # d <<< e\nb:\n  <<: *x\n";
        let (clean, strays) = cleaned(text);
        assert_eq!(clean, "\nresources:\n  - pv.yaml\n\na: \"b <<< c\" # d <<< e\nb:\n  <<: *x\n");
        let lines: Vec<_> = strays.iter().map(|stray| stray.line).collect();
        assert_eq!(lines, [1, 2, 3, 4]);
        assert_eq!(strays[1].text, "<<< on ajoute");
    }

    #[test]
    fn a_command_inside_of_a_text_stays() {
        let text = "a: |\n  cat /etc/trow/pass\n";
        assert_eq!(cleaned(text), (text.to_owned(), Vec::new()));
    }
}
