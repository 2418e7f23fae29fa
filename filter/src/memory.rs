//! The module's allocator: free lists by size, small and of one cost whatever is allocated.
//!
//! The standard library's own (dlmalloc) takes 8 KB of the module and a hundred instructions more per block. Here a
//! size is rounded up to one of four steps per doubling, a freed block waits in its step's list, and new blocks come
//! from the end of memory. Nothing is split or joined, so memory stays at the sum of what each step needed at most.
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr::null_mut;

const PAGE: usize = 1 << 16;
/// Blocks begin at multiples of this; nothing in the module asks for more.
const ALIGN: usize = 16;
/// Steps of 16 bytes up to 64, then four per doubling, up to 1 GiB.
const STEPS: usize = 4 + 4 * 24;

/// The allocator. WebAssembly without threads has one user of it at a time.
#[derive(Debug)]
pub struct Memory {
    free: [Cell<*mut u8>; STEPS],
    next: Cell<usize>,
    end: Cell<usize>,
}

#[global_allocator]
static MEMORY: Memory =
    Memory { free: [const { Cell::new(null_mut()) }; STEPS], next: Cell::new(0), end: Cell::new(0) };

// SAFETY: the target has no threads.
unsafe impl Sync for Memory {}

/// The step of a size, and how much a block of it holds.
fn step(size: usize) -> Option<(usize, usize)> {
    if size <= 64 {
        let step = size.saturating_sub(1) >> 4;
        return Some((step, step.wrapping_add(1) << 4));
    }
    // The highest bit of size - 1 gives the doubling, the two bits below it the quarter.
    let last = size.wrapping_sub(1);
    let doubling = last.ilog2();
    let quarter = doubling.wrapping_sub(2);
    let part = last >> quarter;
    let held = part.wrapping_add(1).checked_shl(quarter)?;
    let step = (doubling as usize).wrapping_sub(6).wrapping_mul(4).wrapping_add(part);
    (step < STEPS).then_some((step, held))
}

impl Memory {
    /// Fresh memory from the end; a rest that is too small for it is left.
    fn fresh(&self, size: usize) -> *mut u8 {
        if self.end.get().wrapping_sub(self.next.get()) < size {
            let pages = size.wrapping_add(PAGE).wrapping_sub(1) / PAGE;
            let before = core::arch::wasm32::memory_grow(0, pages);
            if before == usize::MAX {
                return null_mut();
            }
            let begin = before.wrapping_mul(PAGE);
            if begin != self.end.get() {
                self.next.set(begin);
            }
            self.end.set(begin.wrapping_add(pages.wrapping_mul(PAGE)));
        }
        let block = self.next.get();
        self.next.set(block.wrapping_add(size));
        block as *mut u8
    }
}

// SAFETY: a block is handed out once until it is given back, holds what was asked for, and begins at a multiple of 16.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((step, held)) = step(layout.size()).filter(|_| layout.align() <= ALIGN) else {
            return null_mut();
        };
        let Some(list) = self.free.get(step) else { return null_mut() };
        let block = list.get();
        if block.is_null() {
            return self.fresh(held);
        }
        // SAFETY: a free block's first word is the next free one.
        list.set(unsafe { block.cast::<*mut u8>().read() });
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(list) = step(layout.size()).and_then(|(step, _)| self.free.get(step)) {
            // SAFETY: the block is nobody's any more and has room for a word.
            unsafe { block.cast::<*mut u8>().write(list.get()) };
            list.set(block);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (Some((old, _)), Some((new, _))) = (step(layout.size()), step(size)) else { return null_mut() };
        if old == new {
            return block;
        }
        // SAFETY: as in alloc; the smaller of both sizes is copied from one block to another.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}
