//! Compares the results of the suite with the expected ones.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::suite::AGENT;
use crate::files;
use crate::run::{Outcome, root};

/// Such as 12.1.3; ordered by numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CaseId(Vec<u32>);

impl FromStr for CaseId {
    type Err = String;

    fn from_str(text: &str) -> Outcome<Self> {
        let numbers: Result<_, _> = text.split('.').map(str::parse).collect();
        numbers.map(Self).map_err(|_| format!("{text:?} is not a case"))
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&words.join("."))
    }
}

/// The results of a case and of its closing handshake, in the terms of the suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdicts {
    behavior: String,
    close: String,
}

impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.behavior, self.close)
    }
}

/// The expected results of all cases: `tests/autobahn/expected.txt`.
pub struct Expected(BTreeMap<CaseId, Verdicts>);

pub fn expected() -> Outcome<Expected> {
    let path = root().join("tests/autobahn/expected.txt");
    let text = files::text(&path)?;
    text.lines().map(line).collect::<Outcome<_>>().map(Expected)
}

fn line(line: &str) -> Outcome<(CaseId, Verdicts)> {
    match line.split(' ').collect::<Vec<_>>().as_slice() {
        [id, behavior, close] => {
            Ok((id.parse()?, Verdicts { behavior: (*behavior).into(), close: (*close).into() }))
        }
        _ => Err(format!("expected.txt: {line:?} is not a case and two verdicts")),
    }
}

impl Expected {
    /// Returns the cases whose ids begin with one of these; all cases if there are none.
    pub fn cases_of(&self, beginnings: &[&str]) -> Vec<&CaseId> {
        let wanted = |id: &&CaseId| {
            let id = id.to_string();
            beginnings.is_empty() || beginnings.iter().any(|beginning| id.starts_with(beginning))
        };
        self.0.keys().filter(wanted).collect()
    }
}

/// The results of a run, from the indexes that the servers wrote.
#[derive(Default)]
pub struct Found(BTreeMap<CaseId, Verdicts>);

impl Found {
    pub fn read(&mut self, reports: &Path) -> Outcome {
        let path = reports.join("index.json");
        let wrong = |problem: &dyn fmt::Display| format!("{}: {problem}", path.display());
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(&error))?;
        let index: serde_json::Value = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
        let cases = index[AGENT].as_object().ok_or_else(|| wrong(&"no results of our client"))?;
        for (id, case) in cases {
            let word = |name: &str| {
                case[name].as_str().map(str::to_owned).ok_or_else(|| wrong(&format!("{id} has no {name}")))
            };
            self.0
                .insert(id.parse()?, Verdicts { behavior: word("behavior")?, close: word("behaviorClose")? });
        }
        Ok(())
    }
}

/// Compares all cases; returns a summary if they are as expected.
pub fn compare(expected: &Expected, cases: &[&CaseId], found: &Found) -> Outcome<String> {
    let mut differences = Vec::new();
    let mut counts = BTreeMap::new();
    for id in cases {
        match (expected.0.get(*id), found.0.get(*id)) {
            (Some(wanted), Some(got)) if wanted == got => *counts.entry(&got.behavior).or_insert(0) += 1,
            (Some(wanted), Some(got)) => differences.push(format!("{id}: {got}, not {wanted}")),
            (_, None) => differences.push(format!("{id}: missing from the suite's index")),
            (None, Some(_)) => differences.push(format!("{id}: not an expected case")),
        }
    }
    let more = found.0.keys().filter(|id| !cases.contains(id));
    differences.extend(more.map(|id| format!("{id}: in the suite's index, but not requested")));
    if differences.is_empty() && !cases.is_empty() {
        let counts: Vec<String> =
            counts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
        return Ok(counts.join(", "));
    }
    Err(format!(
        "{} of {} cases are not as expected:\n{}",
        differences.len(),
        cases.len(),
        differences.join("\n")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_of_the_suite_is_expected_to_pass() {
        let expected = expected().expect("the file is there and sound");
        assert_eq!(expected.0.len(), 517);
        for (first, count) in [("1.", 16), ("9.", 54), ("12.", 90), ("13.", 126)] {
            assert_eq!(expected.cases_of(&[first]).len(), count, "{first}");
        }
        for (id, verdicts) in &expected.0 {
            assert!(["OK", "INFORMATIONAL"].contains(&verdicts.behavior.as_str()), "{id}: {verdicts}");
            assert!(["OK", "INFORMATIONAL"].contains(&verdicts.close.as_str()), "{id}: {verdicts}");
        }
    }

    #[test]
    fn missing_and_different_cases_are_named() {
        let id = |text: &str| text.parse::<CaseId>().expect("a case");
        let ok = Verdicts { behavior: "OK".into(), close: "OK".into() };
        let loose = Verdicts { behavior: "NON-STRICT".into(), close: "OK".into() };
        let (one, two, ten) = (id("6.4.1"), id("6.4.2"), id("6.4.10"));
        let expected = Expected([&one, &two, &ten].map(|id| (id.clone(), ok.clone())).into());
        let cases = expected.cases_of(&[]);
        assert_eq!(cases, [&one, &two, &ten], "in the order of numbers");

        let all = Found([&one, &two, &ten].map(|id| (id.clone(), ok.clone())).into());
        assert_eq!(compare(&expected, &cases, &all).as_deref(), Ok("3 OK"));
        let some = Found([(one.clone(), ok.clone()), (two.clone(), loose)].into());
        let problem = compare(&expected, &cases, &some).expect_err("two are not as expected");
        assert!(problem.contains("6.4.2: NON-STRICT OK, not OK OK"), "{problem}");
        assert!(problem.contains("6.4.10: missing"), "{problem}");
    }
}
