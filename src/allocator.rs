//! jemalloc in the place of malloc, for the whole process. DuckDB plans a statement in many small pieces of memory, and
//! with glibc's malloc a question takes an eighth longer.

use std::ffi::{CStr, c_char};

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Freed memory goes back to the system: pieces of 4 MiB and more, such as large bodies, at once, others within a third
/// of a second. There is no thread that sees to it, as there must be one alone when a process is confined: it happens
/// while others ask for memory and free it.
const OPTIONS: &CStr = c"dirty_decay_ms:300,muzzy_decay_ms:0,oversize_threshold:4194304";

/// What jemalloc reads before it gives the first piece, see `TUNING` in jemalloc(3).
#[expect(unsafe_code, reason = "jemalloc finds it by this name")]
#[unsafe(export_name = "malloc_conf")]
static READ_AT_START: Pointer = Pointer(OPTIONS.as_ptr());

#[repr(transparent)]
struct Pointer(*const c_char);

#[expect(unsafe_code, reason = "a pointer is not Sync by itself")]
// SAFETY: what it points to is a constant.
unsafe impl Sync for Pointer {}
