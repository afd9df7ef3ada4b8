//! Headers of a record. The library panics on a header's name that is not UTF-8, and anyone may send
//! one.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use rdkafka::message::{BorrowedHeaders, Headers as _};

thread_local! {
    /// True if a panic of this thread is expected, and so not written to standard error.
    static IS_EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Name and value.
type Header<'a> = (&'a str, Option<&'a [u8]>);

/// The headers; `None` where a name is not UTF-8.
pub(super) fn read(headers: &BorrowedHeaders) -> Option<Vec<Header<'_>>> {
    without_panic(|| headers.iter().map(|header| (header.key, header.value)).collect())
}

/// The result of a function; `None` if it panics, without the panic message.
fn without_panic<T>(function: impl FnOnce() -> T) -> Option<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let tell = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_EXPECTED.get() {
                tell(panic);
            }
        }));
    });
    IS_EXPECTED.set(true);
    let result = catch_unwind(AssertUnwindSafe(function));
    IS_EXPECTED.set(false);
    result.ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn an_expected_panic_says_nothing_and_another_one_still_does() {
        const MARK: &str = "a panic of this test";
        let told = Arc::new(AtomicU32::new(0));
        let (count, tell) = (told.clone(), take_hook());
        set_hook(Box::new(move |panic| {
            // Other tests of this process may panic meanwhile.
            match panic.payload().downcast_ref::<&str>() {
                Some(&MARK) => _ = count.fetch_add(1, Ordering::SeqCst),
                _ => tell(panic),
            }
        }));
        assert_eq!(without_panic(|| 7), Some(7));
        assert_eq!(without_panic(|| panic!("{MARK}")), None::<()>);
        assert_eq!(told.load(Ordering::SeqCst), 0);
        assert!(catch_unwind(|| std::panic::panic_any(MARK)).is_err());
        assert_eq!(told.load(Ordering::SeqCst), 1);
    }
}
