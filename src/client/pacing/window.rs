//! So much in so long: what left in the last moments, by when it left.

use std::{collections::VecDeque, time::Duration};

/// The smallest share of a quota that is still used.
pub(super) const LEAST: f64 = 1.0 / 16.0;

/// A quota over a sliding window.
#[derive(Debug)]
pub(super) struct Window {
    most: u32,
    length: Duration,
    left: VecDeque<(Duration, u32)>,
    sum: u32,
}

impl Window {
    /// `most` in `length`. The window is taken a twentieth longer, since requests do not arrive as they leave.
    pub(super) fn new(most: u32, length: Duration) -> Self {
        Self { most, length: length + length / 20, left: VecDeque::new(), sum: 0 }
    }

    /// Until when a request of this cost has to wait, when only a share of the quota may be used. Less than one
    /// in a window is one in a longer window. What costs nothing waits for nothing.
    pub(super) fn wait(&self, now: Duration, cost: u32, share: f64) -> Option<Duration> {
        if cost == 0 {
            return None;
        }
        let wanted = f64::from(self.most) * share.max(LEAST);
        let (most, length) = if wanted < 1.0 { (1.0, self.length.div_f64(wanted)) } else { (wanted, self.length) };
        let mut sum = f64::from(self.sum + cost);
        let mut until = None;
        for (at, cost) in &self.left {
            let free = *at + length;
            if free > now {
                if sum <= most {
                    return until;
                }
                until = Some(free);
            }
            sum -= f64::from(*cost);
        }
        until
    }

    /// The quota is another one.
    pub(super) fn resize(&mut self, most: u32) {
        self.most = most;
    }

    /// The share of the quota that the last moments took.
    pub(super) fn used(&self, now: Duration) -> f64 {
        let inside = self.left.iter().filter(|(at, _)| *at + self.length > now);
        f64::from(inside.map(|(_, cost)| cost).sum::<u32>()) / f64::from(self.most.max(1))
    }

    /// A request for which `taken` was taken cost `cost`.
    pub(super) fn correct(&mut self, now: Duration, taken: u32, cost: u32) {
        if let Some(more) = cost.checked_sub(taken) {
            return self.take(now, more);
        }
        let mut less = taken - cost;
        for (_, cost) in self.left.iter_mut().rev() {
            let given = less.min(*cost);
            *cost -= given;
            self.sum -= given;
            less -= given;
        }
    }

    /// A request of this cost leaves.
    pub(super) fn take(&mut self, now: Duration, cost: u32) {
        let kept = self.length.saturating_mul(1 + 16 / self.most.max(1));
        while let Some((_, cost)) = self.left.pop_front_if(|(at, _)| *at + kept < now) {
            self.sum -= cost;
        }
        if cost > 0 {
            self.left.push_back((now, cost));
            self.sum += cost;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Window;

    const SECOND: Duration = Duration::from_secs(1);

    /// When `count` requests of one unit leave, each as soon as it may.
    fn departures(mut window: Window, count: usize, share: f64) -> Vec<Duration> {
        let mut now = Duration::ZERO;
        let mut left = Vec::new();
        for _ in 0..count {
            while let Some(until) = window.wait(now, 1, share) {
                assert!(until > now);
                now = until;
            }
            window.take(now, 1);
            left.push(now);
        }
        left
    }

    #[test]
    fn no_window_ever_holds_more_than_the_quota() {
        let left = departures(Window::new(5, 10 * SECOND), 40, 1.0);
        for (at, start) in left.iter().enumerate() {
            let inside = left.iter().skip(at).take_while(|it| **it < *start + 10 * SECOND).count();
            assert!(inside <= 5, "{inside} from {start:?}");
        }
        assert!(left[39] <= 75 * SECOND, "and the quota is used: {:?}", left[39]);
    }

    #[test]
    fn a_smaller_share_is_slower_down_to_less_than_one_in_a_window() {
        assert_eq!(departures(Window::new(4, 10 * SECOND), 3, 0.5)[2], Duration::from_millis(10_500));
        assert_eq!(departures(Window::new(1, SECOND), 2, 0.25)[1], Duration::from_millis(4_200));
    }

    #[test]
    fn what_was_taken_too_much_or_too_little_is_corrected() {
        let mut window = Window::new(10, 10 * SECOND);
        window.take(Duration::ZERO, 4);
        window.take(SECOND, 4);
        window.correct(SECOND, 4, 1);
        assert_eq!(window.used(SECOND), 0.5);
        window.correct(2 * SECOND, 1, 6);
        assert_eq!(window.used(2 * SECOND), 1.0);
        assert!(window.wait(2 * SECOND, 1, 1.0).is_some());
        assert_eq!(window.used(Duration::from_millis(10_500)), 0.6, "the first has passed");
        window.correct(11 * SECOND, 99, 0);
        assert_eq!(window.used(11 * SECOND), 0.0, "never less than nothing");
    }

    #[test]
    fn costs_count_and_one_that_is_larger_than_all_waits_for_an_empty_window() {
        let mut window = Window::new(10, 10 * SECOND);
        window.take(Duration::ZERO, 6);
        assert_eq!(window.wait(SECOND, 4, 1.0), None);
        let free = Some(Duration::from_millis(10_500));
        assert_eq!(window.wait(SECOND, 5, 1.0), free);
        assert_eq!(window.wait(SECOND, 99, 1.0), free);
        assert_eq!(window.wait(11 * SECOND, 99, 1.0), None);
        assert_eq!(window.wait(SECOND, 0, 0.5), None);
    }
}
