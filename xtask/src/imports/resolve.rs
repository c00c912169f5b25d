//! Finds the file that defines what a path names, through re-exports.

use super::source::{Import, Module};

/// What a path names: a module, or an item of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Target {
    module: usize,
    is_item: bool,
    /// The module that the path names: another than `module` if it re-exports what is outside its own
    /// top-level module.
    through: usize,
}

impl Target {
    fn module(module: usize) -> Self {
        Self { module, is_item: false, through: module }
    }

    fn item(module: usize) -> Self {
        Self { module, is_item: true, through: module }
    }
}

/// One file that imports another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    pub from: String,
    pub line: usize,
    /// As it is written.
    pub path: String,
    /// The file that defines what the path names.
    pub to: String,
    /// The module that counts as imported in the table: the one that defines it, or the other top-level
    /// module that re-exports it.
    pub module: Vec<String>,
    /// Passed on to others and not used by the file itself.
    pub is_reexport: bool,
}

/// No chain of re-exports is longer.
const MAX_DEPTH: usize = 16;

pub fn edges(modules: &[Module]) -> Vec<Edge> {
    let mut edges = Vec::new();
    for (at, module) in modules.iter().enumerate() {
        let mut add = |path: &[String], line: usize, is_reexport: bool, target: Target| {
            let to = &modules[target.module].file;
            if *to != module.file {
                edges.push(Edge {
                    from: module.file.clone(),
                    line,
                    path: path.join("::"),
                    to: to.clone(),
                    module: modules[target.through].path.clone(),
                    is_reexport,
                });
            }
        };
        for import in &module.imports {
            let is_reexport = import.is_public && !module.words.contains(&import.name);
            let is_qualifier = module.mentions.iter().any(|mention| mention.path[0] == import.name);
            for target in resolve(modules, at, &import.path) {
                // What follows the name of a module tells which file defines it.
                if target.is_item || !is_qualifier || is_reexport {
                    add(&import.path, import.line, is_reexport, target);
                }
            }
        }
        for mention in &module.mentions {
            // An item that is imported by name has been counted there.
            let first = module.imports.iter().find(|import| import.name == mention.path[0]);
            let is_counted = first
                .is_some_and(|import| resolve(modules, at, &import.path).iter().all(|target| target.is_item));
            for target in resolve(modules, at, &mention.path).into_iter().filter(|_| !is_counted) {
                add(&mention.path, mention.line, false, target);
            }
        }
    }
    edges
}

/// Returns what a path in the module `from` names: nothing for another crate, several if the name is
/// bound under several conditions.
fn resolve(modules: &[Module], from: usize, path: &[String]) -> Vec<Target> {
    Search { modules, from }.walk(from, path, 0)
}

struct Search<'a> {
    modules: &'a [Module],
    from: usize,
}

impl<'a> Search<'a> {
    fn module(&self, path: &[String]) -> Option<usize> {
        self.modules.iter().position(|module| module.path == path)
    }

    fn child(&self, of: usize, name: &str) -> Option<usize> {
        let parent = &self.modules[of];
        parent.children.iter().any(|child| child == name).then(|| {
            let mut path = parent.path.clone();
            path.push(name.to_owned());
            self.module(&path)
        })?
    }

    fn bindings(&self, of: usize, name: &'a str) -> impl Iterator<Item = &'a Import> {
        let is_visible = move |import: &&Import| import.name == name && (!import.is_local || of == self.from);
        self.modules[of].imports.iter().filter(is_visible)
    }

    fn walk(&self, begin: usize, path: &'a [String], depth: usize) -> Vec<Target> {
        let mut here = begin;
        for (at, name) in path.iter().enumerate() {
            let module = &self.modules[here];
            match name.as_str() {
                "crate" => here = 0,
                "self" => {}
                "super" => {
                    here = match module.path.split_last().and_then(|(_, parent)| self.module(parent)) {
                        Some(parent) => parent,
                        None => return Vec::new(),
                    };
                }
                name => {
                    if let Some(child) = self.child(here, name) {
                        here = child;
                        continue;
                    }
                    if module.defined.contains(name) || depth == MAX_DEPTH {
                        return vec![Target::item(here)];
                    }
                    let through = self.through_imports(here, name, &path[at + 1..], depth);
                    return match through {
                        Some(targets) => targets,
                        // The first name of a path may be a crate, a type parameter or a local name.
                        None if at == 0 => Vec::new(),
                        // A macro may have defined it.
                        None => vec![Target::item(here)],
                    };
                }
            }
        }
        vec![Target::module(here)]
    }

    /// Follows the imports of a module that bind `name`, and then the rest of the path.
    fn through_imports(
        &self,
        here: usize,
        name: &'a str,
        rest: &'a [String],
        depth: usize,
    ) -> Option<Vec<Target>> {
        let mut found = Vec::new();
        let mut is_bound = false;
        for import in self.bindings(here, name) {
            is_bound = true;
            // `use name::item as name` must not find itself.
            if import.path[0] == name && self.child(here, name).is_none() {
                continue;
            }
            for target in self.walk(here, &import.path, depth + 1) {
                if target.is_item {
                    found.push(target);
                    continue;
                }
                let is_reexported = target.through != target.module;
                found.extend(self.walk(target.module, rest, depth + 1).into_iter().map(|inner| Target {
                    through: if is_reexported { target.through } else { inner.through },
                    ..inner
                }));
            }
        }
        if !is_bound {
            let globs = self.bindings(here, "*").flat_map(|glob| self.walk(here, &glob.path, depth + 1));
            let glob =
                globs.filter(|target| !target.is_item).find(|target| self.binds(target.module, name))?.module;
            found = match self.child(glob, name) {
                Some(child) => self.walk(child, rest, depth + 1),
                None if self.modules[glob].defined.contains(name) => vec![Target::item(glob)],
                None => self.through_imports(glob, name, rest, depth + 1)?,
            };
        }
        for target in &mut found {
            if here != self.from && self.top_level(here) != self.top_level(target.through) {
                target.through = here;
            }
        }
        Some(found)
    }

    fn top_level(&self, module: usize) -> Option<&String> {
        self.modules[module].path.first()
    }

    fn binds(&self, module: usize, name: &'a str) -> bool {
        self.modules[module].defined.contains(name)
            || self.child(module, name).is_some()
            || self.bindings(module, name).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::read;
    use super::*;

    /// The edges of a crate of these files, as `from -> to`; `(to)` is only passed on.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let read_file =
            |file: &str| files.iter().find(|(name, _)| *name == file).map(|(_, text)| (*text).to_owned());
        let mut found: Vec<String> = edges(&read(&read_file).unwrap())
            .iter()
            .map(|edge| {
                let short = |file: &str| file.trim_start_matches("src/").trim_end_matches(".rs").to_owned();
                let to = if edge.is_reexport { format!("({})", short(&edge.to)) } else { short(&edge.to) };
                format!("{} -> {to}", short(&edge.from))
            })
            .collect();
        found.sort();
        found.dedup();
        found
    }

    #[test]
    fn declaring_a_module_is_no_import() {
        assert_eq!(found(&[("src/lib.rs", "mod a;"), ("src/a.rs", "")]), [] as [&str; 0]);
    }

    #[test]
    fn reexport_is_resolved_to_the_file_that_defines_the_item() {
        let files = [
            ("src/lib.rs", "mod a; mod user;"),
            ("src/a/mod.rs", "mod b; pub use b::{B, make as build}; pub struct A;"),
            ("src/a/b.rs", "use super::A; pub struct B; pub fn make() {}"),
            ("src/user.rs", "use crate::a::{B, build};"),
        ];
        assert_eq!(found(&files), ["a/b -> a/mod", "a/mod -> (a/b)", "user -> a/b"]);
    }

    #[test]
    fn reexport_that_the_file_uses_itself_is_an_import() {
        let files = [
            ("src/lib.rs", "mod a;"),
            ("src/a.rs", "mod b; pub use self::b::B; struct A(B);"),
            ("src/a/b.rs", "use super::A; pub struct B;"),
        ];
        assert_eq!(found(&files), ["a -> a/b", "a/b -> a"]);
    }

    #[test]
    fn reexport_chains_globs_and_conditions_are_followed() {
        let files = [
            ("src/lib.rs", "mod a; mod b; mod c; pub use c::*;"),
            ("src/a.rs", "pub struct A; pub mod deep { pub struct D; }"),
            ("src/b.rs", "#[cfg(x)] pub use crate::a::A as E; #[cfg(not(x))] pub use crate::c::C as E;"),
            ("src/c.rs", "use crate::a::A; pub struct C; fn f(a: A) { crate::A; crate::C; crate::b::E; }"),
        ];
        assert_eq!(found(&files), ["b -> (a)", "b -> (c)", "c -> a", "lib -> (c)"]);
    }

    #[test]
    fn table_counts_the_module_that_reexports_what_another_defines() {
        let files = [
            ("src/lib.rs", "mod a; mod facade; mod user;"),
            ("src/a.rs", "pub struct A;"),
            ("src/facade/mod.rs", "pub use crate::a::{self, A}; pub use b::B; mod b;"),
            ("src/facade/b.rs", "pub struct B;"),
            (
                "src/user.rs",
                "use crate::facade; use crate::facade::{A, B}; fn f(a: facade::A, b: facade::a::A) {}",
            ),
        ];
        let read_file =
            |file: &str| files.iter().find(|(name, _)| *name == file).map(|(_, text)| (*text).to_owned());
        let edges = edges(&read(&read_file).unwrap());
        let user = edges.iter().filter(|edge| edge.from == "src/user.rs");
        let found: Vec<String> =
            user.map(|edge| format!("{} {} {}", edge.path, edge.to, edge.module.join("/"))).collect();
        assert_eq!(
            found,
            [
                "crate::facade::A src/a.rs facade",
                "crate::facade::B src/facade/b.rs facade/b",
                "facade::A src/a.rs facade",
                "facade::a::A src/a.rs facade"
            ]
        );
    }

    #[test]
    fn qualified_name_counts_for_the_file_that_defines_it() {
        let files = [
            ("src/lib.rs", "mod a; mod user; mod other;"),
            ("src/a/mod.rs", "mod b; pub use b::B; pub const A: u8 = 0;"),
            ("src/a/b.rs", "pub struct B;"),
            ("src/user.rs", "use crate::a; fn f(b: a::B) {}"),
            ("src/other.rs", "use super::a; fn f() { m!(a) }"),
        ];
        assert_eq!(found(&files), ["a/mod -> (a/b)", "other -> a/mod", "user -> a/b"]);
    }

    #[test]
    fn children_are_used_without_an_import() {
        let files = [
            ("src/lib.rs", "mod a;"),
            ("src/a.rs", "mod b; fn f() { b::run(); std::mem::take(x); Self::f(); T::g() }"),
            (
                "src/a/b.rs",
                "pub fn run() { inner::g() } mod inner { use super::super::f; pub fn g() { f() } }",
            ),
        ];
        assert_eq!(found(&files), ["a -> a/b", "a/b -> a"]);
    }

    #[test]
    fn macros_count_for_the_file_that_defines_them() {
        let files = [
            ("src/lib.rs", "mod a; mod user;"),
            ("src/a.rs", "macro_rules! made { () => { $crate::a::f() } } pub(crate) use made; pub fn f() {}"),
            ("src/user.rs", "use super::a::made; made!(crate::a::f);"),
        ];
        assert_eq!(found(&files), ["user -> a"]);
    }

    #[test]
    fn names_of_other_crates_are_left_out() {
        let files = [
            ("src/lib.rs", "mod http; mod user;"),
            ("src/http.rs", "use http::Request; use std::io; fn f() { io::copy() }"),
            (
                "src/user.rs",
                "use http::Method; use super::http::Request; fn f() { http::x(); self::g() } fn g() {}",
            ),
        ];
        assert_eq!(found(&files), [] as [&str; 0]);
    }
}
