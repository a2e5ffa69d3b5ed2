//! An ordered table of rows that can be copied cheaply: a copy shares its rows until one is changed.
//!
//! The seed copy, the delayed views and the difference between two states all rest on that.

use std::collections::BTreeMap;
use std::collections::btree_map::Iter;
use std::ops::Bound;
use std::sync::Arc;

/// Rows by id, in id order.
#[derive(Debug)]
pub struct Table<T> {
    rows: BTreeMap<String, Arc<T>>,
    /// Grows with every access that can change a row.
    version: u64,
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self { rows: self.rows.clone(), version: self.version }
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), version: 0 }
    }
}

impl<T: Clone> Table<T> {
    /// The row with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(id).map(AsRef::as_ref)
    }

    /// The row with this id, to be changed.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        let row = self.rows.get_mut(id).map(Arc::make_mut);
        self.version += u64::from(row.is_some());
        row
    }

    /// Adds or replaces a row.
    pub fn insert(&mut self, id: impl Into<String>, row: T) {
        self.version += 1;
        self.rows.insert(id.into(), Arc::new(row));
    }

    /// Takes a row away; true where there was one.
    pub fn remove(&mut self, id: &str) -> bool {
        let found = self.rows.remove(id).is_some();
        self.version += u64::from(found);
        found
    }

    /// Sets the change counter beyond that of another copy.
    pub(crate) fn outlast(&mut self, other: &Self) {
        self.version = self.version.max(other.version) + 1;
    }

    /// A number that grows with every change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Whether there is a row with this id.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.rows.contains_key(id)
    }

    /// All rows in id order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.rows.iter().map(|(id, row)| (id.as_str(), row.as_ref()))
    }

    /// All rows in id order, without their ids.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.rows.values().map(AsRef::as_ref)
    }

    /// The rows whose id is greater than `id`, in id order.
    pub fn after<'a>(&'a self, id: &str) -> impl Iterator<Item = (&'a str, &'a T)> + use<'a, T> {
        self.rows.range::<str, _>((Bound::Excluded(id), Bound::Unbounded)).map(|(id, row)| (id.as_str(), row.as_ref()))
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The ids whose row differs between `self` and `other`, in id order; shared rows are not looked at.
    pub(crate) fn changed<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let gone = other.rows.keys().filter(|id| !self.rows.contains_key(*id));
        let mut ids: Vec<&str> = differing(self.rows.iter(), other).chain(gone.map(String::as_str)).collect();
        ids.sort_unstable();
        ids
    }
}

fn differing<'a, T>(rows: Iter<'a, String, Arc<T>>, other: &'a Table<T>) -> impl Iterator<Item = &'a str> {
    rows.filter(|(id, row)| !other.rows.get(*id).is_some_and(|old| Arc::ptr_eq(old, row))).map(|(id, _)| id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_its_rows_when_the_original_changes() {
        let mut table = Table::default();
        table.insert("a", 1);
        table.insert("b", 2);
        let copy = table.clone();
        *table.get_mut("a").unwrap() = 5;
        table.remove("b");
        table.insert("c", 3);
        assert_eq!(copy.get("a"), Some(&1));
        assert_eq!(table.changed(&copy), ["a", "b", "c"]);
    }

    #[test]
    fn a_page_starts_after_the_given_id() {
        let mut table = Table::default();
        for id in ["a", "b", "c"] {
            table.insert(id, ());
        }
        let ids: Vec<_> = table.after("a").map(|(id, ())| id).collect();
        assert_eq!(ids, ["b", "c"]);
    }
}
