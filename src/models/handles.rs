//! A table that many threads use at once.

use std::sync::Arc;

use super::{check, thread};
use crate::handles::Handles;

#[test]
fn handle_is_removed_once_and_invalid_for_all() {
    check(|| {
        let table = Arc::new(Handles::new());
        let id = table.insert(7).unwrap();
        let removers = [(); 2].map(|()| {
            let table = table.clone();
            thread::spawn(move || {
                let removed = table.remove(id);
                assert_eq!(table.get(id), None);
                // Usually in the same slot.
                let next = table.insert(8).unwrap();
                assert_ne!(next, id);
                assert_eq!(table.get(next), Some(8));
                assert_eq!(table.remove(next), Some(8));
                removed
            })
        });
        assert!(matches!(table.get(id), None | Some(7)), "never the value of another handle");
        let removed = removers.map(|remover| remover.join().unwrap());
        assert_eq!(removed.iter().flatten().collect::<Vec<_>>(), [&7]);
        assert!(table.is_empty());
    });
}

#[test]
fn remove_all_removes_earlier_values() {
    check(|| {
        let table = Arc::new(Handles::new());
        let inserters = [10, 20].map(|value| {
            let table = table.clone();
            thread::spawn(move || {
                let ids = [table.insert(value).unwrap(), table.insert(value + 1).unwrap()];
                let own = ids.map(|id| table.remove(id));
                table.shrink();
                own
            })
        });
        let mut seen = table.remove_all();
        for inserter in inserters {
            seen.extend(inserter.join().unwrap().into_iter().flatten());
        }
        seen.sort_unstable();
        assert_eq!(seen, [10, 11, 20, 21], "each value is returned once");
        assert!(table.is_empty());
    });
}
