//! Lists of the names of an operating system that the library may use: `xtask/phones/*.txt`.
//!
//! A linker for Android or iOS needs the system's libraries, which only the NDK or Xcode contain. It reads nothing
//! but their names, so stub libraries are enough. Because the stubs contain only the names in the list, a name that is
//! not there cannot be used by accident.

use std::collections::{BTreeMap, BTreeSet};

use crate::files;
use crate::run::Outcome;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub name: String,
    pub is_variable: bool,
    /// May be missing on the oldest system: references to it have to be weak.
    pub is_weak: bool,
}

/// Names by the library that defines them.
#[derive(Debug)]
pub struct SystemNames(pub BTreeMap<String, Vec<Name>>);

impl SystemNames {
    pub fn read(path: &str) -> Outcome<Self> {
        Self::parse(&files::text(path)?).map_err(|problem| format!("{path}: {problem}"))
    }

    pub fn parse(text: &str) -> Outcome<Self> {
        let mut libraries: BTreeMap<String, Vec<Name>> = BTreeMap::new();
        let mut library = None;
        let mut seen = BTreeSet::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                libraries.entry(name.to_owned()).or_default();
                library = Some(name.to_owned());
                continue;
            }
            let library = library.as_ref().ok_or_else(|| format!("{line} is in no library"))?;
            let mut words = line.split(' ');
            let name = words.next().unwrap_or_default().to_owned();
            let marks: Vec<&str> = words.collect();
            if let Some(unknown) = marks.iter().find(|mark| !["variable", "weak"].contains(mark)) {
                return Err(format!("{name}: unknown mark {unknown}"));
            }
            if !seen.insert(name.clone()) {
                return Err(format!("{name} is listed twice"));
            }
            let (is_variable, is_weak) = (marks.contains(&"variable"), marks.contains(&"weak"));
            libraries.entry(library.clone()).or_default().push(Name { name, is_variable, is_weak });
        }
        Ok(Self(libraries))
    }

    pub fn libraries(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Fails unless all undefined names of a library are in the list. The flag says whether the reference is weak.
    pub fn cover<'a>(&self, undefined: impl Iterator<Item = (&'a str, bool)>) -> Outcome {
        let known: BTreeMap<&str, &Name> =
            self.0.values().flatten().map(|name| (name.name.as_str(), name)).collect();
        let (mut unknown, mut strong) = (BTreeSet::new(), BTreeSet::new());
        for (name, is_weak) in undefined {
            match known.get(name) {
                None => drop(unknown.insert(name)),
                Some(listed) if listed.is_weak && !is_weak => drop(strong.insert(name)),
                Some(_) => {}
            }
        }
        match (unknown.is_empty(), strong.is_empty()) {
            (true, true) => Ok(()),
            (false, _) => Err(format!("needs names that are not in the list: {unknown:?}")),
            _ => Err(format!("needs names that old systems lack, and not weakly: {strong:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# C\n[libc.so]\nmalloc\nstderr variable\ngetrandom weak\n\n[libm.so]\n";

    #[test]
    fn list_is_read_by_library() {
        let names = SystemNames::parse(LIST).unwrap();
        assert_eq!(names.libraries().collect::<Vec<_>>(), ["libc.so", "libm.so"]);
        assert_eq!(names.0["libc.so"].len(), 3);
        assert!(names.0["libc.so"][1].is_variable && names.0["libc.so"][2].is_weak);
        for (wrong, problem) in [
            ("malloc\n", "in no library"),
            ("[a]\nmalloc old\n", "unknown mark"),
            ("[a]\nmalloc\n[b]\nmalloc\n", "listed twice"),
        ] {
            assert!(SystemNames::parse(wrong).unwrap_err().contains(problem));
        }
    }

    #[test]
    fn unlisted_and_strong_names_are_refused() {
        let names = SystemNames::parse(LIST).unwrap();
        assert_eq!(names.cover([("malloc", false), ("getrandom", true)].into_iter()), Ok(()));
        let problem = names.cover([("malloc", false), ("aligned_alloc", true)].into_iter()).unwrap_err();
        assert!(problem.contains("not in the list: {\"aligned_alloc\"}"), "{problem}");
        let problem = names.cover([("getrandom", false)].into_iter()).unwrap_err();
        assert!(problem.contains("not weakly: {\"getrandom\"}"), "{problem}");
    }

    #[test]
    fn committed_lists_can_be_read() {
        for path in ["xtask/phones/bionic-api21.txt", "xtask/phones/ios13.txt"] {
            assert!(SystemNames::read(path).unwrap().0.values().flatten().count() > 50, "{path}");
        }
    }
}
