//! The pages an operator reads are true where a test can tell: links lead somewhere, commands exist, metrics are
//! metrics of ours. It reads the repository's text and runs nothing.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use tree::{files, hold, root};

mod tree;

/// The targets of `[text](target)` in a page, code blocks left out.
fn links(page: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in prose(page) {
        let mut rest = line;
        while let Some((_, after)) = rest.split_once("](") {
            let Some((target, behind)) = after.split_once(')') else {
                break;
            };
            found.push(target.split_whitespace().next().unwrap_or_default());
            rest = behind;
        }
    }
    found
}

/// The lines outside fenced code blocks.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// The anchors that a page's headings make, as forges derive them: lower case, punctuation gone, spaces to hyphens.
fn anchors(page: &str) -> BTreeSet<String> {
    prose(page)
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

/// `docs/../README.md` as `README.md`; `None` for a path that leaves the repository.
fn normalize(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                if !normal.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    Some(normal)
}

/// What is wrong with a link of the page `name`, if anything.
fn wrong_with(name: &str, page: &str, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let folder = Path::new(name).parent().unwrap_or(Path::new(""));
    let target = if file.is_empty() {
        Some(PathBuf::from(name))
    } else {
        normalize(&folder.join(file))
    };
    let Some(target) = target else {
        return Some(format!("{name}: {link}: leaves the repository"));
    };
    if !root().join(&target).exists() {
        return Some(format!("{name}: {link}: there is no {}", target.display()));
    }
    if anchor.is_empty() || target.extension().is_none_or(|extension| extension != "md") {
        return None;
    }
    let text = if file.is_empty() {
        page.to_owned()
    } else {
        std::fs::read_to_string(root().join(&target)).expect("a page is UTF-8 text")
    };
    (!anchors(&text).contains(anchor)).then(|| format!("{name}: {link}: there is no such heading"))
}

/// The words of `text` that begin with `beginning`, cut where a character cannot belong to a name.
fn names<'a>(text: &'a str, beginning: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(beginning).filter_map(|(at, _)| {
        let inside = text[..at]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        let length = text[at..]
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(text.len() - at);
        (!inside).then(|| &text[at..at + length])
    })
}

#[test]
fn every_link_leads_somewhere() {
    let mut breaches = Vec::new();
    for (name, page) in files(&["md"]) {
        breaches.extend(
            links(&page)
                .into_iter()
                .filter_map(|link| wrong_with(&name, &page, link)),
        );
    }
    hold(
        "a relative link names a file of the repository, and a heading in it",
        &breaches,
    );
}

#[test]
fn every_dev_command_that_a_page_names_exists() {
    let script = std::fs::read_to_string(root().join("dev")).expect("./dev is text");
    let known: BTreeSet<&str> = script
        .lines()
        .skip_while(|line| !line.starts_with("case \"$command\""))
        .filter_map(|line| line.trim().split_once(')'))
        .flat_map(|(pattern, _)| pattern.split('|').map(str::trim))
        .collect();
    assert!(
        known.contains("demo") && known.contains("test"),
        "./dev's commands were not found: {known:?}"
    );
    let mut breaches = Vec::new();
    for (name, page) in files(&["md"])
        .into_iter()
        .chain([("dev".to_owned(), script.clone())])
    {
        for (at, _) in page.match_indices("./dev ") {
            let word = page[at + "./dev ".len()..]
                .split(|c: char| !c.is_ascii_lowercase())
                .next();
            if let Some(word) =
                word.filter(|word| !word.is_empty() && *word != "again" && !known.contains(word))
            {
                breaches.push(format!("{name}: ./dev {word}"));
            }
        }
    }
    hold("./dev has the commands that the pages name", &breaches);
}

#[test]
fn every_metric_that_a_page_a_rule_or_a_board_names_exists() {
    let code: Vec<(String, String)> = files(&["rs"]);
    let exported: BTreeSet<&str> = code
        .iter()
        .filter(|(name, _)| name.contains("src/"))
        .flat_map(|(_, text)| names(text, "rhumb_"))
        .collect();
    let mut breaches = BTreeSet::new();
    for (name, page) in files(&["md", "yaml", "yml", "json", "rules"]) {
        for metric in names(&page, "rhumb_").filter(|metric| !metric.ends_with('_')) {
            let series = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| metric.strip_suffix(suffix));
            if !exported.contains(metric)
                && !series.is_some_and(|histogram| exported.contains(histogram))
            {
                breaches.insert(format!("{name}: {metric}"));
            }
        }
    }
    hold(
        "a metric that is written about is exported",
        &breaches.into_iter().collect::<Vec<_>>(),
    );
}

#[test]
fn the_looks_see_what_they_look_for() {
    let page = "# Two words, one `name`\nsee [a](b.md#c) and [d](#two-words-one-name)\n```\n[not](a-link)\n```\n";
    assert_eq!(links(page), ["b.md#c", "#two-words-one-name"]);
    assert_eq!(
        wrong_with("CHANGELOG.md", page, "#two-words-one-name"),
        None
    );
    assert!(wrong_with("CHANGELOG.md", page, "#three-words").is_some());
    assert!(wrong_with("docs/x.md", page, "no-such-page.md").is_some());
    assert!(wrong_with("docs/x.md", page, "../../outside.md").is_some());
    assert_eq!(wrong_with("docs/x.md", page, "../LICENSE"), None);
    let metrics: Vec<&str> = names("`rhumb_a_total`, my_rhumb_b, rhumb_c{x=1}", "rhumb_").collect();
    assert_eq!(metrics, ["rhumb_a_total", "rhumb_c"]);
}
