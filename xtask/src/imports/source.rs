//! Reads the modules of a crate: what each one declares, imports and mentions, without its tests.

use std::collections::HashSet;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::run::Outcome;

pub struct Module {
    /// Empty for the crate root.
    pub path: Vec<String>,
    pub file: String,
    pub children: Vec<String>,
    /// Items that the module defines.
    pub defined: HashSet<String>,
    pub imports: Vec<Import>,
    /// Qualified paths outside `use`.
    pub mentions: Vec<Mention>,
    /// Identifiers outside `use` that may name an import: no fields, methods and variants.
    pub words: HashSet<String>,
}

/// One name of a `use` tree.
pub struct Import {
    pub path: Vec<String>,
    /// The name that it binds; `*` for a glob.
    pub name: String,
    pub line: usize,
    pub is_public: bool,
    /// Inside a function.
    pub is_local: bool,
}

pub struct Mention {
    pub path: Vec<String>,
    pub line: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// Directly in a module.
    Items,
    /// Directly in the braces of an enum.
    Variants,
    Code,
}

/// Returns the text of a source file, if it exists.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads the crate whose root is `src/lib.rs`.
pub fn read(read_file: ReadFile<'_>) -> Outcome<Vec<Module>> {
    let mut reader = Reader { read_file, modules: Vec::new() };
    reader.file(Vec::new(), "src/lib.rs", "src")?;
    Ok(reader.modules)
}

struct Reader<'a> {
    read_file: ReadFile<'a>,
    modules: Vec<Module>,
}

impl Reader<'_> {
    /// Reads the file of a module; the files of its children are in `folder`.
    fn file(&mut self, path: Vec<String>, file: &str, folder: &str) -> Outcome {
        let text = (self.read_file)(file).ok_or_else(|| format!("{file} does not exist"))?;
        let tokens: TokenStream = text.parse().map_err(|error| format!("{file}: {error}"))?;
        self.module(path, file, folder, tokens)
    }

    fn module(&mut self, path: Vec<String>, file: &str, folder: &str, tokens: TokenStream) -> Outcome {
        self.modules.push(Module {
            path,
            file: file.into(),
            children: Vec::new(),
            defined: HashSet::new(),
            imports: Vec::new(),
            mentions: Vec::new(),
            words: HashSet::new(),
        });
        self.scan(self.modules.len() - 1, folder, tokens, Level::Items)
    }

    /// Scans the tokens of a module, or of a group inside it.
    fn scan(&mut self, module: usize, folder: &str, tokens: TokenStream, level: Level) -> Outcome {
        let are_items = level == Level::Items;
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let (mut at, mut is_public, mut is_enum, mut attribute) = (0, false, false, None);
        while at < tokens.len() {
            if let Some((content, next)) = attribute_at(&tokens, at) {
                if is_cfg_test(&content) {
                    at = end_of_item(&tokens, next);
                } else {
                    attribute = path_attribute(&content).or(attribute);
                    at = next;
                }
                continue;
            }
            let (was_public, path_attribute) = (is_public, attribute.take());
            is_public = false;
            match &tokens[at] {
                TokenTree::Group(group) => {
                    let are_variants = is_enum && group.delimiter() == Delimiter::Brace;
                    is_enum &= !are_variants;
                    let level = if are_variants { Level::Variants } else { Level::Code };
                    self.scan(module, folder, group.stream(), level)?;
                    at += 1;
                }
                TokenTree::Ident(word) => {
                    let following = tokens.get(at + 1);
                    let this = &mut self.modules[module];
                    match word.to_string().as_str() {
                        "pub" => {
                            is_public = true;
                            attribute = path_attribute;
                            // `pub(in crate::a)` is no import.
                            at += if is_group(following, Delimiter::Parenthesis) { 2 } else { 1 };
                        }
                        // `use<'a>` of an `impl` type is no import.
                        "use" if !is_punctuation(following, '<') => {
                            let end = end_of_statement(&tokens, at);
                            let mut leaves = Vec::new();
                            use_tree(&tokens[at + 1..end], &mut Vec::new(), &mut leaves);
                            this.imports.extend(leaves.into_iter().map(|(path, name, line)| Import {
                                path,
                                name,
                                line,
                                is_public: was_public,
                                is_local: !are_items,
                            }));
                            at = end + 1;
                        }
                        "mod" if are_items && matches!(following, Some(TokenTree::Ident(_))) => {
                            let name = tokens[at + 1].to_string();
                            this.children.push(name.clone());
                            self.child(module, folder, &name, path_attribute, tokens.get(at + 2))?;
                            at += 3;
                        }
                        "macro_rules" => {
                            if let Some(TokenTree::Ident(name)) = tokens.get(at + 2) {
                                this.defined.insert(name.to_string());
                            }
                            at += 1;
                        }
                        keyword @ ("fn" | "struct" | "enum" | "union" | "trait" | "type" | "const"
                        | "static") => {
                            is_enum |= keyword == "enum";
                            if let Some(TokenTree::Ident(name)) = following
                                && are_items
                            {
                                this.defined.insert(name.to_string());
                            }
                            // The name is none of an import.
                            at += if matches!(following, Some(TokenTree::Ident(_))) && keyword == "fn" {
                                2
                            } else {
                                1
                            };
                        }
                        first => {
                            let path = path_at(&tokens, at);
                            let length = path.len();
                            if length > 1 || (level != Level::Variants && !is_member(&tokens, at)) {
                                this.words.insert(first.to_owned());
                            }
                            if length > 1 && begins_path(&tokens, at) {
                                this.mentions.push(Mention { path, line: word.span().start().line });
                            }
                            at += 3 * length - 2;
                        }
                    }
                }
                _ => at += 1,
            }
        }
        Ok(())
    }

    fn child(
        &mut self,
        parent: usize,
        folder: &str,
        name: &str,
        path_attribute: Option<String>,
        body: Option<&TokenTree>,
    ) -> Outcome {
        let parent = &self.modules[parent];
        let mut path = parent.path.clone();
        path.push(name.to_owned());
        if self.modules.iter().any(|module| module.path == path) {
            // Declared twice under opposite conditions.
            return Ok(());
        }
        let own_folder = format!("{folder}/{name}");
        if let Some(TokenTree::Group(body)) = body {
            let file = parent.file.clone();
            return self.module(path, &file, &own_folder, body.stream());
        }
        if let Some(file) = path_attribute {
            let beside = parent.file.rsplit_once('/').map_or("", |(folder, _)| folder);
            return self.file(path, &format!("{beside}/{file}"), &own_folder);
        }
        let beside = format!("{folder}/{name}.rs");
        let inside = format!("{own_folder}/mod.rs");
        let file = if (self.read_file)(&beside).is_some() { beside } else { inside };
        self.file(path, &file, &own_folder)
    }
}

fn is_punctuation(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punctuation)) if punctuation.as_char() == sign)
}

fn is_group(token: Option<&TokenTree>, delimiter: Delimiter) -> bool {
    matches!(token, Some(TokenTree::Group(group)) if group.delimiter() == delimiter)
}

/// Returns the content of the attribute at `at`, and where it ends.
fn attribute_at(tokens: &[TokenTree], at: usize) -> Option<(Vec<TokenTree>, usize)> {
    if !is_punctuation(tokens.get(at), '#') {
        return None;
    }
    let at = at + 1 + usize::from(is_punctuation(tokens.get(at + 1), '!'));
    match tokens.get(at) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket => {
            Some((group.stream().into_iter().collect(), at + 1))
        }
        _ => None,
    }
}

fn is_cfg_test(attribute: &[TokenTree]) -> bool {
    matches!(attribute, [TokenTree::Ident(word), TokenTree::Group(condition)]
        if word == "cfg" && needs_test(&condition.stream().into_iter().collect::<Vec<_>>()))
}

/// Whether a condition of `cfg` holds in tests only.
fn needs_test(condition: &[TokenTree]) -> bool {
    match condition {
        [TokenTree::Ident(word)] => word == "test",
        [TokenTree::Ident(word), TokenTree::Group(group)] => {
            let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
            let mut parts =
                tokens.split(|token| is_punctuation(Some(token), ',')).filter(|part| !part.is_empty());
            (word == "all" && parts.any(needs_test)) || (word == "any" && parts.all(needs_test))
        }
        _ => false,
    }
}

/// Returns the file of `#[path = "file"]`.
fn path_attribute(attribute: &[TokenTree]) -> Option<String> {
    match attribute {
        [TokenTree::Ident(word), _, TokenTree::Literal(file)] if word == "path" => {
            Some(file.to_string().trim_matches('"').to_owned())
        }
        _ => None,
    }
}

/// Returns the index behind the item, statement, field or variant that begins at `at`.
fn end_of_item(tokens: &[TokenTree], mut at: usize) -> usize {
    const ITEMS: &[&str] = &[
        "fn",
        "impl",
        "mod",
        "struct",
        "enum",
        "union",
        "trait",
        "unsafe",
        "extern",
        "async",
        "const",
        "static",
        "type",
        "use",
        "let",
        "macro_rules",
    ];
    const WITH_SEMICOLON: &[&str] = &["static", "type", "use", "let"];
    while let Some((_, next)) = attribute_at(tokens, at) {
        at = next;
    }
    if matches!(&tokens.get(at), Some(TokenTree::Ident(word)) if *word == "pub") {
        at += if is_group(tokens.get(at + 1), Delimiter::Parenthesis) { 2 } else { 1 };
    }
    let first = tokens.get(at).map(ToString::to_string).unwrap_or_default();
    while let Some(token) = tokens.get(at) {
        at += 1;
        let ends = match token {
            TokenTree::Punct(sign) => {
                sign.as_char() == ';' || (sign.as_char() == ',' && !ITEMS.contains(&first.as_str()))
            }
            group => is_group(Some(group), Delimiter::Brace) && !WITH_SEMICOLON.contains(&first.as_str()),
        };
        if ends {
            break;
        }
    }
    at
}

/// Returns the index of the next semicolon.
fn end_of_statement(tokens: &[TokenTree], at: usize) -> usize {
    (at..tokens.len()).find(|at| is_punctuation(tokens.get(*at), ';')).unwrap_or(tokens.len())
}

/// Returns the path `a::b::c` that begins with the identifier at `at`; at least that identifier.
fn path_at(tokens: &[TokenTree], mut at: usize) -> Vec<String> {
    let mut path = vec![tokens[at].to_string()];
    while is_punctuation(tokens.get(at + 1), ':')
        && is_punctuation(tokens.get(at + 2), ':')
        && let Some(TokenTree::Ident(next)) = tokens.get(at + 3)
    {
        path.push(next.to_string());
        at += 3;
    }
    path
}

/// Whether the identifier at `at` is a field or a method: `.name`, `name:`.
fn is_member(tokens: &[TokenTree], at: usize) -> bool {
    let is_accessed = at > 0 && is_punctuation(tokens.get(at - 1), '.');
    is_accessed || (is_punctuation(tokens.get(at + 1), ':') && !is_punctuation(tokens.get(at + 2), ':'))
}

/// Whether the identifier at `at` is the first of its path, and no variable of a macro. A path that
/// begins with `::` names another crate.
fn begins_path(tokens: &[TokenTree], at: usize) -> bool {
    let before = |count: usize| at.checked_sub(count).and_then(|at| tokens.get(at));
    let is_qualified = is_punctuation(before(1), ':') && is_punctuation(before(2), ':');
    let is_variable =
        is_punctuation(before(1), '$') && !matches!(&tokens[at], TokenTree::Ident(word) if word == "crate");
    !is_qualified && !is_variable
}

/// Adds the path, the bound name and the line of each leaf.
fn use_tree(tokens: &[TokenTree], prefix: &mut Vec<String>, leaves: &mut Vec<(Vec<String>, String, usize)>) {
    let length = prefix.len();
    for (at, token) in tokens.iter().enumerate() {
        let line = token.span().start().line;
        match token {
            TokenTree::Group(group) => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                for branch in inner.split(|token| is_punctuation(Some(token), ',')) {
                    use_tree(branch, prefix, leaves);
                }
                prefix.truncate(length);
                return;
            }
            TokenTree::Punct(sign) if sign.as_char() == '*' => {
                leaves.push((prefix.clone(), "*".into(), line));
                prefix.truncate(length);
                return;
            }
            // `use ::name` is of another crate.
            TokenTree::Punct(_) if prefix.is_empty() && at == 0 => return,
            TokenTree::Ident(word) if word == "as" => break,
            TokenTree::Ident(word) if word == "self" && !prefix.is_empty() => {}
            TokenTree::Ident(word) => prefix.push(word.to_string()),
            _ => {}
        }
    }
    if let (Some(last), Some(token)) = (prefix.last(), tokens.last()) {
        let renamed = matches!(tokens, [.., TokenTree::Ident(word), _] if word == "as");
        let name = if renamed { token.to_string() } else { last.clone() };
        leaves.push((prefix.clone(), name, token.span().start().line));
    }
    prefix.truncate(length);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(text: &str) -> Module {
        let read_file = |file: &str| (file == "src/lib.rs").then(|| text.to_owned());
        read(&read_file).unwrap().remove(0)
    }

    fn imports(text: &str) -> Vec<String> {
        let imports = module(text).imports;
        imports.iter().map(|import| format!("{}={}", import.name, import.path.join("::"))).collect()
    }

    fn mentions(text: &str) -> Vec<String> {
        module(text).mentions.iter().map(|mention| mention.path.join("::")).collect()
    }

    #[test]
    fn use_trees_are_flattened() {
        assert_eq!(
            imports("use super::{a::{self, B as C, d}, e::*, f};\npub(crate) use self::g;"),
            ["a=super::a", "C=super::a::B", "d=super::a::d", "*=super::e", "f=super::f", "g=self::g"]
        );
        assert_eq!(imports("use ::std::io; fn f() -> impl Sized + use<'a> { }"), [] as [&str; 0]);
        assert!(module("pub use a::B; fn f() { use c::D; }").imports[0].is_public);
        assert!(module("pub use a::B; fn f() { use c::D; }").imports[1].is_local);
    }

    #[test]
    fn paths_are_found_in_code_types_and_macros_with_their_lines() {
        let text = "fn f(x: crate::a::B) -> u8 {\n    m!(super::c::d(), \"crate::e\"); // crate::f\n    x.g::<u8>()\n}";
        assert_eq!(mentions(text), ["crate::a::B", "super::c::d"]);
        assert_eq!(module(text).mentions[1].line, 2);
        assert_eq!(
            mentions("macro_rules! m { ($x:ident) => { $crate::a::b($x::C, ::d::e) } }"),
            ["crate::a::b"]
        );
        assert_eq!(mentions("pub(in crate::a) fn f() {}"), [] as [&str; 0]);
    }

    #[test]
    fn words_of_a_file_are_possible_import_names() {
        let text = "enum E { A, B(C), D { e: F } } fn g(h: I) -> E { h.j(k, l::m); E::A }";
        let mut words: Vec<String> = module(text).words.into_iter().collect();
        words.sort();
        assert_eq!(words, ["C", "E", "F", "I", "h", "k", "l"]);
    }

    #[test]
    fn code_of_tests_is_left_out() {
        let text = "#[cfg(test)] use a::B;\n#[cfg(all(test, unix))]\n#[allow(unused)]\nmod tests;\n\
            struct S { #[cfg(test)] x: crate::a::B, y: crate::c::D }\n\
            impl S { #[cfg(test)] fn f<A, B>() { crate::e::f() } #[cfg(any(test, unix))] fn g() { crate::h::i() } }\n\
            #[cfg(not(test))] use j::K;";
        assert_eq!(mentions(text), ["crate::c::D", "crate::h::i"]);
        assert_eq!(imports(text), ["K=j::K"]);
    }

    #[test]
    fn modules_are_found_in_every_style_of_file() {
        let files = [
            ("src/lib.rs", "mod a;\npub(crate) mod b { mod c; }\n#[path = \"other.rs\"]\nmod d;"),
            ("src/a/mod.rs", "mod e;"),
            ("src/a/e.rs", "mod f;"),
            ("src/a/e/f.rs", ""),
            ("src/b/c.rs", ""),
            ("src/other.rs", ""),
        ];
        let read_file =
            |file: &str| files.iter().find(|(name, _)| *name == file).map(|(_, text)| (*text).to_owned());
        let modules = read(&read_file).unwrap();
        let found: Vec<String> =
            modules.iter().map(|module| format!("{} {}", module.path.join("::"), module.file)).collect();
        assert_eq!(
            found,
            [
                " src/lib.rs",
                "a src/a/mod.rs",
                "a::e src/a/e.rs",
                "a::e::f src/a/e/f.rs",
                "b src/lib.rs",
                "b::c src/b/c.rs",
                "d src/other.rs"
            ]
        );
    }
}
