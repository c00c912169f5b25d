//! A table that many threads use at once.

use std::sync::Arc;

use super::{check, thread};
use crate::handles::Handles;

#[test]
fn a_handle_is_removed_by_one_and_gone_for_all() {
    check(|| {
        let table = Arc::new(Handles::new());
        let id = table.insert(7).unwrap();
        let removers = [(); 2].map(|()| {
            let table = table.clone();
            thread::spawn(move || {
                let removed = table.remove(id);
                assert_eq!(table.get(id), None);
                // Most likely in the same slot.
                let next = table.insert(8).unwrap();
                assert_ne!(next, id);
                assert_eq!(table.get(next), Some(8));
                assert_eq!(table.remove(next), Some(8));
                removed
            })
        });
        assert!(matches!(table.get(id), None | Some(7)), "never the value of another");
        let removed = removers.map(|remover| remover.join().unwrap());
        assert_eq!(removed.iter().flatten().collect::<Vec<_>>(), [&7]);
        assert!(table.is_empty());
    });
}

#[test]
fn what_remove_all_leaves_was_inserted_after_it() {
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
        assert_eq!(seen, [10, 11, 20, 21], "each is handed out once");
        assert!(table.is_empty());
    });
}
