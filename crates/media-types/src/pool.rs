//! Reuse of picture memory: a 720p picture is 1.4 MB, and giving it back to the system thirty times a second costs page
//! faults that show in the CPU figures.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{FrameSize, I420Buffer};

/// How many unused pictures a pool keeps. A pipeline stage holds one or two at a time; more would only be memory.
const MAX_FREE: usize = 4;

#[derive(Debug, Default)]
pub(crate) struct FreeList(Mutex<Vec<Vec<u8>>>);

impl FreeList {
    pub(crate) fn give_back(&self, data: Vec<u8>) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < MAX_FREE {
            free.push(data);
        }
    }
}

/// Hands out picture buffers and takes their memory back when they are dropped. Cloning shares the pool.
#[derive(Clone, Debug, Default)]
pub struct FramePool {
    free: Arc<FreeList>,
}

impl FramePool {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// A buffer of `size` with undefined contents (whatever picture was in it last): the caller writes every sample.
    pub fn take(&self, size: FrameSize) -> I420Buffer {
        let data = self.free.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        I420Buffer::recycled(size, data, Arc::downgrade(&self.free))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_when_a_buffer_is_dropped() {
        let pool = FramePool::new();
        let size = FrameSize::new(64, 64).unwrap();
        let first = pool.take(size);
        let address = first.packed().as_ptr();
        drop(first);
        assert_eq!(pool.take(size).packed().as_ptr(), address);
    }

    #[test]
    fn a_pool_keeps_no_more_than_its_bound_and_may_go_first() {
        let pool = FramePool::new();
        let size = FrameSize::new(64, 64).unwrap();
        let many: Vec<_> = (0..MAX_FREE + 3).map(|_| pool.take(size)).collect();
        drop(many);
        assert_eq!(pool.free.0.lock().unwrap().len(), MAX_FREE);
        let last = pool.take(FrameSize::new(32, 16).unwrap());
        drop(pool);
        assert_eq!(last.packed().len(), 32 * 16 * 3 / 2);
    }
}
