//! Bytes that all connections share: whoever needs some waits until there are enough, first come, first served.

use std::future::Future;
use std::sync::Arc;

use crate::rt::Semaphore;

/// So many bytes for all together.
#[derive(Debug)]
pub(crate) struct Budget {
    free: Semaphore,
    all: usize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Budget {
        let all = bytes.clamp(1, u32::MAX as usize);
        Budget { free: Semaphore::new(all), all }
    }

    /// Takes bytes if they are free now. What takes more than there is in all gets everything. The amount taken must be
    /// given back.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<usize> {
        let bytes = bytes.min(self.all);
        let permit = self.free.try_acquire_many(bytes as u32).ok()?;
        permit.forget();
        Some(bytes)
    }

    /// Takes bytes as soon as they are free. Giving up the wait takes nothing.
    pub(crate) fn take(&self, bytes: usize) -> impl Future<Output = usize> + Send + '_ {
        let bytes = bytes.min(self.all);
        async move {
            let permit = self.free.acquire_many(bytes as u32).await.expect("the semaphore is never closed");
            permit.forget();
            bytes
        }
    }

    /// Gives back what was taken.
    pub(crate) fn give(&self, bytes: usize) {
        if bytes > 0 {
            self.free.add_permits(bytes);
        }
    }

    /// Bytes that are taken.
    pub(crate) fn taken(&self) -> usize {
        self.all - self.free.available_permits()
    }
}

/// Bytes taken from a budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Taken {
    /// See [`Budget::try_take`].
    pub(crate) fn try_from(budget: &Arc<Budget>, bytes: usize) -> Option<Taken> {
        let bytes = budget.try_take(bytes)?;
        Some(Taken { budget: Arc::clone(budget), bytes })
    }

    /// See [`Budget::take`].
    pub(crate) async fn from(budget: &Arc<Budget>, bytes: usize) -> Taken {
        let bytes = budget.take(bytes).await;
        Taken { budget: Arc::clone(budget), bytes }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.budget.give(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_must_be_given_back_before_more_can_be_taken() {
        let budget = Budget::new(100);
        assert_eq!(budget.try_take(60), Some(60));
        assert_eq!(budget.try_take(60), None);
        budget.give(60);
        assert_eq!(budget.try_take(1000), Some(100), "more than there is takes everything, alone");
        assert_eq!(budget.try_take(1), None);
        budget.give(100);
        assert_eq!(budget.taken(), 0);
    }

    #[test]
    fn what_is_dropped_is_given_back() {
        let budget = Arc::new(Budget::new(100));
        let taken = Taken::try_from(&budget, 60).expect("there is enough");
        assert!(Taken::try_from(&budget, 60).is_none());
        drop(taken);
        assert_eq!(budget.taken(), 0);
    }
}
