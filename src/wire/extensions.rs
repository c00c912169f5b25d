//! Parser for `Sec-WebSocket-Extensions` (RFC 6455 section 9.1).

use super::header::is_token;
use super::upgrade_error::UpgradeError;

/// One extension with its parameters in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionParams {
    pub name: String,
    pub params: Vec<(String, Option<String>)>,
}

/// Parses the list. Values may be quoted, but must be tokens either way.
pub fn parse_extensions(text: &str) -> Result<Vec<ExtensionParams>, UpgradeError> {
    let syntax = || UpgradeError::extension_syntax(text);
    let mut extensions = Vec::new();
    for element in split_unquoted(text, b',') {
        // Empty list elements are ignored (RFC 9110 section 5.6.1.2).
        if trim(element).is_empty() {
            continue;
        }
        let mut parts = split_unquoted(element, b';').into_iter();
        let name = trim(parts.next().unwrap_or_default());
        if !is_token(name) {
            return Err(syntax());
        }
        let params = parts.map(parse_param).collect::<Option<Vec<_>>>().ok_or_else(syntax)?;
        extensions.push(ExtensionParams { name: name.to_owned(), params });
    }
    Ok(extensions)
}

fn parse_param(text: &str) -> Option<(String, Option<String>)> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (trim(name), Some(unquote(trim(value))?)),
        None => (trim(text), None),
    };
    (is_token(name) && value.as_deref().is_none_or(is_token)).then(|| (name.to_owned(), value))
}

/// Removes quotes and backslash escapes; `None` if they are unbalanced.
fn unquote(value: &str) -> Option<String> {
    let Some(quoted) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let mut plain = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(plain),
            '\\' => plain.push(chars.next()?),
            c => plain.push(c),
        }
    }
}

/// Splits at separators outside of quotes. Separators are ASCII, so every split is at a character boundary.
fn split_unquoted(text: &str, separator: u8) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extension(name: &str, params: &[(&str, Option<&str>)]) -> ExtensionParams {
        let params = params.iter().map(|(name, value)| (name.to_string(), value.map(str::to_owned)));
        ExtensionParams { name: name.into(), params: params.collect() }
    }

    #[test]
    fn lists_parameters_and_quoted_values_are_parsed() {
        assert_eq!(parse_extensions(""), Ok(vec![]));
        assert_eq!(parse_extensions(" , ,"), Ok(vec![]));
        assert_eq!(
            parse_extensions("foo, bar; a ;b=1;\tc = \"x\\y\" ,,baz;q=\"1\""),
            Ok(vec![
                extension("foo", &[]),
                extension("bar", &[("a", None), ("b", Some("1")), ("c", Some("xy"))]),
                extension("baz", &[("q", Some("1"))]),
            ])
        );
    }

    #[test]
    fn invalid_syntax_is_rejected() {
        for text in [
            "a b",
            ";a",
            "a;",
            "a;;b",
            "a;=1",
            "a;b=",
            "a;b=\"",
            "a;b=\"x",
            "a;b=\"\"",
            "a;b=\"x,y\"",
            "a;b=\"x\"y",
            "a;b=\"x\\",
            "\"a\"",
            "a=b",
            "a;b=c=d",
            "ä",
            "a;b=\"ä\"",
        ] {
            assert_eq!(parse_extensions(text), Err(UpgradeError::extension_syntax(text)), "{text}");
        }
    }
}
