//! The fault table as a handbook: one Markdown page per label, and an index by hop.

use std::fmt::Write as _;

use crate::{Advice, Hop, Label, Lang, Party, Risk, Subjects};

/// The words around the texts, by language.
struct Headings {
    title: &'static str,
    intro: &'static str,
    hop: &'static str,
    party: &'static str,
    retry: [&'static str; 2],
    see: &'static str,
    why: &'static str,
    fix: &'static str,
    avoid: &'static str,
    probe: &'static str,
}

const fn headings(lang: Lang) -> Headings {
    match lang {
        Lang::En => Headings {
            title: "What can go wrong, by hop",
            intro: "In the order a request takes. The first hop that fails is the cause.",
            hop: "Hop",
            party: "Who can repair it",
            retry: ["A retry alone does not help", "A retry may help"],
            see: "What you see",
            why: "Why",
            fix: "What to do",
            avoid: "What not to do",
            probe: "How to be sure",
        },
        Lang::Zh => Headings {
            title: "各环节可能出现的故障",
            intro: "按请求经过的顺序排列。第一个失败的环节就是原因。",
            hop: "环节",
            party: "由谁修复",
            retry: ["仅重试没有用", "重试可能有用"],
            see: "现象",
            why: "原因",
            fix: "处理",
            avoid: "不要这样做",
            probe: "如何确认",
        },
    }
}

/// The page of one label, in Markdown.
pub fn page(label: Label, lang: Lang) -> String {
    let words = headings(lang);
    let advice = label.advice(lang);
    let mut out = format!("# {label}\n\n");
    let facts = [
        format!("{}: {}", words.hop, label.hop()),
        format!("{}: {}", words.party, party(label.party(), lang)),
        words.retry[usize::from(label.is_retryable())].to_owned(),
    ];
    for fact in facts {
        let _ = writeln!(out, "- {fact}");
    }
    section(&mut out, words.see, &text(&advice.phenomenon, lang));
    section(&mut out, words.why, &text(&advice.cause, lang));
    section(&mut out, words.fix, &fixes(advice, lang));
    let avoid: Vec<String> = advice
        .avoid
        .iter()
        .map(|line| format!("- {}", text(line, lang)))
        .collect();
    section(&mut out, words.avoid, &avoid.join("\n"));
    let probe = format!(
        "{}\n\n{}",
        text(&advice.probe.text, lang),
        code(&advice.probe.command, "")
    );
    section(&mut out, words.probe, &probe);
    out
}

/// The index of all pages, grouped by hop; links go to `<label>.md` beside it.
pub fn index(lang: Lang) -> String {
    let words = headings(lang);
    let mut out = format!("# {}\n\n{}\n", words.title, words.intro);
    for hop in Hop::ALL {
        let _ = write!(out, "\n## {hop}\n\n");
        for label in Label::ALL.iter().filter(|label| label.hop() == hop) {
            let _ = writeln!(
                out,
                "- [{label}]({label}.md): {}",
                text(&label.advice(lang).phenomenon, lang)
            );
        }
    }
    out
}

fn section(out: &mut String, heading: &str, body: &str) {
    let _ = write!(out, "\n## {heading}\n\n{body}\n");
}

fn fixes(advice: &Advice, lang: Lang) -> String {
    let mut out = Vec::new();
    for (number, fix) in (1..).zip(&advice.fixes) {
        let mut item = format!("{number}. {}", text(&fix.text, lang));
        if fix.risk == Risk::High {
            item.push_str(if lang == Lang::Zh {
                "（风险高）"
            } else {
                " (high risk)"
            });
        }
        if let Some(command) = &fix.command {
            item.push_str("\n\n");
            item.push_str(&code(command, "   "));
        }
        out.push(item);
    }
    out.join("\n")
}

fn text(template: &str, lang: Lang) -> String {
    Subjects::default().fill_text(template, lang)
}

fn code(command: &str, indent: &str) -> String {
    let command = Subjects::default().fill_command(command);
    format!("{indent}```sh\n{indent}{command}\n{indent}```")
}

fn party(party: Party, lang: Lang) -> &'static str {
    match (party, lang) {
        (Party::User, Lang::En) => "you (settings, project, machine)",
        (Party::User, Lang::Zh) => "用户自己（设置、项目、机器）",
        (Party::Network, Lang::En) => "whoever runs the network",
        (Party::Network, Lang::Zh) => "网络的管理者",
        (Party::Proxy, Lang::En) => "the operator of the module proxy",
        (Party::Proxy, Lang::Zh) => "模块代理的运营者",
        (Party::Sumdb, Lang::En) => "the operator of the checksum database",
        (Party::Sumdb, Lang::Zh) => "校验数据库的运营者",
        (Party::SourceHost, Lang::En) => "the source host, or who grants access to it",
        (Party::SourceHost, Lang::Zh) => "源代码主机，或授予其访问权限的人",
        (Party::Author, Lang::En) => "the author of the module",
        (Party::Author, Lang::Zh) => "模块的作者",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template;

    #[test]
    fn every_page_is_whole_in_both_languages() {
        for lang in Lang::ALL {
            for &label in Label::ALL {
                let page = page(label, lang);
                assert!(page.starts_with(&format!("# {label}\n")), "{label}");
                assert_eq!(page.matches("\n## ").count(), 5, "{label}");
                assert_eq!(page.matches("```").count() % 2, 0, "{label}");
                let left = template::words_in_braces(&page)
                    .into_iter()
                    .find(|name| template::is_placeholder(name));
                assert_eq!(left, None, "{lang} {label}");
            }
        }
    }

    #[test]
    fn the_index_names_every_label_once_under_its_hop() {
        for lang in Lang::ALL {
            let index = index(lang);
            for label in Label::ALL {
                assert_eq!(
                    index.matches(&format!("]({label}.md)")).count(),
                    1,
                    "{label}"
                );
            }
            for hop in Hop::ALL {
                assert!(index.contains(&format!("\n## {hop}\n")));
            }
        }
    }

    #[test]
    fn a_page_reads_as_expected() {
        let page = page(Label::HttpproxyScheme, Lang::En);
        let expected = "# httpproxy-scheme\n\n- Hop: http-proxy\n- Who can repair it: you (settings, project, machine)\n";
        assert!(page.starts_with(expected), "{page}");
        assert!(
            page.contains("\n   ```sh\n   export HTTPS_PROXY=http://proxy.example:8080\n   ```\n"),
            "{page}"
        );
    }
}
