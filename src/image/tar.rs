/// One record of a tar file.
const RECORD: usize = 512;

/// Writes a tar file (POSIX.1-1988, `ustar`) in which nothing depends on the
/// machine: entries are in the order in which they are added, times are one.
pub(super) struct Tar {
    bytes: Vec<u8>,
    time: u64,
}

impl Tar {
    pub(super) fn new(time: u64) -> Self {
        Self { bytes: Vec::new(), time }
    }

    /// Adds a folder; a name has at most 99 bytes.
    pub(super) fn folder(&mut self, name: &str, owner: u32) {
        self.header(&format!("{name}/"), b'5', 0o755, owner, 0);
    }

    /// Adds a file that belongs to root.
    pub(super) fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.header(name, b'0', mode, 0, content.len());
        self.bytes.extend_from_slice(content);
        self.fill();
    }

    /// The whole file.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 2 * RECORD, 0);
        self.bytes
    }

    fn header(&mut self, name: &str, kind: u8, mode: u32, owner: u32, size: usize) {
        let start = self.bytes.len();
        self.field(name.as_bytes(), 100);
        self.octal(u64::from(mode), 8);
        self.octal(u64::from(owner), 8);
        self.octal(u64::from(owner), 8);
        self.octal(size as u64, 12);
        self.octal(self.time, 12);
        let sum = self.bytes.len();
        self.field(b"        ", 8);
        self.field(&[kind], 1);
        self.field(b"", 100);
        self.field(b"ustar\x0000", 8);
        self.fill();
        // The sum is that of the header with spaces in the sum's own place.
        let header = self.bytes.get(start..).unwrap_or_default();
        let total: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        let text = format!("{total:06o}\0 ");
        self.bytes.splice(sum..sum + 8, text.into_bytes());
    }

    /// A text, with zeros up to its width.
    fn field(&mut self, text: &[u8], width: usize) {
        let end = self.bytes.len() + width;
        self.bytes.extend(text.iter().take(width));
        self.bytes.resize(end, 0);
    }

    fn octal(&mut self, number: u64, width: usize) {
        self.field(format!("{number:0digits$o}", digits = width - 1).as_bytes(), width);
    }

    /// Zeros up to the next record.
    fn fill(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(RECORD), 0);
    }
}
