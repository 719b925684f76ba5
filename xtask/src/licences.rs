//! SPDX licence expressions: whether one can be met with the licences we accept.

/// The licences that may reach a user of Quipu or a developer of it. All of them are permissive.
const ACCEPTED: [&str; 11] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

/// Whether the expression can be met; an error when it cannot be read.
pub(crate) fn acceptable(expression: &str) -> Result<bool, String> {
    // Before SPDX expressions, crates separated a choice of licences with a slash.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let verdict = either(&mut words)?;
    match words.next() {
        None => Ok(verdict),
        Some(word) => Err(format!("`{expression}` cannot be read at `{word}`")),
    }
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>) -> Result<bool, String> {
    let mut verdict = both(words)?;
    while words.next_if_eq(&"OR").is_some() {
        verdict |= both(words)?;
    }
    Ok(verdict)
}

fn both(words: &mut Words<'_>) -> Result<bool, String> {
    let mut verdict = one(words)?;
    while words.next_if_eq(&"AND").is_some() {
        verdict &= one(words)?;
    }
    Ok(verdict)
}

fn one(words: &mut Words<'_>) -> Result<bool, String> {
    match words.next() {
        Some("(") => {
            let verdict = either(words)?;
            if words.next() == Some(")") { Ok(verdict) } else { Err("a parenthesis is not closed".into()) }
        }
        Some(")" | "OR" | "AND" | "WITH") | None => Err("a licence is missing".into()),
        Some(name) => {
            let mut licence = name.to_string();
            if words.next_if_eq(&"WITH").is_some() {
                licence += &format!(" WITH {}", words.next().ok_or("an exception is missing after WITH")?);
            }
            Ok(ACCEPTED.contains(&licence.as_str()))
        }
    }
}

#[test]
fn a_choice_needs_one_accepted_licence_and_a_conjunction_all() {
    for good in ["MIT", "MIT OR GPL-3.0", "MIT/Apache-2.0", "(MIT OR GPL-2.0) AND Unicode-3.0"] {
        assert_eq!(acceptable(good), Ok(true), "{good}");
    }
    assert_eq!(acceptable("Apache-2.0 WITH LLVM-exception OR GPL-3.0"), Ok(true));
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "AGPL-3.0-only OR SSPL-1.0", "MIT WITH surprise"] {
        assert_eq!(acceptable(bad), Ok(false), "{bad}");
    }
    for broken in ["", "MIT OR", "(MIT", "MIT MIT", "OR MIT"] {
        assert!(acceptable(broken).is_err(), "{broken}");
    }
}
