use std::os::unix::fs::PermissionsExt as _;

use super::*;

const URL: &str = "https://git.example/team/x";

fn basic(username: &str, password: &str) -> Credentials {
    Credentials::Basic {
        username: username.to_owned(),
        password: Secret::new(password),
    }
}

fn environment(pairs: &[(&str, &str)]) -> Environment {
    let path = [("PATH", "/usr/local/bin:/usr/bin:/bin")];
    Environment::from_pairs(path.iter().chain(pairs).copied())
}

fn script(folder: &std::path::Path, text: &str) -> String {
    let file = folder.join("helper");
    testkit::script(&file, text);
    file.display().to_string()
}

#[tokio::test]
async fn variables_and_files_hold_a_pair_or_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let environment = environment(&[("PAIR", "me:pw:x"), ("BEARER", "Bearer t")]);
    let ask = async |source| {
        Keyring::new(source, "oauth2", environment.clone())
            .credentials(URL, Attempt::First)
            .await
    };
    let variable = |name: &str| CredentialSource::Secret(SecretRef::Variable(name.to_owned()));
    assert_eq!(
        ask(variable("PAIR")).await.unwrap(),
        Some(basic("me", "pw:x"))
    );
    assert_eq!(
        ask(variable("BEARER")).await.unwrap(),
        Some(Credentials::Bearer(Secret::new("t")))
    );
    let error = ask(variable("NONE")).await.unwrap_err();
    assert!(!error.is_absence() && !error.is_without_rights(), "{error}");
    std::fs::write(&file, "tok\n").unwrap();
    let source = || CredentialSource::Secret(SecretRef::File(file.clone()));
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&file, mode(0o600)).unwrap();
    assert_eq!(ask(source()).await.unwrap(), Some(basic("oauth2", "tok")));
    std::fs::set_permissions(&file, mode(0o644)).unwrap();
    let error = ask(source()).await.unwrap_err();
    assert!(
        error.to_string().contains("can be read by others"),
        "{error}"
    );
}

#[tokio::test]
async fn a_command_is_run_again_only_when_its_token_expired_or_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let program = script(
        folder.path(),
        &format!(
            "echo x >> '{0}'; n=$(wc -l < '{0}'); echo username=app; echo password=t$n; \
             [ $n -ge 2 ] && echo password_expiry_utc=1 || echo password_expiry_utc=4102444800",
            count.display()
        ),
    );
    let source = CredentialSource::Command(vec![program]);
    let keyring = Keyring::new(source, "oauth2", environment(&[]));
    let ask = async |attempt| keyring.credentials(URL, attempt).await.unwrap().unwrap();
    assert_eq!(ask(Attempt::First).await, basic("app", "t1"));
    assert_eq!(ask(Attempt::First).await, basic("app", "t1"));
    assert_eq!(ask(Attempt::Refused).await, basic("app", "t2"));
    assert_eq!(
        ask(Attempt::First).await,
        basic("app", "t3"),
        "the second has expired"
    );
}

#[tokio::test]
async fn a_command_that_fails_tells_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let program = script(folder.path(), "echo hush; echo hush >&2; exit 3");
    let source = CredentialSource::Command(vec![program]);
    let keyring = Keyring::new(source, "oauth2", environment(&[]));
    let error = keyring.credentials(URL, Attempt::First).await.unwrap_err();
    assert!(!error.to_string().contains("hush"), "{error}");
}

#[tokio::test]
async fn goauth_commands_are_asked_once_and_again_with_the_url_that_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let program = script(
        folder.path(),
        "if [ -z \"$1\" ]; then printf 'https://git.example\\n\\nAuthorization: Bearer a\\n\\n'; \
         else read line; printf 'https://git.example/team\\n\\nAuthorization: Bearer %s\\n\\n' \"${line#* }\" | sed 's/401 Unauthorized/b/'; fi",
    );
    let goauth = GoAuth::parse(&program).unwrap();
    let source = CredentialSource::GoAuth(goauth);
    let keyring = Keyring::new(source, "", environment(&[("NETRC", "/nonexistent")]));
    let bearer = |token: &str| Some(Credentials::Bearer(Secret::new(token)));
    let ask = async |url: &str, attempt| keyring.credentials(url, attempt).await.unwrap();
    assert_eq!(ask(URL, Attempt::First).await, bearer("a"));
    assert_eq!(ask("https://other.example/x", Attempt::First).await, None);
    assert_eq!(ask(URL, Attempt::Refused).await, bearer("b"));
    assert_eq!(
        ask("https://git.example/y", Attempt::First).await,
        bearer("a")
    );
}

#[tokio::test]
async fn netrc_is_what_goauth_is_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let netrc = folder.path().join("netrc");
    std::fs::write(
        &netrc,
        "machine git.example login me password one\nmachine git.example login me password two\n",
    )
    .unwrap();
    let environment = environment(&[("NETRC", netrc.to_str().unwrap())]);
    for source in [
        CredentialSource::Netrc,
        CredentialSource::GoAuth(GoAuth::parse("netrc").unwrap()),
    ] {
        let keyring = Keyring::new(source, "", environment.clone());
        let found = keyring.credentials(URL, Attempt::First).await.unwrap();
        assert_eq!(found, Some(basic("me", "one")));
    }
}

#[tokio::test]
async fn credential_helpers_of_git_are_asked() {
    let folder = tempfile::tempdir().unwrap();
    let helper = script(
        folder.path(),
        "[ \"$1\" = get ] && printf 'username=u\\npassword=p\\n'",
    );
    let config = folder.path().join(".gitconfig");
    std::fs::write(&config, format!("[credential]\n\thelper = {helper}\n")).unwrap();
    let environment = environment(&[("HOME", folder.path().to_str().unwrap())]);
    let keyring = Keyring::new(CredentialSource::GitCredential, "", environment.clone());
    let found = keyring.credentials(URL, Attempt::First).await.unwrap();
    assert_eq!(found, Some(basic("u", "p")));
    let goauth = GoAuth::parse(&format!("git {}", folder.path().display())).unwrap();
    let keyring = Keyring::new(CredentialSource::GoAuth(goauth), "", environment);
    assert_eq!(
        keyring.credentials(URL, Attempt::First).await.unwrap(),
        None
    );
    let found = keyring.credentials(URL, Attempt::Refused).await.unwrap();
    assert_eq!(found, Some(basic("u", "p")));
}

#[tokio::test]
async fn credential_helpers_of_git_are_told_whether_they_were_right() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let helper = script(
        folder.path(),
        &format!(
            "{{ echo $1; cat; }} >> '{}'; [ \"$1\" = get ] && printf 'username=u\\npassword=p\\n'; exit 0",
            log.display()
        ),
    );
    let config = folder.path().join(".gitconfig");
    std::fs::write(&config, format!("[credential]\n\thelper = {helper}\n")).unwrap();
    let environment = environment(&[("HOME", folder.path().to_str().unwrap())]);
    let keyring = Keyring::new(CredentialSource::GitCredential, "", environment);
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    keyring.judged(URL, true).await;
    assert_eq!(said(), "", "nobody was asked yet");
    keyring.credentials(URL, Attempt::First).await.unwrap();
    keyring.judged(URL, false).await;
    let (_, rejected) = said()
        .split_once("erase\n")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert!(
        rejected.contains("password=p") && rejected.contains("host=git.example"),
        "{rejected}"
    );
    keyring.credentials(URL, Attempt::Refused).await.unwrap();
    keyring.judged(URL, true).await;
    keyring.judged(URL, true).await;
    assert_eq!(said().matches("store\n").count(), 1, "{}", said());
}
