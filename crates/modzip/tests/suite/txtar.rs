//! The txtar format: a comment, then files after lines of the form `-- name --`.

pub(crate) struct Archive {
    pub(crate) comment: Vec<u8>,
    pub(crate) files: Vec<(Vec<u8>, Vec<u8>)>,
}

pub(crate) fn parse(text: &[u8]) -> Archive {
    let mut archive = Archive {
        comment: Vec::new(),
        files: Vec::new(),
    };
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        if let Some(name) = marker(line) {
            archive.files.push((name.to_vec(), Vec::new()));
            continue;
        }
        let part = match archive.files.last_mut() {
            Some((_, content)) => content,
            None => &mut archive.comment,
        };
        part.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            part.push(b'\n');
        }
    }
    archive
}

fn marker(line: &[u8]) -> Option<&[u8]> {
    let name = line
        .trim_ascii_end()
        .strip_prefix(b"-- ")?
        .strip_suffix(b" --")?
        .trim_ascii();
    (!name.is_empty()).then_some(name)
}
