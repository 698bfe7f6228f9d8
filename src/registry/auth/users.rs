use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::argon2id::{Argon2id, Cost};
use super::{AuthError, Secret};

/// The highest bcrypt cost that a users file may ask for: about five seconds
/// of one core.
pub const MAX_COST: u32 = 16;
/// How many different settings the argon2id hashes of all users may have: each
/// check does the work of all of them.
pub const MAX_ARGON2_COSTS: usize = 2;

/// What a user's password is compared with.
#[derive(Clone)]
pub enum Verifier {
    /// The sha256 of a password that was given in plain. It is only ever held
    /// in memory, and the hash makes the comparison independent of the length.
    Plain([u8; 32]),
    /// A bcrypt hash as a users file holds it.
    Bcrypt {
        /// The whole hash, `$2y$…`.
        hash: String,
        /// Its cost, the exponent of the number of rounds.
        cost: u32,
    },
    /// An argon2id hash as a users file holds it.
    Argon2id(Argon2id),
}

impl Verifier {
    /// The verifier of a plain password.
    #[must_use]
    pub fn plain(password: &Secret) -> Self {
        Self::Plain(Sha256::digest(password.expose().as_bytes()).into())
    }
}

/// Everyone who may log in.
#[derive(Clone, Default)]
pub struct Users {
    entries: BTreeMap<String, Verifier>,
    /// The highest bcrypt cost of any user; none without bcrypt users.
    cost: Option<u32>,
    /// The settings of all argon2id hashes.
    argon2: BTreeSet<Cost>,
}

/// What a check of a password found, and what it cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Whether the user exists and the password is theirs.
    pub right: bool,
    /// The work that was done. It is the same for every user and every
    /// password, also for users that do not exist.
    pub work: Work,
}

/// The work of one check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Hashed and compared plain passwords.
    pub comparisons: u32,
    /// Rounds of bcrypt.
    pub rounds: u64,
    /// KiB that argon2 went over.
    pub blocks: u64,
}

impl Users {
    /// Adds a user.
    ///
    /// # Errors
    /// [`AuthError::UserName`] for a name with a colon, a control character
    /// or nothing in it, [`AuthError::Twice`] for one that is there already,
    /// [`AuthError::Costs`] for an argon2id hash whose settings are one kind
    /// too many.
    pub fn add(&mut self, name: &str, verifier: Verifier) -> Result<(), AuthError> {
        if name.is_empty() || name.contains(|c: char| c == ':' || c.is_control()) {
            return Err(AuthError::UserName { name: name.to_owned() });
        }
        if self.entries.contains_key(name) {
            return Err(AuthError::Twice { name: name.to_owned() });
        }
        if let Verifier::Bcrypt { cost, .. } = &verifier {
            self.cost = self.cost.max(Some(*cost));
        }
        if let Verifier::Argon2id(hash) = &verifier {
            self.argon2.insert(hash.cost());
            if self.argon2.len() > MAX_ARGON2_COSTS {
                return Err(AuthError::Costs { name: name.to_owned() });
            }
        }
        self.entries.insert(name.to_owned(), verifier);
        Ok(())
    }

    /// Whether there is nobody: the registry is open to everyone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether a name is a user's. Tokens outlive neither their time nor their
    /// user.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Whether a check takes long enough to be kept off the async threads.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        self.cost.is_some() || !self.argon2.is_empty()
    }

    /// Checks a password.
    ///
    /// The work does not tell whether the user exists: each check compares one
    /// sha256; where there are bcrypt users it also does 2^cost rounds of
    /// bcrypt, cost being the highest of all users; and where there are argon2
    /// users it computes one hash for each of the settings that theirs have. A
    /// bcrypt hash of a lower cost is followed by as many rounds as it falls
    /// short.
    #[must_use]
    pub fn check(&self, name: &str, password: &str) -> Checked {
        let verifier = self.entries.get(name);
        let mut work = Work::default();
        let (expected, is_plain) = match verifier {
            Some(Verifier::Plain(expected)) => (*expected, true),
            _ => ([0; 32], false),
        };
        let plain = compare(password, &expected, &mut work) & is_plain;
        let bcrypt = self.check_bcrypt(verifier, password, &mut work);
        let argon2 = self.check_argon2(verifier, password, &mut work);
        Checked { right: plain | bcrypt | argon2, work }
    }

    fn check_bcrypt(&self, verifier: Option<&Verifier>, password: &str, work: &mut Work) -> bool {
        let Some(highest) = self.cost else { return false };
        let Some(Verifier::Bcrypt { hash, cost }) = verifier else {
            burn(password, highest, work);
            return false;
        };
        work.rounds += 1 << cost;
        let right = bcrypt::verify(password, hash).unwrap_or(false);
        // 2^c and 2^c + 2^(c+1) + … + 2^(h-1) are 2^h together.
        (*cost..highest).for_each(|cost| burn(password, cost, work));
        right
    }

    fn check_argon2(&self, verifier: Option<&Verifier>, password: &str, work: &mut Work) -> bool {
        let mut right = false;
        for cost in &self.argon2 {
            work.blocks += cost.blocks();
            match verifier {
                Some(Verifier::Argon2id(hash)) if hash.cost() == *cost => {
                    right = hash.verify(password);
                }
                _ => cost.burn(password),
            }
        }
        right
    }

    /// What a cached success was verified against: it stops being one when
    /// the user's password changes. A user that does not exist has one too,
    /// so that the work with it is the same.
    pub(super) fn fingerprint(&self, name: &str) -> &[u8] {
        match self.entries.get(name) {
            Some(Verifier::Bcrypt { hash, .. }) => hash.as_bytes(),
            Some(Verifier::Argon2id(hash)) => hash.text().as_bytes(),
            Some(Verifier::Plain(hash)) => hash,
            None => &[0; 60],
        }
    }
}

fn compare(password: &str, expected: &[u8; 32], work: &mut Work) -> bool {
    work.comparisons += 1;
    let found: [u8; 32] = Sha256::digest(password.as_bytes()).into();
    found.ct_eq(expected).into()
}

/// Does the rounds of one bcrypt check that nobody waits for the answer of.
fn burn(password: &str, cost: u32, work: &mut Work) {
    work.rounds += 1 << cost;
    std::hint::black_box(bcrypt::hash_with_salt_bytes(password, cost, [0x5a; 16]).is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        let mut users = Users::default();
        users.add("plain", Verifier::plain(&Secret::new("a:b:c"))).unwrap();
        for (name, cost) in [("low", 4), ("high", 6)] {
            let hash = bcrypt::hash("right", cost).unwrap();
            users.add(name, Verifier::Bcrypt { hash, cost }).unwrap();
        }
        for (name, memory, passes) in [("small", 8, 1), ("large", 16, 2)] {
            users.add(name, argon2id(memory, passes)).unwrap();
        }
        users
    }

    fn argon2id(memory: u32, passes: u32) -> Verifier {
        let cost = Cost { memory, passes, lanes: 1, length: 32 };
        Verifier::Argon2id(Argon2id::new("right", b"somesalt", cost).unwrap())
    }

    #[test]
    fn right_passwords_pass_and_no_others() {
        let users = users();
        for (name, password, right) in [
            ("plain", "a:b:c", true),
            ("plain", "a", false),
            ("plain", "", false),
            ("low", "right", true),
            ("high", "right", true),
            ("high", "wrong", false),
            ("small", "right", true),
            ("large", "right", true),
            ("large", "wrong", false),
            ("nobody", "right", false),
            ("", "", false),
        ] {
            assert_eq!(users.check(name, password).right, right, "{name} {password}");
        }
    }

    #[test]
    fn every_check_does_the_same_work() {
        let users = users();
        let work = users.check("nobody", "wrong").work;
        assert_eq!(work, Work { comparisons: 1, rounds: 64, blocks: 8 + 32 });
        for name in ["plain", "low", "high", "small", "large"] {
            for password in ["right", "wrong", "a:b:c"] {
                assert_eq!(users.check(name, password).work, work, "{name} {password}");
            }
        }
    }

    #[test]
    fn names_that_basic_cannot_carry_are_refused() {
        for name in ["", "a:b", "a\nb"] {
            let added = Users::default().add(name, Verifier::Plain([0; 32]));
            assert!(matches!(added, Err(AuthError::UserName { .. })), "{name:?}");
        }
        let mut users = users();
        let added = users.add("low", Verifier::Plain([0; 32]));
        assert!(matches!(added, Err(AuthError::Twice { .. })));
        let added = users.add("third", argon2id(16, 3));
        assert!(matches!(added, Err(AuthError::Costs { .. })));
    }
}
