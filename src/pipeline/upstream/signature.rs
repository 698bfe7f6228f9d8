//! Who signed a commit, as the signature itself says: the key is named, not
//! proven. What proves the content is the lock's digests.

use base64::Engine as _;

/// The id of the key that made an ASCII-armoured OpenPGP signature: the
/// fingerprint's or the issuer's last 16 hex digits, upper-case (RFC 9580,
/// sections 5.2.3.12 and 5.2.3.35). `None` where the text is no such signature.
#[must_use]
pub fn signer(armoured: &str) -> Option<String> {
    let packet = dearmour(armoured)?;
    let body = signature_packet(&packet)?;
    let id = match *body.first()? {
        3 => body.get(7..15)?.to_vec(),
        4 => issuer(subpacket_areas(body, 2)?)?,
        6 => issuer(subpacket_areas(body, 4)?)?,
        _ => return None,
    };
    Some(crate::digest::hex(&id).to_uppercase())
}

/// The bytes between the header lines and the checksum of an armour.
fn dearmour(armoured: &str) -> Option<Vec<u8>> {
    let mut lines = armoured.lines().map(str::trim);
    lines.find(|line| *line == "-----BEGIN PGP SIGNATURE-----")?;
    let mut encoded = String::new();
    for line in lines {
        if line.starts_with("-----END") {
            return base64::engine::general_purpose::STANDARD.decode(encoded).ok();
        }
        // Header lines hold a colon, the checksum line starts with an equals sign.
        if !line.contains(": ") && !line.starts_with('=') {
            encoded.push_str(line);
        }
    }
    None
}

/// The body of the first packet, if it is a signature (tag 2).
fn signature_packet(bytes: &[u8]) -> Option<&[u8]> {
    let (&head, rest) = bytes.split_first()?;
    if head & 0x80 == 0 {
        return None;
    }
    let (tag, length, rest) = if head & 0x40 == 0 {
        let octets = match head & 3 {
            0 => 1,
            1 => 2,
            2 => 4,
            _ => return (head >> 2 & 15 == 2).then_some(rest),
        };
        (head >> 2 & 15, number(rest, octets)?, rest.get(octets..)?)
    } else {
        let (length, rest) = length(rest)?;
        (head & 63, length, rest)
    };
    (tag == 2).then(|| rest.get(..length)).flatten()
}

/// The hashed and the unhashed subpackets; their lengths take `octets` each.
fn subpacket_areas(body: &[u8], octets: usize) -> Option<[&[u8]; 2]> {
    let hashed_length = number(body.get(4..)?, octets)?;
    let after = body.get(4 + octets..)?;
    let hashed = after.get(..hashed_length)?;
    let after = after.get(hashed_length..)?;
    let unhashed = after.get(octets..)?.get(..number(after, octets)?)?;
    Some([hashed, unhashed])
}

/// The key id that the subpackets name: a fingerprint (type 33) before a mere
/// id (type 16).
fn issuer(areas: [&[u8]; 2]) -> Option<Vec<u8>> {
    let mut id = None;
    for mut area in areas {
        while !area.is_empty() {
            let (size, rest) = length(area)?;
            let (&kind, value) = rest.get(..size)?.split_first()?;
            match kind & 0x7f {
                33 => {
                    let (&version, fingerprint) = value.split_first()?;
                    let id = match version {
                        4 => fingerprint.get(12..20)?,
                        _ => fingerprint.get(..8)?,
                    };
                    return Some(id.to_vec());
                }
                16 => id = value.get(..8).map(<[u8]>::to_vec),
                _ => {}
            }
            area = rest.get(size..)?;
        }
    }
    id
}

/// A length of one, two or five octets (RFC 9580, section 4.2.1) and what follows it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        0..192 => Some((usize::from(first), rest)),
        192..224 => {
            let (&second, rest) = rest.split_first()?;
            Some((((usize::from(first) - 192) << 8) + usize::from(second) + 192, rest))
        }
        255 => Some((number(rest, 4)?, rest.get(4..)?)),
        // Partial lengths are not allowed in a signature.
        _ => None,
    }
}

/// A big-endian number of so many octets.
fn number(bytes: &[u8], octets: usize) -> Option<usize> {
    Some(bytes.get(..octets)?.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armour(packet: &[u8]) -> String {
        let encoded = base64::engine::general_purpose::STANDARD.encode(packet);
        format!(
            "-----BEGIN PGP SIGNATURE-----\nVersion: 1\n\n{encoded}\n=abcd\n-----END PGP SIGNATURE-----\n"
        )
    }

    fn version_4(hashed: &[u8], unhashed: &[u8]) -> Vec<u8> {
        let mut body = vec![4, 0, 1, 8, 0, u8::try_from(hashed.len()).unwrap()];
        body.extend_from_slice(hashed);
        body.extend_from_slice(&[0, u8::try_from(unhashed.len()).unwrap()]);
        body.extend_from_slice(unhashed);
        body.extend_from_slice(&[1, 2, 3, 4]);
        let mut packet = vec![0xc2, u8::try_from(body.len()).unwrap()];
        packet.extend_from_slice(&body);
        packet
    }

    #[test]
    fn the_fingerprint_goes_before_the_issuer() {
        let mut fingerprint = vec![22, 33, 4];
        fingerprint.extend(1..=20_u8);
        let issuer = [9, 16, 0xb5, 0x69, 0x0e, 0xee, 0xbb, 0x95, 0x21, 0x94];
        let with_both = version_4(&issuer, &fingerprint);
        assert_eq!(signer(&armour(&with_both)).as_deref(), Some("0D0E0F1011121314"));
        let with_issuer = version_4(&[], &issuer);
        assert_eq!(signer(&armour(&with_issuer)).as_deref(), Some("B5690EEEBB952194"));
        assert_eq!(signer(&armour(&version_4(&[], &[]))), None);
    }

    #[test]
    fn what_is_no_signature_names_nobody() {
        for text in ["", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----"] {
            assert_eq!(signer(text), None);
        }
        let whole = version_4(&[], &[9, 16, 1, 2, 3, 4, 5, 6, 7, 8]);
        for cut in 0..whole.len() {
            assert_eq!(signer(&armour(whole.get(..cut).unwrap())), None, "{cut}");
        }
    }
}
