//! Frames and the blocks in them: bytes are refused, or a block that is written back as it was.
#![no_main]

use ledgerline::ledger::block::Block;
use ledgerline::ledger::embedded::frame;
use ledgerline::ledger::embedded::tail::Tail;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((header, payload)) = frame::whole(bytes) {
        let mut again = Vec::new();
        frame::encode(payload, header.durable, &mut again);
        assert_eq!(again, bytes[..again.len()], "one form of a frame");
    }
    let mut tail = Tail::new(0, bytes.len() as u64);
    tail.push(bytes, bytes.len());
    let _ = tail.is_acknowledged();
    // The checksum keeps a fuzzer out, so what is behind it is given the bytes too.
    if let Ok(block) = frame::unpack(bytes) {
        let _ = Block::decode(&block);
    }
    if let Ok(block) = Block::decode(bytes) {
        for (_, entry) in block.numbered_entries() {
            let written = entry.to_bytes();
            let again = ledgerline::ledger::Entry::decode(&written);
            assert_eq!(again.as_ref(), Ok(entry), "an entry comes back");
        }
    }
});
