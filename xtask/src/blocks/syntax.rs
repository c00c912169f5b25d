//! Splits code with braces into its outermost declarations and statements.

/// A declaration or a statement, with the comments before it.
#[derive(Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// How many lines of the code are before it.
    pub line: usize,
    pub text: &'a str,
}

impl Chunk<'_> {
    /// Returns the first line that is neither empty nor a comment.
    pub fn head(&self) -> &str {
        let mut in_comment = false;
        for line in self.text.lines() {
            let line = line.trim();
            let starts = line.starts_with("/*");
            if in_comment || starts {
                in_comment = !line.contains("*/");
                continue;
            }
            if !line.is_empty() && !line.starts_with("//") {
                return line;
            }
        }
        ""
    }
}

/// Splits code between lines at which no brace or parenthesis is open and the last statement has ended.
pub fn chunks(code: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let (mut start, mut start_line, mut depth) = (0, 0, 0_i32);
    let (mut at, mut has_code) = (0, false);
    let lines: Vec<&str> = code.split_inclusive('\n').collect();
    for (index, line) in lines.iter().enumerate() {
        at += line.len();
        let bare = without_literals(line);
        has_code |= !bare.trim().is_empty();
        for letter in bare.chars() {
            match letter {
                '{' | '(' | '[' => depth += 1,
                '}' | ')' | ']' => depth -= 1,
                _ => {}
            }
        }
        let bare = bare.trim();
        // The rest of an `if`, and the method of a value on the next line.
        let continues = lines.get(index + 1).is_some_and(|next| {
            let next = next.trim_start();
            ["else", "catch", "finally", "."].iter().any(|word| next.starts_with(word))
                || (bare.starts_with('}') && next.starts_with("while ("))
        });
        let ends = bare.ends_with([';', '}']) || bare.starts_with('#');
        if depth == 0 && has_code && ends && !continues {
            chunks.push(Chunk { line: start_line, text: &code[start..at] });
            (start, start_line, has_code) = (at, index + 1, false);
        }
    }
    if !code[start..].trim().is_empty() {
        chunks.push(Chunk { line: start_line, text: &code[start..] });
    }
    chunks
}

/// Removes comments, and the contents of strings and characters, from a line.
pub fn without_literals(line: &str) -> String {
    let mut bare = String::new();
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '/' if letters.peek() == Some(&'/') => break,
            '/' if letters.peek() == Some(&'*') => {
                let rest: String = letters.by_ref().collect();
                let after = rest.split_once("*/").map(|(_, after)| after.to_owned()).unwrap_or_default();
                return bare + &without_literals(&after);
            }
            // The end of a comment of several lines, whose lines begin with an asterisk.
            '*' if bare.trim().is_empty() => {
                let rest: String = letters.by_ref().collect();
                let after = rest.split_once("*/").map(|(_, after)| after.to_owned()).unwrap_or_default();
                return bare + &without_literals(&after);
            }
            '"' => {
                bare.push_str("\"\"");
                while let Some(next) = letters.next() {
                    match next {
                        '\\' => drop(letters.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '\'' => {
                let mut ahead = letters.clone();
                let first = ahead.next();
                let is_character = first == Some('\\') || ahead.next() == Some('\'');
                bare.push('\'');
                if is_character {
                    bare.push('\'');
                    if letters.next() == Some('\\') {
                        letters.next();
                    }
                    letters.next();
                }
            }
            _ => bare.push(letter),
        }
    }
    bare
}

/// Returns whether a chunk defines a function: a name and parameters before its body.
pub fn is_function(chunk: &Chunk<'_>) -> bool {
    let code: String = chunk.text.lines().map(|line| without_literals(line) + "\n").collect();
    let Some((before, _)) = code.split_once('{') else { return false };
    let before = before.trim_start();
    let first =
        before.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default();
    if ["if", "for", "while", "switch", "do", "else", "return", "using", "foreach", "try", "lock", "co_await"]
        .contains(&first)
    {
        return false;
    }
    let Some((name, _)) = before.split_once('(') else { return false };
    // Not the arguments of a call, one of which is a lambda.
    if ![")", "const", "noexcept", "override"].iter().any(|end| before.trim_end().ends_with(end)) {
        return false;
    }
    // A type and a name, not a call or an assignment.
    name.split_whitespace().count() >= 2 && !name.contains(['=', '.']) && !name.contains("->")
}

/// Returns whether code defines `main`.
pub fn has_main(code: &str) -> bool {
    code.lines().any(|line| {
        let line = line.trim_start();
        (line.starts_with("int main(") || line.starts_with("void main(")) || line.contains(" Main(")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_and_statements_are_separate() {
        let code = "#include <a.h>\n\n// b {\nstatic void on(int a)\n{\n    if (a) { b(); }\n}\n\non(1); /* ( */\n\
                    c->on_text([](int) {\n    d();\n});\nif (a)\n    b();\nelse\n    c();\n";
        let found = chunks(code);
        let heads: Vec<(usize, &str, bool)> =
            found.iter().map(|chunk| (chunk.line, chunk.head(), is_function(chunk))).collect();
        assert_eq!(
            heads,
            [
                (0, "#include <a.h>", false),
                (1, "static void on(int a)", true),
                (7, "on(1); /* ( */", false),
                (9, "c->on_text([](int) {", false),
                (12, "if (a)", false),
            ]
        );
    }

    #[test]
    fn literals_and_comments_have_no_braces() {
        assert_eq!(without_literals("a('{', \"}\\\"\"); // {"), "a('', \"\"); ");
        assert_eq!(without_literals("a /* { */ b"), "a  b");
    }
}
