/// Why a file can't be the only program of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// It is no program of Linux.
    #[error("it is no 64-bit ELF program")]
    Foreign,
    /// It is one for a machine that is not known here.
    #[error("it is for the machine {0}, which is neither x86-64 (62) nor AArch64 (183)")]
    Machine(u16),
    /// It needs a loader and libraries, which the image doesn't have.
    #[error("it is linked dynamically; build it with RUSTFLAGS='-C target-feature=+crt-static'")]
    Dynamic,
}

/// The name that images have for the machine of a static program.
///
/// # Errors
/// [`ElfError`].
pub fn architecture(program: &[u8]) -> Result<&'static str, ElfError> {
    const INTERPRETER: u32 = 3;
    let word = |at: usize| {
        let bytes = program.get(at..at.checked_add(2)?)?;
        Some(u16::from_le_bytes(bytes.try_into().ok()?))
    };
    // 64 bits, least significant byte first.
    if program.get(..6) != Some(b"\x7fELF\x02\x01") {
        return Err(ElfError::Foreign);
    }
    let machine = word(18).ok_or(ElfError::Foreign)?;
    let headers = program
        .get(32..40)
        .and_then(|bytes| usize::try_from(u64::from_le_bytes(bytes.try_into().ok()?)).ok())
        .ok_or(ElfError::Foreign)?;
    let (size, count) = (word(54).ok_or(ElfError::Foreign)?, word(56).ok_or(ElfError::Foreign)?);
    for number in 0..usize::from(count) {
        let header = headers.saturating_add(number * usize::from(size));
        let kind = program.get(header..header.saturating_add(4)).ok_or(ElfError::Foreign)?;
        if kind == INTERPRETER.to_le_bytes() {
            return Err(ElfError::Dynamic);
        }
    }
    match machine {
        62 => Ok("amd64"),
        183 => Ok("arm64"),
        other => Err(ElfError::Machine(other)),
    }
}
