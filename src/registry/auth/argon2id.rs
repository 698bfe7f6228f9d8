use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;

/// The most memory that a hash may ask for, in KiB: what RFC 9106 recommends
/// where memory is scarce. As many checks as there are cores run at a time.
pub const MAX_MEMORY: u32 = 64 * 1024;
/// The most passes over it.
pub const MAX_PASSES: u32 = 16;
/// The most lanes; they are computed one after the other.
pub const MAX_LANES: u32 = 16;
/// How long a salt and a hash are, in bytes (RFC 9106, section 3.1, and no
/// more than anybody writes).
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=64;

/// What one check costs: the settings of a hash without its salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost {
    /// Memory in KiB.
    pub memory: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// Bytes of the hash.
    pub length: usize,
}

/// A hash as a users file holds it:
/// `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.
#[derive(Clone)]
pub struct Argon2id {
    text: String,
    cost: Cost,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Argon2id {
    /// Reads the hash.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence that begins with
    /// "the hash". It never holds the hash.
    pub fn parse(text: &str) -> Result<Self, String> {
        let damaged =
            || "is damaged: argon2id is `$argon2id$v=19$m=…,t=…,p=…$salt$hash`".to_owned();
        let mut parts = text.split('$').skip(1);
        let mut next = || parts.next().ok_or_else(damaged);
        let (kind, version, settings, salt, hash) = (next()?, next()?, next()?, next()?, next()?);
        if kind != "argon2id" || parts.next().is_some() {
            return Err(damaged());
        }
        if version != "v=19" {
            return Err("is not version 19 (1.3), the only one that is in use".to_owned());
        }
        let decode = |text: &str| {
            STANDARD_NO_PAD.decode(text).ok().filter(|bytes| LENGTHS.contains(&bytes.len()))
        };
        let (salt, hash) = decode(salt).zip(decode(hash)).ok_or_else(damaged)?;
        let cost = cost(settings, hash.len()).ok_or_else(damaged)?;
        cost.check()?;
        Ok(Self { text: text.to_owned(), cost, salt, hash })
    }

    /// Hashes a password; `None` where the settings are impossible.
    #[must_use]
    pub fn new(password: &str, salt: &[u8], cost: Cost) -> Option<Self> {
        let hash = cost.hash(password, salt)?;
        let Cost { memory, passes, lanes, .. } = cost;
        let [salt64, hash64] = [salt, &hash].map(|bytes| STANDARD_NO_PAD.encode(bytes));
        let text = format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt64}${hash64}");
        Some(Self { text, cost, salt: salt.to_owned(), hash })
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What a check costs.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Whether this is the password.
    #[must_use]
    pub fn verify(&self, password: &str) -> bool {
        let found = self.cost.hash(password, &self.salt);
        found.is_some_and(|found| found.ct_eq(&self.hash).into())
    }
}

impl Cost {
    /// How many KiB one check goes over.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        u64::from(self.memory) * u64::from(self.passes)
    }

    /// Does the work of a check that nobody waits for the answer of.
    pub fn burn(&self, password: &str) {
        std::hint::black_box(self.hash(password, &[0x5a; 16]));
    }

    /// Whether the settings are within what is possible and affordable.
    fn check(&self) -> Result<(), String> {
        let within = |what, value: u32, least: u32, most: u32| {
            (least..=most).contains(&value).then_some(()).ok_or_else(|| {
                format!(
                    "asks for {what}={value}, and {least} to {most} are possible: more would let \
                     a few logins occupy the machine"
                )
            })
        };
        within("p", self.lanes, 1, MAX_LANES)?;
        within("m", self.memory, 8 * self.lanes, MAX_MEMORY)?;
        within("t", self.passes, 1, MAX_PASSES)
    }

    fn hash(&self, password: &str, salt: &[u8]) -> Option<Vec<u8>> {
        let params = Params::new(self.memory, self.passes, self.lanes, Some(self.length)).ok()?;
        let mut hash = vec![0; self.length];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password.as_bytes(), salt, &mut hash)
            .ok()
            .map(|()| hash)
    }
}

/// Reads `m=19456,t=2,p=1`, in this order.
fn cost(text: &str, length: usize) -> Option<Cost> {
    let mut settings = text.split(',');
    let mut number = |name| settings.next()?.strip_prefix(name)?.parse().ok();
    let cost = Cost { memory: number("m=")?, passes: number("t=")?, lanes: number("p=")?, length };
    settings.next().is_none().then_some(cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the reference implementation's command writes for `password` and
    /// the salt `somesalt`.
    const HASH: &str =
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    #[test]
    fn verifies_what_the_reference_implementation_wrote() {
        let hash = Argon2id::parse(HASH).unwrap();
        assert!(hash.verify("password"));
        assert_eq!(Argon2id::new("password", b"somesalt", hash.cost()).unwrap().text(), HASH);
        assert!(!hash.verify("Password"));
        assert_eq!(hash.cost().blocks(), 512);
    }

    #[test]
    fn what_is_none_or_costs_too_much_is_refused() {
        for (from, to, expected) in [
            ("argon2id", "argon2i", "is damaged"),
            ("v=19", "v=16", "version 19"),
            ("m=256", "m=65537", "m=65537"),
            ("m=256", "m=7", "m=7"),
            ("t=2", "t=17", "t=17"),
            ("t=2", "t=0", "t=0"),
            ("p=1", "p=17", "p=17"),
            ("p=1", "p=1,keyid=x", "is damaged"),
            ("c29tZXNhbHQ", "!", "is damaged"),
            ("c29tZXNhbHQ", "c29t", "is damaged"),
            ("/4", "/4$more", "is damaged"),
        ] {
            let error = Argon2id::parse(&HASH.replacen(from, to, 1)).map(|_| ()).unwrap_err();
            assert!(error.contains(expected), "{to}: {error}");
            assert!(!error.contains("nf65EOg"), "{error}");
        }
    }
}
