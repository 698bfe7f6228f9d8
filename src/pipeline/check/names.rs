//! What names say of values: which of them are secret, and which say only where
//! the secret is to be found.

/// Last words of names whose value is secret.
const ENDS: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "secret",
    "token",
    "credential",
    "credentials",
    "apikey",
];

/// Last two words of such names.
const KEYS: [&str; 5] = ["api_key", "access_key", "private_key", "secret_key", "encryption_key"];

/// Whether a name says that its value is secret: its last words do.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    // Most names are told by their last letter already.
    let last = name.bytes().next_back().unwrap_or_default();
    if !b"delnsty".contains(&last.to_ascii_lowercase()) {
        return false;
    }
    let name = words(name);
    let ends = |end: &&&str| {
        name.strip_suffix(**end).is_some_and(|before| before.is_empty() || before.ends_with('_'))
    };
    // As in PGPASSWORD, which nothing sets apart.
    name.ends_with("password") || ENDS.iter().chain(&KEYS).any(|end| ends(&end))
}

/// Like [`is_secret`], of the key of an annotation. There a name with `secret`
/// refers to a Secret by its name as a rule, and a checksum tells nothing.
#[must_use]
pub fn is_secret_annotation(name: &str) -> bool {
    if !is_secret(name) || name.starts_with("checksum/") {
        return false;
    }
    let own = words(name);
    !own.ends_with("secret")
        || ["client_secret", "shared_secret", "app_secret"].iter().any(|end| own.ends_with(end))
}

/// The words of a name in lower case, with `_` between them.
fn words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 2);
    let mut before = ' ';
    for c in name.trim_start_matches('-').chars() {
        if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            words.push('_');
        }
        words.push(if "-./".contains(c) { '_' } else { c.to_ascii_lowercase() });
        before = c;
    }
    words
}

/// Whether a value is the thing itself and not where it is to be found.
pub(super) fn is_plain(value: &str) -> bool {
    let elsewhere =
        ["file:", "/", "./", "$(", "${", "-", "vault:", "ENC[", "{{", "ref+", "op://", "arn:aws"];
    let words = ["", "true", "false", "none"];
    !words.contains(&value) && !elsewhere.iter().any(|start| value.starts_with(start))
}

/// The command line of a container, as it is read from left to right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// What runs; empty where the image says so.
    pub program: &'a str,
    /// Whether it is the registry, whose flags are known.
    pub registry: bool,
    /// The argument before.
    pub before: &'a str,
}

impl<'a> Line<'a> {
    /// What the next argument gives away, in words.
    pub fn argument(&mut self, text: &'a str) -> Option<String> {
        let before = std::mem::replace(&mut self.before, text);
        let value = before.starts_with("--") || (self.registry && before == "-P");
        if text.contains(char::is_whitespace) && !value {
            return script(text);
        }
        let joined = text.strip_prefix("-P").filter(|rest| self.registry && !rest.is_empty());
        let (flag, value) = match (joined, text.split_once('=')) {
            (Some(rest), _) => ("-P", rest.trim_start_matches('=')),
            (None, Some((flag, value))) if flag.starts_with('-') => (flag, value),
            _ => (before, text),
        };
        self.is_given(flag, value).then(|| told(flag))
    }

    fn is_given(&self, flag: &str, value: &str) -> bool {
        if !flag.starts_with('-') || !is_plain(value) {
            return false;
        }
        match flag {
            "-P" if self.registry => true,
            "-P" | "-p" => !is_port(value) && !self.is_tool(),
            "-u" | "--user" => is_login(value),
            _ => is_secret(flag),
        }
    }

    /// Whether `-p` says something else to the program: to keep what is there,
    /// to make parents, a process, a port.
    fn is_tool(&self) -> bool {
        let tools = [
            "mkdir", "cp", "install", "rsync", "tar", "ps", "pgrep", "kill", "ssh", "scp", "nc",
            "ncat", "docker", "podman", "nerdctl", "unzip",
        ];
        tools.contains(&self.program.rsplit('/').next().unwrap_or_default())
    }
}

fn told(flag: &str) -> String {
    format!("gives the argument `{flag}` its value in plain")
}

/// What a line for a shell gives away. Its short flags are those of many
/// programs, and only a login tells itself.
fn script(text: &str) -> Option<String> {
    let plain = |value: &str| is_plain(value) && !value.starts_with(['$', '`', '<', '%']);
    let separators = |c: char| c.is_whitespace() || ";&|()".contains(c);
    let mut before = "";
    for word in text.split(separators).map(|word| word.trim_matches(['"', '\''])) {
        let last = std::mem::replace(&mut before, word);
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, value.trim_matches(['"', '\''])),
            None => (last, word),
        };
        if !plain(value) {
            continue;
        }
        if word.contains('=') && is_secret(name) && is_identifier(name.trim_start_matches('-')) {
            return Some(if name.starts_with('-') {
                told(name)
            } else {
                format!("gives the variable `{name}` its value in plain")
            });
        }
        if last.starts_with("--") && is_secret(last) || last == "-u" && is_login(word) {
            return Some(told(last));
        }
    }
    None
}

fn is_identifier(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Whether a value is a port, a number, or how ports lead to each other.
fn is_port(value: &str) -> bool {
    let value = value.trim_end_matches("/tcp").trim_end_matches("/udp");
    value.chars().all(|c| c.is_ascii_digit() || ":.-".contains(c))
}

/// Whether a value is a user and a password. The user and the group that a
/// process has are numbers, or the same word.
fn is_login(value: &str) -> bool {
    let Some((user, password)) = value.split_once(':') else { return false };
    let numbers = password.chars().all(|c| c.is_ascii_digit());
    let group = user == password || ["nogroup", "root", "users"].contains(&password);
    let name = !user.is_empty() && !user.contains(['/', '%', '$']);
    name && !numbers && !group && is_plain(password) && !password.starts_with(['$', '%'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_is_known_by_its_name() {
        for name in [
            "--password",
            "DB_PASSWORD",
            "--api-key",
            "GITHUB_TOKEN",
            "secret",
            "--pass",
            "--db-pass",
            "DB_PASS",
            "MYSQL_PWD",
            "PGPASSWORD",
            "dbPassword",
            "example.org/password",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "--password-file",
            "TOKEN_PATH",
            "--secrets-dir",
            "monkey",
            "RUST_LOG",
            "bypass",
            "--compass",
            "--htpasswd",
            "max-tokens",
            "passes",
        ] {
            assert!(!is_secret(name), "{name}");
        }
        for (value, plain) in [
            ("file:///etc/trow/pass", false),
            ("/run/x", false),
            ("blabla", true),
            ("$(VAR)", false),
            ("ENC[AES256_GCM,data:x]", false),
        ] {
            assert_eq!(is_plain(value), plain, "{value}");
        }
    }

    #[test]
    fn an_annotation_may_name_a_secret() {
        for name in ["db-password", "example.org/password", "x/client-secret", "x/token"] {
            assert!(is_secret_annotation(name), "{name}");
        }
        for name in ["nginx.ingress.kubernetes.io/auth-secret", "checksum/password", "x/tls-secret"]
        {
            assert!(!is_secret_annotation(name), "{name}");
        }
    }

    /// Whether a command line gives something away, program first.
    fn tells(registry: bool, line: &[&str]) -> bool {
        let mut read = Line { program: line[0], registry, before: "" };
        line.iter().filter(|argument| read.argument(argument).is_some()).count() > 0
    }

    #[test]
    fn an_argument_that_holds_a_password_is_told_from_one_that_does_not() {
        for line in [
            &["app", "-P", "hunter2"][..],
            &["app", "-p", "hunter2"],
            &["app", "-p=hunter2"],
            &["app", "--pass", "hunter2"],
            &["app", "--db-pass=hunter2"],
            &["app", "--password", "hunter2 and more"],
            &["curl", "-u", "user:hunter2"],
            &["sh", "-c", "exec app --password hunter2"],
            &["sh", "-c", "curl -u 'user:hunter2' https://x"],
            &["sh", "-c", "PASSWORD=\"hunter2\" exec app"],
            &["sh", "-c", "exec app --token=hunter2; sleep 1"],
        ] {
            assert!(tells(false, line), "{line:?}");
        }
        for line in [
            &["app", "-p", "8080"][..],
            &["app", "-p", "8080:80/tcp"],
            &["app", "-p", "127.0.0.1:8080:80"],
            &["app", "-p", "/var/run/x"],
            &["app", "-P", "file:///etc/x"],
            &["app", "-p", "$(PASSWORD)"],
            &["app", "--password-file", "pass.txt"],
            &["app", "--password", "$(PASSWORD)"],
            &["app", "-profile", "x"],
            &["app", "-Pprod"],
            &["mkdir", "-p", "data"],
            &["/bin/ps", "-p", "self"],
            &["app", "-u", "1000:1000"],
            &["app", "--user", "nobody:nogroup"],
            &["app", "--user", "trow-pass"],
            &["curl", "-u", "user:$(PASSWORD)"],
            &["sh", "-c", "mkdir -p data && curl -u \"$USER:$PASS\" x"],
            &["sh", "-c", "PASSWORD=$(cat /x) app --password \"$PASSWORD\""],
            &["sh", "-c", "read -p password"],
        ] {
            assert!(!tells(false, line), "{line:?}");
        }
        assert!(tells(true, &["-Phunter2"]) && tells(true, &["-P", "12345"]));
        assert!(!tells(true, &["-P", "file:///etc/trow/pass"]));
        assert!(!tells(true, &["-Pfile:///etc/trow/pass"]));
    }
}
