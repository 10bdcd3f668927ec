//! What must never be given as advice, whatever the cause.
//!
//! Only texts that advise (fixes, commands, probes) are held against this list. Warnings may name a forbidden remedy,
//! and they are kept in a field of their own for that reason.

/// A remedy that does more harm than the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Forbidden {
    /// Switches off the checksum database, or for every module.
    ChecksumsOff,
    /// Switches off certificate verification.
    VerificationOff,
    /// Accepts any ssh host key.
    AnyHostKey,
    /// Makes files writable for everybody.
    WorldWritable,
    /// Runs `go` as administrator.
    AsRoot,
    /// Deletes go.sum.
    DeleteGoSum,
    /// Switches off a guard of the whole system: `SELinux`, firewall, antivirus.
    GuardOff,
    /// Overwrites the resolver configuration.
    OverwriteResolver,
    /// Puts a secret where others read it.
    SecretInUrl,
    /// Sets a variable that does not exist.
    NoSuchVariable,
    /// Names a mirror that is dead or unverified.
    DeadMirror,
    /// Opens a guard of go or git for everything.
    GuardWideOpen,
    /// Switches module mode off.
    GopathMode,
}

/// Words that are forbidden wherever they appear in advice. Compared in lower case, without quotes, blanks collapsed.
const WORDS: &[(&str, Forbidden)] = &[
    ("gosumdb=off", Forbidden::ChecksumsOff),
    ("gosumdb off", Forbidden::ChecksumsOff),
    ("gosumdb to off", Forbidden::ChecksumsOff),
    ("gosumdb 设为 off", Forbidden::ChecksumsOff),
    ("gonosumcheck", Forbidden::ChecksumsOff),
    ("gonosumdb=*", Forbidden::ChecksumsOff),
    ("goprivate=* ", Forbidden::ChecksumsOff),
    ("skipintegritycheck", Forbidden::ChecksumsOff),
    ("goflags=-insecure", Forbidden::VerificationOff),
    (" -insecure", Forbidden::VerificationOff),
    ("goinsecure=*", Forbidden::VerificationOff),
    ("sslverify false", Forbidden::VerificationOff),
    ("sslverify=false", Forbidden::VerificationOff),
    ("sslverify=0", Forbidden::VerificationOff),
    ("ssl_no_verify", Forbidden::VerificationOff),
    ("no-check-certificate", Forbidden::VerificationOff),
    ("insecureskipverify", Forbidden::VerificationOff),
    ("skip verification", Forbidden::VerificationOff),
    ("跳过验证", Forbidden::VerificationOff),
    ("stricthostkeychecking=no", Forbidden::AnyHostKey),
    ("stricthostkeychecking no", Forbidden::AnyHostKey),
    ("userknownhostsfile=/dev/null", Forbidden::AnyHostKey),
    ("chmod 777", Forbidden::WorldWritable),
    ("chmod 0777", Forbidden::WorldWritable),
    ("chmod -r 777", Forbidden::WorldWritable),
    ("chmod a+rwx", Forbidden::WorldWritable),
    ("chmod o+w", Forbidden::WorldWritable),
    ("sudo go ", Forbidden::AsRoot),
    ("sudo -e go ", Forbidden::AsRoot),
    ("run go as root", Forbidden::AsRoot),
    ("以 root 运行", Forbidden::AsRoot),
    ("delete go.sum", Forbidden::DeleteGoSum),
    ("deleting go.sum", Forbidden::DeleteGoSum),
    ("remove go.sum", Forbidden::DeleteGoSum),
    ("del go.sum", Forbidden::DeleteGoSum),
    ("删除 go.sum", Forbidden::DeleteGoSum),
    ("删除go.sum", Forbidden::DeleteGoSum),
    ("清空 go.sum", Forbidden::DeleteGoSum),
    ("setenforce 0", Forbidden::GuardOff),
    ("selinux=disabled", Forbidden::GuardOff),
    ("disable selinux", Forbidden::GuardOff),
    ("关闭 selinux", Forbidden::GuardOff),
    ("ufw disable", Forbidden::GuardOff),
    ("stop firewalld", Forbidden::GuardOff),
    ("disable firewalld", Forbidden::GuardOff),
    ("iptables -f", Forbidden::GuardOff),
    ("disable the firewall", Forbidden::GuardOff),
    ("关闭防火墙", Forbidden::GuardOff),
    ("disable antivirus", Forbidden::GuardOff),
    ("disable the antivirus", Forbidden::GuardOff),
    ("关闭杀毒", Forbidden::GuardOff),
    ("> /etc/resolv.conf", Forbidden::OverwriteResolver),
    (">/etc/resolv.conf", Forbidden::OverwriteResolver),
    ("tee /etc/resolv.conf", Forbidden::OverwriteResolver),
    ("gologging", Forbidden::NoSuchVariable),
    ("godebug=network", Forbidden::NoSuchVariable),
    ("gosumdbtoken", Forbidden::NoSuchVariable),
    ("godebug=x509ignorecn", Forbidden::NoSuchVariable),
    ("goproxy.baidu.com", Forbidden::DeadMirror),
    ("goproxy.qiniu.com", Forbidden::DeadMirror),
    ("goproxy.huaweicloud.com", Forbidden::DeadMirror),
    ("gocenter.io", Forbidden::DeadMirror),
    ("govcs=*:all", Forbidden::GuardWideOpen),
    ("safe.directory=*", Forbidden::GuardWideOpen),
    ("safe.directory *", Forbidden::GuardWideOpen),
    ("git_terminal_prompt=1", Forbidden::GuardWideOpen),
    ("go111module=off", Forbidden::GopathMode),
];

/// The forbidden remedies that a piece of advice contains; empty when it may be given.
pub fn forbidden_remedies(advice: &str) -> Vec<Forbidden> {
    let text = normalise(advice);
    let mut found: Vec<Forbidden> = WORDS
        .iter()
        .filter(|(word, _)| text.contains(word))
        .map(|&(_, remedy)| remedy)
        .collect();
    for command in text.split(['|', ';', '&']) {
        let words: Vec<&str> = command.split(' ').filter(|word| !word.is_empty()).collect();
        if curl_skips_verification(&words) {
            found.push(Forbidden::VerificationOff);
        }
        if removes_go_sum(&words) {
            found.push(Forbidden::DeleteGoSum);
        }
    }
    if text.split(' ').any(has_secret_in_url) {
        found.push(Forbidden::SecretInUrl);
    }
    found.dedup();
    found
}

/// Lower case, quotes and backticks removed, blanks collapsed, one blank at the end so that words can be anchored.
fn normalise(advice: &str) -> String {
    let mut text = String::with_capacity(advice.len() + 1);
    for c in advice.chars().filter(|c| !matches!(c, '"' | '\'' | '`')) {
        let c = if c.is_whitespace() { ' ' } else { c };
        if !(c == ' ' && text.ends_with(' ')) {
            text.extend(c.to_lowercase());
        }
    }
    text.push(' ');
    text
}

fn curl_skips_verification(words: &[&str]) -> bool {
    let Some(curl) = words.iter().position(|word| *word == "curl") else {
        return false;
    };
    words.iter().skip(curl + 1).any(|word| {
        let short = word.starts_with('-') && !word.starts_with("--");
        *word == "--insecure"
            || *word == "--proxy-insecure"
            || (short && word.len() <= 5 && word.contains('k'))
    })
}

fn removes_go_sum(words: &[&str]) -> bool {
    let command = words
        .iter()
        .position(|word| matches!(*word, "rm" | "del" | "unlink"));
    command.is_some_and(|at| {
        words
            .iter()
            .skip(at + 1)
            .any(|word| *word == "go.sum" || word.ends_with("/go.sum"))
    })
}

/// `https://user:secret@host`: https URLs are module and repository URLs, which get written down and logged.
fn has_secret_in_url(word: &str) -> bool {
    let authority = word
        .split_once("https://")
        .and_then(|(_, rest)| rest.split('/').next());
    authority
        .and_then(|authority| authority.rsplit_once('@'))
        .is_some_and(|(user, _)| user.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_forbidden_remedy_is_found() {
        for (advice, remedy) in [
            ("go env -w GOSUMDB=off", Forbidden::ChecksumsOff),
            ("export GOSUMDB=\"off\"", Forbidden::ChecksumsOff),
            ("GONOSUMDB='*' go build", Forbidden::ChecksumsOff),
            ("GONOSUMCHECK=1", Forbidden::ChecksumsOff),
            ("go env -w GOFLAGS=-insecure", Forbidden::VerificationOff),
            ("GOINSECURE=* go get x", Forbidden::VerificationOff),
            (
                "git config --global http.sslVerify false",
                Forbidden::VerificationOff,
            ),
            ("curl -k https://a", Forbidden::VerificationOff),
            ("curl -sSk https://a", Forbidden::VerificationOff),
            ("ssh -o StrictHostKeyChecking=no h", Forbidden::AnyHostKey),
            ("chmod -R 777 ~/go", Forbidden::WorldWritable),
            ("sudo go build", Forbidden::AsRoot),
            ("rm -f go.sum && go mod tidy", Forbidden::DeleteGoSum),
            ("Delete `go.sum` and retry", Forbidden::DeleteGoSum),
            ("删除 go.sum 后重试", Forbidden::DeleteGoSum),
            ("setenforce 0", Forbidden::GuardOff),
            ("systemctl stop firewalld", Forbidden::GuardOff),
            (
                "echo nameserver 8.8.8.8 > /etc/resolv.conf",
                Forbidden::OverwriteResolver,
            ),
            (
                "go env -w GOPROXY=https://me:token@goproxy.example",
                Forbidden::SecretInUrl,
            ),
            ("go env -w GOLOGGING=debug", Forbidden::NoSuchVariable),
            ("GODEBUG=network=2 go build", Forbidden::NoSuchVariable),
            ("GOPROXY=https://goproxy.qiniu.com", Forbidden::DeadMirror),
            (
                "git config --global --add safe.directory '*'",
                Forbidden::GuardWideOpen,
            ),
            ("GOVCS=*:all", Forbidden::GuardWideOpen),
            ("GO111MODULE=off go get", Forbidden::GopathMode),
        ] {
            assert_eq!(forbidden_remedies(advice), [remedy], "{advice}");
        }
    }

    #[test]
    fn harmless_neighbours_are_not_accused() {
        for advice in [
            "go env -w GOSUMDB=sum.golang.google.cn",
            "curl -sv -o /dev/null https://k.example/-k",
            "GONOSUMDB=git.corp.example.com",
            "sudo chown -R me ~/go",
            "git add go.sum; rm -rf vendor",
            "ssh-keygen -F host",
            "cat /etc/resolv.conf",
            "GODEBUG=netdns=go+2",
            "GOINSECURE=one.host.example",
            "export HTTPS_PROXY=http://USER:PASS@proxy.example:8080",
            "chmod 700 ~/.cache",
        ] {
            assert_eq!(forbidden_remedies(advice), [], "{advice}");
        }
    }
}
