//! Links, code spans and headings of Markdown texts.

use std::ops::Range;

/// What a text contains outside of code blocks. The range is that of the target of a link, or of a code span with its
/// backticks.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    Link(Range<usize>),
    /// Not within the text of a link.
    Code(Range<usize>),
}

/// Returns the links, images and code spans of a text, in order.
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (start, line) in lines_outside_code_blocks(text) {
        let (mut at, mut brackets) = (0, 0);
        while let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) {
            if rest.starts_with('`') {
                let length = code_span(rest);
                if length > 1 && brackets == 0 {
                    pieces.push(Piece::Code(start + at..start + at + length));
                }
                at += length;
            } else if let Some(inside) = rest.strip_prefix("](") {
                let length = target_length(inside);
                pieces.push(Piece::Link(start + at + 2..start + at + 2 + length));
                (at, brackets) = (at + 2 + length, brackets - 1);
            } else {
                match rest.chars().next() {
                    Some('[') => brackets += 1,
                    Some(']') => brackets -= 1,
                    _ => {}
                }
                at += rest.chars().next().map_or(1, char::len_utf8);
            }
        }
    }
    pieces
}

/// Returns a text with what `link` returns for the target of each link, and `code` for each code span.
pub fn rewritten(
    text: &str,
    mut link: impl FnMut(&str) -> Result<String, String>,
    code: impl Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let (mut new, mut done) = (String::new(), 0);
    for piece in pieces(text) {
        let (range, replacement) = match piece {
            Piece::Link(range) => (range.clone(), Some(link(&text[range])?)),
            Piece::Code(range) => (range.clone(), code(&text[range])),
        };
        new += &text[done..range.start];
        new += replacement.as_deref().unwrap_or(&text[range.clone()]);
        done = range.end;
    }
    Ok(new + &text[done..])
}

/// Returns the anchors of a text: those of its headings, as code hosts and mdBook name them, and those in HTML.
pub fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for (_, line) in lines_outside_code_blocks(text) {
        let level = line.len() - line.trim_start_matches('#').len();
        if (1..=6).contains(&level)
            && let Some(heading) = line[level..].strip_prefix(' ')
        {
            let id = id(&without_targets(heading));
            let same = anchors.iter().filter(|other| **other == id || is_numbered(other, &id)).count();
            anchors.push(if same == 0 { id } else { format!("{id}-{same}") });
        }
        anchors
            .extend(line.split("id=\"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
    }
    anchors
}

fn is_numbered(anchor: &str, id: &str) -> bool {
    anchor
        .strip_prefix(id)
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Returns the anchor of a heading.
fn id(heading: &str) -> String {
    heading
        .trim()
        .chars()
        .filter_map(|character| match character {
            '_' | '-' => Some(character),
            _ if character.is_alphanumeric() => Some(character.to_ascii_lowercase()),
            _ if character.is_whitespace() => Some('-'),
            _ => None,
        })
        .collect()
}

/// Removes the targets of links.
fn without_targets(heading: &str) -> String {
    let mut parts = heading.split("](");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text += &part[(target_length(part) + 1).min(part.len())..];
    }
    text
}

/// The length of a link's target, up to its closing parenthesis.
fn target_length(rest: &str) -> usize {
    let mut depth = 0;
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 0 => return at,
            b')' => depth -= 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of the code span at the beginning, or of its backticks if it does not end in this line.
fn code_span(rest: &str) -> usize {
    let ticks = rest.len() - rest.trim_start_matches('`').len();
    let mut at = ticks;
    while let Some(next) = rest[at..].find('`') {
        let run = rest[at + next..].len() - rest[at + next..].trim_start_matches('`').len();
        at += next + run;
        if run == ticks {
            return at;
        }
    }
    ticks
}

/// Returns the lines that are not in a fenced code block, and where each begins.
fn lines_outside_code_blocks(text: &str) -> Vec<(usize, &str)> {
    let (mut lines, mut start, mut fence) = (Vec::new(), 0, None);
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let ticks = trimmed.len() - trimmed.trim_start_matches('`').len();
        match fence {
            None if ticks >= 3 => fence = Some(ticks),
            None => lines.push((start, line.trim_end_matches('\n'))),
            Some(open) if ticks >= open && trimmed.len() == ticks => fence = None,
            Some(_) => {}
        }
        start += line.len();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_code_spans_are_found_outside_of_code() {
        let text = "See [`a`](b.md#c), `](no)` and ![x](d(e).svg).\n```c\n[n](o)\n```\n`fw_x`\n";
        let found: Vec<&str> = pieces(text)
            .iter()
            .map(|piece| match piece {
                Piece::Link(range) | Piece::Code(range) => &text[range.clone()],
            })
            .collect();
        assert_eq!(found, ["b.md#c", "`](no)`", "d(e).svg", "`fw_x`"]);
    }

    #[test]
    fn targets_and_code_spans_are_replaced() {
        let new = rewritten(
            "[`a`](b) `c` `d`",
            |target| Ok(format!("{target}.html")),
            |code| (code == "`c`").then(|| "[C](c)".to_owned()),
        );
        assert_eq!(new.as_deref(), Ok("[`a`](b.html) [C](c) `d`"));
    }

    #[test]
    fn anchors_are_those_of_code_hosts() {
        let text =
            "# C++, and `fw_x`!\n## Same\n```\n# No\n```\n## Same\n### [A b](c.md)\n<a id=\"x\"></a>\n";
        assert_eq!(anchors(text), ["c-and-fw_x", "same", "same-1", "a-b", "x"]);
    }
}
